"""A mismatch names the key, both values, both organizations and the likely cause."""

from hypothesis import given
from hypothesis import strategies as st

from tongban.node.core.gateway.difference import MISMATCH_TEXT, explain_mismatch, shorten
from tongban.protos import chaincode_pb2, kvrwset_pb2, proposal_pb2, proposal_response_pb2
from tongban.protos import rwset_pb2 as rw


def payload(
    writes: dict[str, bytes] | None = None,
    reads: dict[str, int] | None = None,
    response: bytes = b"",
    version: str = "1.0",
    event: bytes = b"",
) -> bytes:
    rwset = kvrwset_pb2.KVRWSet(
        reads=[
            kvrwset_pb2.KVRead(key=k, version=kvrwset_pb2.Version(block_num=n))
            for k, n in (reads or {}).items()
        ],
        writes=[kvrwset_pb2.KVWrite(key=k, value=v) for k, v in (writes or {}).items()],
    )
    results = rw.TxReadWriteSet(
        ns_rwset=[rw.NsReadWriteSet(namespace="cc", rwset=rwset.SerializeToString())]
    )
    action = proposal_pb2.ChaincodeAction(
        results=results.SerializeToString(),
        events=event,
        response=proposal_response_pb2.Response(status=200, payload=response),
        chaincode_id=chaincode_pb2.ChaincodeID(name="cc", version=version),
    )
    return proposal_response_pb2.ProposalResponsePayload(
        proposal_hash=b"h", extension=action.SerializeToString()
    ).SerializeToString()


def test_a_differing_write_names_key_values_and_organizations() -> None:
    text = explain_mismatch(
        payload({"k": b"12:00"}), "Org1MSP", payload({"k": b"12:01"}), "Org2MSP"
    )
    assert text.startswith(MISMATCH_TEXT)
    assert "write of cc/k: Org1MSP has '12:00', Org2MSP has '12:01'" in text
    assert "the clock" in text


def test_a_differing_read_version_points_at_different_heights() -> None:
    text = explain_mismatch(payload(reads={"k": 4}), "A", payload(reads={"k": 5}), "B")
    assert "read of cc/k: A has version 4:0, B has version 5:0" in text
    assert "different numbers of blocks" in text


def test_a_differing_chaincode_version_is_named() -> None:
    text = explain_mismatch(payload(version="1.0"), "A", payload(version="2.0"), "B")
    assert "A has cc 1.0, B has cc 2.0" in text
    assert "different versions" in text


def test_long_values_are_shown_where_they_part() -> None:
    same = "户" * 200
    text = explain_mismatch(
        payload({"k": f"{same}12:00".encode()}), "A", payload({"k": f"{same}12:01".encode()}), "B"
    )
    assert f"write of cc/k: A has '…{'户' * 8}12:00', B has '…{'户' * 8}12:01'" in text
    text = explain_mismatch(
        payload(response=b"\xff" * 99 + b"\x01"), "A", payload(response=b"\xff" * 99), "B"
    )
    assert f"response payload: A has …{'ff' * 6}01, B has …{'ff' * 6}." in text


def test_long_keys_are_told_apart_by_their_ends() -> None:
    many = {f"{'x' * 300}{number}": b"%d" % number for number in range(3)}
    text = explain_mismatch(payload(many), "A", payload({**many, "x" * 300 + "1": b"?"}), "B")
    assert text.count("write of") == 1
    assert "xxx1: A has '1', B has '?'" in text


def test_a_range_that_holds_other_rows_differs_also_when_their_number_is_the_same() -> None:
    def scan(key: str) -> bytes:
        query = kvrwset_pb2.RangeQueryInfo(start_key="a", end_key="b", itr_exhausted=True)
        query.raw_reads.kv_reads.add(key=key)
        rwset = kvrwset_pb2.KVRWSet(range_queries_info=[query]).SerializeToString()
        results = rw.TxReadWriteSet(ns_rwset=[rw.NsReadWriteSet(namespace="cc", rwset=rwset)])
        action = proposal_pb2.ChaincodeAction(results=results.SerializeToString())
        return proposal_response_pb2.ProposalResponsePayload(
            extension=action.SerializeToString()
        ).SerializeToString()

    text = explain_mismatch(scan("a1"), "A", scan("a2"), "B")
    assert "scan of cc [a, b): A has 1 rows, B has 1 rows" in text
    assert "different numbers of blocks" in text


def test_at_most_five_differences_are_shown() -> None:
    many = {f"k{i}": b"1" for i in range(9)}
    text = explain_mismatch(payload(many), "A", payload(), "B")
    assert text.count("write of") == 5
    assert "and 4 more" in text


def test_chinese_values_stay_readable_and_bytes_become_hex() -> None:
    assert shorten("已过户".encode()) == "'已过户'"
    assert shorten(b"\xff\x00") == "ff00"


@given(st.binary(), st.binary())
def test_unreadable_payloads_fall_back_to_the_plain_text(first: bytes, second: bytes) -> None:
    assert explain_mismatch(first, "A", second, "B").startswith(MISMATCH_TEXT)
