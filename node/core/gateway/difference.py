"""Why two endorsers' payloads differ, in words that lead to the cause.

Official clients only learn that payloads do not match. Here the error names the first differing
keys, both values, both organizations, and what usually makes such a difference.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tongban.protos import kvrwset_pb2, proposal_pb2, proposal_response_pb2, rwset_pb2
from tongban.protos.codec import parse
from tongban.protos.errors import TongbanError

MISMATCH_TEXT = "ProposalResponsePayloads do not match"
"""Fabric's text; it stays at the head of ours, since tools look for it."""

VALUE_CHARS_MAX = 40
"""Characters of a value that an error shows."""

PLACE_CHARS_MAX = 80
"""Characters of a namespace and key that an error shows."""

DIFFERENCES_MAX = 5
"""Differing keys that an error names."""

BEFORE_CHARS = 12
"""Characters shown before the place where two long values part."""


class Value(NamedTuple):
    """What a payload has at some place: all of it for comparing, and words for it if its bytes
    would tell a reader nothing."""

    raw: bytes
    words: str | None = None


_ABSENT = Value(b"", "nothing")


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


Values = dict[str, Value]
"""By place."""


@dataclass(frozen=True, slots=True)
class _Facts:
    chaincode: Values
    response: Values
    event: Values
    reads: Values
    scans: Values
    writes: Values


def _read(payload: bytes) -> _Facts:
    outer = parse(proposal_response_pb2.ProposalResponsePayload, payload)
    action = parse(proposal_pb2.ChaincodeAction, outer.extension)
    facts = _Facts(_chaincode(action), _response(action), _event(action), {}, {}, {})
    results = parse(rwset_pb2.TxReadWriteSet, action.results)
    for namespace in results.ns_rwset:
        name = namespace.namespace
        _public(name, parse(kvrwset_pb2.KVRWSet, namespace.rwset), facts)
        for collection in namespace.collection_hashed_rwset:
            hashed = parse(kvrwset_pb2.HashedRWSet, collection.hashed_rwset)
            _hashed(f"{name}/{collection.collection_name}", hashed, facts)
    return facts


def _public(name: str, rwset: kvrwset_pb2.KVRWSet, facts: _Facts) -> None:
    for read in rwset.reads:
        facts.reads[_place(name, read.key)] = _version(read)
    for query in rwset.range_queries_info:
        place = f"{name} [{_printable(query.start_key)}, {_printable(query.end_key)})"
        words = f"{len(query.raw_reads.kv_reads)} rows"
        if query.HasField("reads_merkle_hashes"):
            words = f"summary {query.reads_merkle_hashes.max_level_hashes[0].hex()[:16]}"
        facts.scans[place] = Value(query.SerializeToString(), words)
    for write in rwset.writes:
        facts.writes[_place(name, write.key)] = _DELETED if write.is_delete else Value(write.value)
    for metadata in rwset.metadata_writes:
        joined = b"".join(entry.value for entry in metadata.entries)
        facts.writes[f"policy of {_place(name, metadata.key)}"] = Value(joined)


def _hashed(name: str, rwset: kvrwset_pb2.HashedRWSet, facts: _Facts) -> None:
    for read in rwset.hashed_reads:
        facts.reads[f"{name} key hash {read.key_hash.hex()[:16]}"] = _version(read)
    for write in rwset.hashed_writes:
        words = f"value hash {write.value_hash.hex()[:16]}"
        value = _DELETED if write.is_delete else Value(write.value_hash, words)
        facts.writes[f"{name} key hash {write.key_hash.hex()[:16]}"] = value


_DELETED = Value(b"", "a delete")


def _response(action: proposal_pb2.ChaincodeAction) -> Values:
    response = action.response
    return {
        "status": Value(b"%d" % response.status, str(response.status)),
        "message": Value(response.message.encode()),
        "payload": Value(response.payload),
    }


def _event(action: proposal_pb2.ChaincodeAction) -> Values:
    return {"content": Value(action.events)} if action.events else {}


def _chaincode(action: proposal_pb2.ChaincodeAction) -> Values:
    shown = f"{action.chaincode_id.name} {action.chaincode_id.version}"
    return {"version": Value(shown.encode(), shown)}


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
                yield Difference(kind, _cut_middle(place), *_show(a, b))


def _show(first: Value, second: Value) -> tuple[str, str]:
    """Both values, shortened so that one sees where they part."""
    pairs = enumerate(zip(first.raw, second.raw, strict=False))
    shorter = min(len(first.raw), len(second.raw))
    same = next((index for index, (one, other) in pairs if one != other), shorter)
    a, b = (value.words or shorten(value.raw, same) for value in (first, second))
    return a, b


def _version(read: kvrwset_pb2.KVRead | kvrwset_pb2.KVReadHash) -> Value:
    words = "no value"
    if read.HasField("version"):
        words = f"version {read.version.block_num}:{read.version.tx_num}"
    return Value(words.encode(), words)


def _place(namespace: str, key: str) -> str:
    return f"{namespace}/{_printable(key)}"


def _printable(key: str) -> str:
    return key.replace("\x00", "·")


def _cut_middle(place: str) -> str:
    """Long keys often differ in their ends."""
    half = PLACE_CHARS_MAX // 2
    return place if len(place) <= PLACE_CHARS_MAX else f"{place[:half]}…{place[-half:]}"


def shorten(value: bytes, same_bytes: int = 0) -> str:
    """A value in quotes as text if it is text, else as hex; not much more than VALUE_CHARS_MAX.
    Of a long one, the part around the place where it differs from another, ``same_bytes`` from
    its beginning."""
    text, quoted = value.hex(), False
    index = 2 * same_bytes
    with contextlib.suppress(UnicodeDecodeError):
        decoded = value.decode()
        if decoded.isprintable():
            text, quoted = decoded, True
            index = len(value[:same_bytes].decode(errors="ignore"))
    start = max(index - BEFORE_CHARS, 0) if index >= VALUE_CHARS_MAX else 0
    end = start + VALUE_CHARS_MAX
    shown = ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
    return repr(shown) if quoted else shown
