"""Reads against the state and the block: versions, ranges, hashed reads; and what writes leave."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.builders import (
    EITHER,
    TestChannel,
    TxBuilder,
    a_block,
    a_channel,
    a_collection,
    a_tx,
    code_names,
    hashed,
    key_metadata,
)
from tongban.node.core.range_summary import RangeSummary
from tongban.node.core.state import Version, VersionedValue
from tongban.protos.digest import EMPTY_SHA256, sha256
from tongban.protos.kvrwset_pb2 import KVRead, QueryReadsMerkleSummary
from tongban.protos.rwset_pb2 import TxReadWriteSet

Row = tuple[bytes, VersionedValue]


@pytest.fixture
def channel() -> TestChannel:
    found = a_channel()
    found.define("cc", EITHER, [a_collection("coll"), a_collection("short", block_to_live=2)])
    return found


def tx(channel: TestChannel) -> TxBuilder:
    return a_tx(channel)


def judge(channel: TestChannel, *transactions: TxBuilder) -> list[str]:
    return code_names(channel.validate(a_block(channel).with_tx(*transactions)))


def test_a_read_of_the_committed_version_is_valid(channel: TestChannel) -> None:
    version = channel.put("cc", "key", b"value")
    assert judge(channel, tx(channel).reading("key", version)) == ["VALID"]


def test_a_read_of_an_older_version_is_a_read_conflict(channel: TestChannel) -> None:
    old = channel.put("cc", "key", b"value")
    channel.put("cc", "key", b"value")
    assert judge(channel, tx(channel).reading("key", old)) == ["MVCC_READ_CONFLICT"]


def test_a_read_as_absent_of_a_key_that_exists_is_a_read_conflict(channel: TestChannel) -> None:
    channel.put("cc", "key", b"value")
    assert judge(channel, tx(channel).reading("key", None)) == ["MVCC_READ_CONFLICT"]


def test_absent_is_not_version_zero(channel: TestChannel) -> None:
    assert judge(channel, tx(channel).reading("key", Version(0, 0))) == ["MVCC_READ_CONFLICT"]


def test_a_key_touched_earlier_in_the_block_conflicts_even_if_the_version_fits(
    channel: TestChannel,
) -> None:
    codes = judge(
        channel,
        tx(channel).writing("gone", None),
        tx(channel).reading("gone", None),
        tx(channel).reading("other", None),
    )
    assert codes == ["VALID", "MVCC_READ_CONFLICT", "VALID"]


def test_writes_of_an_invalid_transaction_are_no_conflict(channel: TestChannel) -> None:
    codes = judge(
        channel,
        tx(channel).reading("key", Version(0, 0)).writing("key", b"value"),
        tx(channel).reading("key", None),
    )
    assert codes == ["MVCC_READ_CONFLICT", "VALID"]


def test_a_blind_write_never_conflicts_and_the_last_one_stays(channel: TestChannel) -> None:
    channel.put("cc", "key", b"before")
    verdict = channel.validate(
        a_block(channel).with_tx(
            tx(channel).writing("key", b"one"), tx(channel).writing("key", b"two")
        )
    )
    written = verdict.updates.get("cc", b"key")
    assert written is not None
    assert (written.value, written.version) == (b"two", Version(channel.height, 1))
    assert [entry.tx_num for entry in verdict.history] == [0, 1]


def rows(channel: TestChannel, count: int) -> list[tuple[str, Version]]:
    """Commit keys row000, row001, … and say their versions."""
    return [
        (f"row{number:03}", channel.put("cc", f"row{number:03}", b"value"))
        for number in range(count)
    ]


RANGE_CHANGES: list[tuple[str, Callable[[TxBuilder], TxBuilder], str]] = [
    ("nothing", lambda tx: tx.writing("elsewhere", b"v"), "VALID"),
    ("an insert", lambda tx: tx.writing("row0005", b"v"), "PHANTOM_READ_CONFLICT"),
    ("an update", lambda tx: tx.writing("row001", b"v"), "PHANTOM_READ_CONFLICT"),
    ("a delete", lambda tx: tx.writing("row001", None), "PHANTOM_READ_CONFLICT"),
    ("a delete of an absent key", lambda tx: tx.writing("row0005", None), "VALID"),
    ("a write at the excluded end", lambda tx: tx.writing("row9", b"v"), "VALID"),
    ("a write before the start", lambda tx: tx.writing("ro", b"v"), "VALID"),
]


@pytest.mark.parametrize(
    ("change", "code"), [case[1:] for case in RANGE_CHANGES], ids=[c[0] for c in RANGE_CHANGES]
)
def test_a_range_is_repeated_over_the_changes_of_the_block(
    channel: TestChannel, change: Callable[[TxBuilder], TxBuilder], code: str
) -> None:
    seen = rows(channel, 3)
    codes = judge(channel, change(tx(channel)), tx(channel).scanning("row", "row9", seen))
    assert codes == ["VALID", code]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("row001", "PHANTOM_READ_CONFLICT"),
        ("row0015", "VALID"),
        ("row002", "VALID"),
        ("row0005", "PHANTOM_READ_CONFLICT"),
    ],
)
def test_a_range_that_was_not_exhausted_ends_with_its_last_row(
    channel: TestChannel, key: str, code: str
) -> None:
    seen = rows(channel, 3)[:2]
    codes = judge(
        channel,
        tx(channel).writing(key, b"v"),
        tx(channel).scanning("row", "row001", seen, exhausted=False),
    )
    assert codes == ["VALID", code]


def test_an_iterator_that_never_moved_conflicts_when_there_are_rows(channel: TestChannel) -> None:
    rows(channel, 1)
    codes = judge(channel, tx(channel).scanning("row", "", [], exhausted=False))
    assert codes == ["PHANTOM_READ_CONFLICT"]


def test_a_listed_row_without_a_version_matches_nothing(channel: TestChannel) -> None:
    rows(channel, 1)
    assert judge(channel, tx(channel).scanning("row", "row9", [("row000", None)])) == [
        "PHANTOM_READ_CONFLICT"
    ]


def summary_of(seen: list[tuple[str, Version]], max_degree: int = 50) -> QueryReadsMerkleSummary:
    summary = RangeSummary(max_degree)
    for key, version in seen:
        summary.add(key.encode(), version)
    found = summary.finish()
    assert found is not None
    return QueryReadsMerkleSummary(
        max_degree=found.max_degree, max_level=found.max_level, max_level_hashes=found.hashes
    )


@pytest.mark.parametrize("max_degree", [2, 50])
@pytest.mark.parametrize(
    ("change", "code"),
    [("elsewhere", "VALID"), ("row030", "PHANTOM_READ_CONFLICT"), ("row", "PHANTOM_READ_CONFLICT")],
)
def test_a_summarised_range_is_repeated_too(
    channel: TestChannel, max_degree: int, change: str, code: str
) -> None:
    summary = summary_of(rows(channel, 60), max_degree)
    codes = judge(
        channel,
        tx(channel).writing(change, b"v"),
        tx(channel).summarising("row", "row9", summary),
    )
    assert codes == ["VALID", code]


@pytest.mark.parametrize(
    "spoil",
    [
        {"max_degree": 0},
        {"max_degree": 1},
        {"max_degree": 51},
        {"max_degree": 0xFFFFFFFF},
        {"max_level": 2},
        {"max_level_hashes": []},
        {"max_level_hashes": [b"h" * 32]},
    ],
)
def test_a_summary_that_claims_something_else_is_a_phantom(
    channel: TestChannel, spoil: dict[str, object]
) -> None:
    summary = summary_of(rows(channel, 60))
    fields = {
        "max_degree": summary.max_degree,
        "max_level": summary.max_level,
        "max_level_hashes": list(summary.max_level_hashes),
    }
    spoiled = QueryReadsMerkleSummary(**{**fields, **spoil})  # type: ignore[arg-type]
    codes = judge(channel, tx(channel).summarising("row", "row9", spoiled))
    assert codes == ["PHANTOM_READ_CONFLICT"]


def test_a_summary_that_differs_early_ends_the_scan_early(channel: TestChannel) -> None:
    seen = rows(channel, 160)
    wrong = summary_of([("row000", Version(0, 0)), *seen[1:]])
    taken = 0
    scan = channel.state.scan

    def counting_scan(namespace: str, start: bytes, end: bytes) -> Iterator[Row]:
        nonlocal taken
        for row in scan(namespace, start, end):
            taken += 1
            yield row

    channel.state.scan = counting_scan  # type: ignore[method-assign]
    codes = judge(channel, tx(channel).summarising("row", "row9", wrong))
    assert codes == ["PHANTOM_READ_CONFLICT"]
    assert taken == 51, "the first leaf says it"


def test_a_summary_of_few_rows_matches_nothing(channel: TestChannel) -> None:
    rows(channel, 2)
    empty = QueryReadsMerkleSummary(max_degree=50, max_level=1)
    assert judge(channel, tx(channel).summarising("row", "row9", empty)) == [
        "PHANTOM_READ_CONFLICT"
    ]


def test_hashed_reads_follow_the_same_rule(channel: TestChannel) -> None:
    version = channel.put(hashed("coll"), sha256(b"key"), b"h" * 32)
    codes = judge(
        channel,
        tx(channel).reading_hash("coll", "key", version),
        tx(channel).reading_hash("coll", "key", None),
        tx(channel).reading_hash("unknown", "key", None),
        tx(channel).writing_private("coll", "key", b"new"),
        tx(channel).reading_hash("coll", "key", version),
    )
    conflict = "MVCC_READ_CONFLICT"
    assert codes == ["VALID", conflict, "VALID", "VALID", conflict]


def test_the_first_conflict_in_the_order_of_the_set_gives_the_code(channel: TestChannel) -> None:
    channel.put("cc", "row", b"value")
    both = tx(channel).scanning("row", "row9", []).reading("key", Version(0, 0))
    assert judge(channel, both) == ["MVCC_READ_CONFLICT"]
    phantom = tx(channel).scanning("row", "row9", []).reading_hash("coll", "k", Version(0, 0))
    assert judge(channel, phantom) == ["PHANTOM_READ_CONFLICT"]
    other = a_tx(channel).scanning("row", "row9", []).reading("key", Version(0, 0), "dd")
    assert judge(channel, other) == ["PHANTOM_READ_CONFLICT"]


POLICY = "OR('Org2MSP.peer')"

WRITES: list[tuple[str, Callable[[TxBuilder], TxBuilder], tuple[bytes, bytes] | None]] = [
    ("a put keeps the metadata", lambda t: t.writing("key", b"new"), (b"new", b"old")),
    ("a delete", lambda t: t.writing("key", None), None),
    ("an empty value is a delete", lambda t: t.writing("key", b""), None),
    ("metadata keeps the value", lambda t: t.with_policy("key", POLICY), (b"value", b"new")),
    ("no entries remove metadata", lambda t: t.with_policy("key", ""), (b"value", b"")),
    (
        "value and metadata",
        lambda t: t.writing("key", b"new").with_policy("key", POLICY),
        (b"new", b"new"),
    ),
    (
        "a delete wins over metadata",
        lambda t: t.writing("key", None).with_policy("key", POLICY),
        None,
    ),
    (
        "two puts add up to a change of metadata alone",
        lambda t: t.writing("key", b"one").writing("key", b"two"),
        (b"value", b""),
    ),
    (
        "put and delete are a delete",
        lambda t: t.writing("key", b"one").writing("key", None),
        None,
    ),
    (
        "two deletes add up to a bit that means nothing",
        lambda t: t.writing("key", None).writing("key", None),
        (b"value", b""),
    ),
    (
        "three puts add up to value and metadata",
        lambda t: t.writing("key", b"1").writing("key", b"2").writing("key", b"3"),
        (b"3", b""),
    ),
    (
        "a put and two policies",
        lambda t: t.writing("key", b"1").with_policy("key", "").with_policy("key", POLICY),
        (b"1", b"new"),
    ),
]


@pytest.mark.parametrize(("write", "left"), [c[1:] for c in WRITES], ids=[c[0] for c in WRITES])
def test_a_write_leaves(
    channel: TestChannel,
    write: Callable[[TxBuilder], TxBuilder],
    left: tuple[bytes, bytes] | None,
) -> None:
    old = key_metadata("OR('Org1MSP.peer')")
    channel.put("cc", "key", b"value", old)
    verdict = channel.commit(a_block(channel).with_tx(write(tx(channel))))
    assert code_names(verdict) == ["VALID"]
    found = channel.value("cc", "key")
    metadata = {b"old": old, b"new": key_metadata(POLICY), b"": b""}
    if left is None:
        assert found is None
    else:
        assert found is not None
        assert (found.value, found.metadata) == (left[0], metadata[left[1]])
        assert found.version == Version(channel.height - 1, 0)


def test_metadata_on_a_missing_key_is_ignored(channel: TestChannel) -> None:
    verdict = channel.validate(a_block(channel).with_tx(tx(channel).with_policy("key", POLICY)))
    assert code_names(verdict) == ["VALID"]
    assert not verdict.updates.touches("cc", b"key")


def test_two_puts_of_a_missing_key_leave_nothing(channel: TestChannel) -> None:
    twice = tx(channel).writing("key", b"one").writing("key", b"two")
    verdict = channel.validate(a_block(channel).with_tx(twice))
    assert not verdict.updates.touches("cc", b"key")


def test_metadata_after_a_delete_in_the_block_is_ignored(channel: TestChannel) -> None:
    channel.put("cc", "key", b"value")
    block = a_block(channel).with_tx(
        tx(channel).writing("key", None), tx(channel).with_policy("key", POLICY)
    )
    verdict = channel.commit(block)
    assert code_names(verdict) == ["VALID", "VALID"]
    assert channel.value("cc", "key") is None
    assert verdict.updates.deletes["cc", b"key"] == Version(channel.height - 1, 0)


def test_a_key_made_again_in_the_block_has_no_metadata(channel: TestChannel) -> None:
    channel.put("cc", "key", b"value", key_metadata(EITHER))
    block = a_block(channel).with_tx(
        tx(channel).writing("key", None), tx(channel).writing("key", b"new")
    )
    channel.commit(block)
    found = channel.value("cc", "key")
    assert found is not None
    assert (found.value, found.metadata) == (b"new", b"")


@pytest.mark.parametrize("value_hash", [b"", EMPTY_SHA256])
def test_a_hashed_write_of_nothing_is_a_delete(channel: TestChannel, value_hash: bytes) -> None:
    key_hash = sha256(b"key")
    channel.put(hashed("coll"), key_hash, b"h" * 32)
    write = tx(channel).writing_private("coll", "key", b"x")
    write._hashed("coll").hashed_writes[0].value_hash = value_hash
    channel.commit(a_block(channel).with_tx(write))
    assert channel.value(hashed("coll"), key_hash) is None


def test_a_collection_named_twice_is_summed_up_as_one(channel: TestChannel) -> None:
    key_hash = sha256(b"key")
    channel.put(hashed("coll"), key_hash, b"h" * 32)
    single = TxReadWriteSet.FromString(tx(channel).writing_private("coll", "key", b"new").results())
    part = single.ns_rwset[0]
    part.collection_hashed_rwset.append(part.collection_hashed_rwset[0])
    twice = a_tx(channel, results=single.SerializeToString())
    channel.commit(a_block(channel).with_tx(twice))
    found = channel.value(hashed("coll"), key_hash)
    assert found is not None
    assert found.value == b"h" * 32, "two puts of one key leave its old value"


def test_a_purge_is_a_delete_that_also_asks_to_forget(channel: TestChannel) -> None:
    purge = tx(channel).writing_private("coll", "key", None, purge=True)
    verdict = channel.validate(a_block(channel).with_tx(purge))
    assert verdict.purges == ((0, "cc", "coll", sha256(b"key")),)
    assert verdict.updates.touches(hashed("coll"), sha256(b"key"))


def test_private_writes_say_what_was_endorsed_and_how_long_it_lives(channel: TestChannel) -> None:
    block = a_block(channel).with_tx(
        tx(channel).writing_private("short", "key", b"v").writing_private("coll", "key", b"v"),
        a_tx(channel, endorsers=()).writing_private("coll", "other", b"v"),
    )
    found = channel.validate(block).private_hashes
    assert [(one.tx_num, one.collection, one.expires_at_block) for one in found] == [
        (0, "short", channel.height + 3),
        (0, "coll", None),
    ]
    assert found[0].rwset_hash == sha256(b"short")


def test_a_key_with_a_limited_life_leaves_at_the_end_of_its_last_block(
    channel: TestChannel,
) -> None:
    written = channel.height
    channel.commit(
        a_block(channel).with_tx(
            tx(channel).writing_private("short", "key", b"v"),
            tx(channel).writing_private("short", "kept", b"v"),
        )
    )
    version = Version(written, 0)
    channel.commit(a_block(channel).with_tx(tx(channel).reading_hash("short", "key", version)))
    channel.commit(a_block(channel).with_tx(tx(channel).writing_private("short", "kept", b"w")))
    last = channel.commit(
        a_block(channel).with_tx(tx(channel).reading_hash("short", "key", version))
    )
    assert code_names(last) == ["VALID"], "in the block of its end it can still be read"
    assert last.expired == ((hashed("short"), sha256(b"key")),)
    assert not last.updates.values, "its end is no change of the block"
    assert channel.value(hashed("short"), sha256(b"key")) is None
    assert channel.value(hashed("short"), sha256(b"kept")) is not None
    after = tx(channel).reading_hash("short", "key", version)
    assert judge(channel, after) == ["MVCC_READ_CONFLICT"]
    assert judge(channel, tx(channel).reading_hash("short", "key", None)) == ["VALID"]


def test_a_key_written_in_the_block_of_its_end_stays(channel: TestChannel) -> None:
    channel.commit(a_block(channel).with_tx(tx(channel).writing_private("short", "key", b"v")))
    for _ in range(2):
        channel.commit(a_block(channel).with_tx(tx(channel)))
    verdict = channel.commit(
        a_block(channel).with_tx(tx(channel).writing_private("short", "key", b"w"))
    )
    assert verdict.expired == ()
    assert channel.value(hashed("short"), sha256(b"key")) is not None


def test_results_of_a_range_are_compared_with_their_keys(channel: TestChannel) -> None:
    seen = rows(channel, 2)
    wrong = [("row000", seen[0][1]), ("row0009", seen[1][1])]
    assert judge(channel, tx(channel).scanning("row", "row9", wrong)) == ["PHANTOM_READ_CONFLICT"]
    assert KVRead(key="row000").key == seen[0][0]


def test_contents_that_stop_a_go_peer_leave_the_rest_of_the_block_alone(
    channel: TestChannel,
) -> None:
    channel.put("cc", "key", b"value", b"\xff\xff")
    block = a_block(channel).with_tx(
        a_tx(channel, action_count=0),
        a_tx(channel, data=b""),
        a_tx(channel, action_payload=b"\x0a\x01p"),
        a_tx(channel, data=b"\xff"),
        a_tx(channel, response_payload=b"\xff"),
        a_tx(channel, signature=b""),
        a_tx(channel, payload=b""),
        a_tx(channel, channel_id=""),
        tx(channel).writing_private("nothing", "k", b"v"),
        tx(channel).writing("key", b"v"),
        a_tx(channel, proposal_hash=b"").with_policy("later", EITHER),
        tx(channel).writing("later", b"v"),
        tx(channel).writing("later", None),
        tx(channel).with_policy("later", EITHER),
    )
    verdict = channel.validate(block)
    assert code_names(verdict) == [
        *["INVALID_ENDORSER_TRANSACTION"] * 5,
        "BAD_CREATOR_SIGNATURE",
        "BAD_COMMON_HEADER",
        "BAD_CREATOR_SIGNATURE",
        *["ENDORSEMENT_POLICY_FAILURE"] * 2,
        "INVALID_ENDORSER_TRANSACTION",
        *["VALID"] * 3,
    ]
    assert verdict.updates.values == {"cc": {b"later": None}}
