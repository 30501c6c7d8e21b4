"""Why two endorsers' payloads differ, in words that lead to the cause.

Official clients only learn that payloads do not match. Here the error names the first differing
keys, both values, both organizations, and what usually makes such a difference.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tongban.protos import kvrwset_pb2, proposal_pb2, proposal_response_pb2, rwset_pb2
from tongban.protos.codec import parse
from tongban.protos.errors import TongbanError

MISMATCH_TEXT = "ProposalResponsePayloads do not match"
"""Fabric's text; it stays at the head of ours, since tools look for it."""

VALUE_CHARS_MAX = 40
"""Characters of a value that an error shows."""

DIFFERENCES_MAX = 5
"""Differing keys that an error names."""

_ABSENT = "nothing"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two payloads differ."""

    kind: str
    place: str
    first: str
    second: str


def explain_mismatch(first: bytes, first_org: str, second: bytes, second_org: str) -> str:
    """A sentence for each difference; only Fabric's text if a payload is unreadable."""
    try:
        differences = list(_compare(_read(first), _read(second)))
    except TongbanError:
        return MISMATCH_TEXT
    if not differences:
        return f"{MISMATCH_TEXT}: the proposal hashes or encodings differ"
    shown = "; ".join(
        f"{d.kind} {d.place}: {first_org} has {d.first}, {second_org} has {d.second}"
        for d in differences[:DIFFERENCES_MAX]
    )
    more = len(differences) - DIFFERENCES_MAX
    tail = f"; and {more} more" if more > 0 else ""
    return f"{MISMATCH_TEXT}: {shown}{tail}. {likely_cause(differences)}"


def likely_cause(differences: list[Difference]) -> str:
    kinds = {difference.kind for difference in differences}
    if kinds & {"read of", "scan of"}:
        return (
            "Likely cause: the peers have committed different numbers of blocks; "
            "submitting again usually helps."
        )
    if kinds == {"chaincode"}:
        return "Likely cause: the organizations run different versions of the chaincode."
    return (
        "Likely cause: the contract's result depends on something outside the ledger: the clock, "
        "randomness, the order of a set, a float, the environment, or a different package."
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    reads: Mapping[str, str]
    scans: Mapping[str, str]
    writes: Mapping[str, str]
    response: Mapping[str, str]
    event: Mapping[str, str]
    chaincode: Mapping[str, str]


def _read(payload: bytes) -> _Facts:
    outer = parse(proposal_response_pb2.ProposalResponsePayload, payload)
    action = parse(proposal_pb2.ChaincodeAction, outer.extension)
    facts = _Facts({}, {}, {}, _response(action), _event(action), _chaincode(action))
    results = parse(rwset_pb2.TxReadWriteSet, action.results)
    reads: dict[str, str] = {}
    scans: dict[str, str] = {}
    writes: dict[str, str] = {}
    for namespace in results.ns_rwset:
        name = namespace.namespace
        _public(name, parse(kvrwset_pb2.KVRWSet, namespace.rwset), (reads, scans, writes))
        for collection in namespace.collection_hashed_rwset:
            hashed = parse(kvrwset_pb2.HashedRWSet, collection.hashed_rwset)
            _hashed(f"{name}/{collection.collection_name}", hashed, reads, writes)
    return _Facts(reads, scans, writes, facts.response, facts.event, facts.chaincode)


def _public(
    name: str,
    rwset: kvrwset_pb2.KVRWSet,
    into: tuple[dict[str, str], dict[str, str], dict[str, str]],
) -> None:
    reads, scans, writes = into
    for read in rwset.reads:
        reads[_place(name, read.key)] = _version(read)
    for query in rwset.range_queries_info:
        place = f"{name} [{_printable(query.start_key)}, {_printable(query.end_key)})"
        scans[place] = f"{len(query.raw_reads.kv_reads)} rows"
        if query.HasField("reads_merkle_hashes"):
            scans[place] = f"summary {query.reads_merkle_hashes.max_level_hashes[0].hex()[:16]}"
    for write in rwset.writes:
        writes[_place(name, write.key)] = "a delete" if write.is_delete else shorten(write.value)
    for metadata in rwset.metadata_writes:
        joined = b"".join(entry.value for entry in metadata.entries)
        writes[f"policy of {_place(name, metadata.key)}"] = shorten(joined)


def _hashed(
    name: str, rwset: kvrwset_pb2.HashedRWSet, reads: dict[str, str], writes: dict[str, str]
) -> None:
    for read in rwset.hashed_reads:
        reads[f"{name} key hash {read.key_hash.hex()[:16]}"] = _version(read)
    for write in rwset.hashed_writes:
        value = "a delete" if write.is_delete else f"value hash {write.value_hash.hex()[:16]}"
        writes[f"{name} key hash {write.key_hash.hex()[:16]}"] = value


def _response(action: proposal_pb2.ChaincodeAction) -> dict[str, str]:
    response = action.response
    return {
        "status": str(response.status),
        "message": shorten(response.message.encode()),
        "payload": shorten(response.payload),
    }


def _event(action: proposal_pb2.ChaincodeAction) -> dict[str, str]:
    return {"content": shorten(action.events)} if action.events else {}


def _chaincode(action: proposal_pb2.ChaincodeAction) -> dict[str, str]:
    return {"version": f"{action.chaincode_id.name} {action.chaincode_id.version}"}


def _compare(first: _Facts, second: _Facts) -> Iterator[Difference]:
    pairs = (
        ("chaincode", first.chaincode, second.chaincode),
        ("read of", first.reads, second.reads),
        ("scan of", first.scans, second.scans),
        ("write of", first.writes, second.writes),
        ("response", first.response, second.response),
        ("event", first.event, second.event),
    )
    for kind, left, right in pairs:
        for place in sorted({*left, *right}):
            a, b = left.get(place, _ABSENT), right.get(place, _ABSENT)
            if a != b:
                yield Difference(kind, place, a, b)


def _version(read: kvrwset_pb2.KVRead | kvrwset_pb2.KVReadHash) -> str:
    if not read.HasField("version"):
        return "no value"
    return f"version {read.version.block_num}:{read.version.tx_num}"


def _place(namespace: str, key: str) -> str:
    return f"{namespace}/{_printable(key)}"


def _printable(key: str) -> str:
    text = key.replace("\x00", "·")
    return text if len(text) <= VALUE_CHARS_MAX else text[:VALUE_CHARS_MAX] + "…"


def shorten(value: bytes) -> str:
    """A value in quotes as text if it is text, else as hex; never more than VALUE_CHARS_MAX."""
    try:
        text = value.decode()
        if text.isprintable():
            return repr(text if len(text) <= VALUE_CHARS_MAX else text[:VALUE_CHARS_MAX] + "…")
    except UnicodeDecodeError:
        pass
    digits = value.hex()
    return digits if len(digits) <= VALUE_CHARS_MAX else digits[:VALUE_CHARS_MAX] + "…"
