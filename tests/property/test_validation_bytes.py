"""Bytes from outside: parsers refuse and never fail, and no block makes validation raise.

And the bytes that peers must agree on: updates, Merkle summaries.
"""

import random
import time
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import BOTH, TestChannel, a_block, a_channel, a_collection, a_tx
from tongban.node.core.block import ParsedBlock, check_integrity, parse_block, serialize_block
from tongban.node.core.commit_hash import encode_updates, encode_version
from tongban.node.core.range_summary import RangeSummary
from tongban.node.core.rwset_reader import (
    KnownParts,
    find_validation_parameter,
    parse_tx_rwset,
)
from tongban.node.core.state import UpdateBatch, Version, VersionedValue, split_namespace
from tongban.node.core.transaction import parse_envelope
from tongban.node.core.validation.audit import ChannelAuditor
from tongban.node.core.validation.block_signatures import verify_block
from tongban.node.core.wire_presence import is_empty_field_present
from tongban.protos.common_pb2 import Block, BlockData, BlockHeader, BlockMetadata, Envelope
from tongban.protos.errors import TongbanError
from tongban.protos.kvrwset_pb2 import KVRead, QueryReads
from tongban.protos.kvrwset_pb2 import Version as VersionMessage
from tongban.protos.proposal_pb2 import ChaincodeAction
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.protos.updates_pb2 import KVWrite, Updates

CHANNEL = Path(__file__).parents[1] / "vectors" / "fabric-channel"

# The library that reads certificates warns of oddities that it accepts all the same.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Parsed a serial number"),
    pytest.mark.filterwarnings("ignore:Attribute's length"),
]


@cache
def channel() -> TestChannel:
    found = a_channel()
    found.define("cc", BOTH, [a_collection("coll", block_to_live=3)])
    return found


@cache
def good_envelopes() -> tuple[bytes, ...]:
    here = channel()
    builders = [
        a_tx(here).writing("key", b"value").reading("other", None),
        a_tx(here).scanning("a", "z", [("b", Version(1, 1))]).with_policy("key", BOTH),
        a_tx(here).writing_private("coll", "key", b"v").reading_hash("coll", "k", Version(1, 0)),
    ]
    recorded = [
        envelope
        for number in (0, 1, 6, 30, 46, 71)
        for envelope in Block.FromString((CHANNEL / f"{number}.block").read_bytes()).data.data
    ]
    return tuple([builder.serialize() for builder in builders] + recorded[:40])


def spoil(data: bytes, chance: random.Random) -> bytes:
    """One to four small damages."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        kind = chance.randrange(4)
        if kind == 0 and at < len(changed):
            changed[at] = chance.randrange(256)
        elif kind == 1:
            changed[at:at] = chance.randbytes(chance.randint(1, 8))
        elif kind == 2:
            del changed[at : at + chance.randint(1, 8)]
        else:
            changed[at:at] = changed[chance.randrange(len(changed) + 1) :][:64]
    return bytes(changed) if changed != data else data + b"\x00"


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_parsers_refuse_and_never_fail(data: bytes) -> None:
    parse_envelope(data)
    parsers: tuple[Callable[[bytes], object], ...] = (
        parse_block,
        parse_tx_rwset,
        find_validation_parameter,
    )
    for parser in parsers:
        try:
            parser(data)
        except TongbanError:
            continue


def judge(block: ParsedBlock) -> None:
    here = channel()
    validator = here.validator(block)
    here.verifier.verify_many(validator.signature_checks())
    verdict = validator.finish()
    assert len(verdict.flags) == len(block.transactions) == len(verdict.tx_ids)
    for flag, transaction in zip(verdict.flags, block.transactions, strict=True):
        TxValidationCode.Name(TxValidationCode.ValueType(flag))
        if transaction.body is None:
            assert flag != TxValidationCode.VALID
    encode_updates(verdict.updates)
    with pytest.raises(TongbanError):
        verify_block(block, b"p" * 32, here.height, here.config, here.verifier)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_no_envelopes_make_validation_raise(seed: int) -> None:
    chance = random.Random(seed)
    envelopes = [spoil(chance.choice(good_envelopes()), chance) for _ in range(4)]
    judge(a_block(channel()).with_tx(*envelopes).parsed())


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_no_signed_payload_makes_validation_raise(seed: int) -> None:
    """Damage below the creator's signature, which is made again, reaches the later checks."""
    chance = random.Random(seed)
    built = a_tx(channel()).writing("key", b"value").writing_private("coll", "key", b"v")
    part = chance.choice(["results", "action", "response_payload", "action_payload", "data"])
    sources: dict[str, Callable[[], bytes]] = {
        "results": built.results,
        "action": built.action,
        "response_payload": lambda: b"\x0a\x02hh\x12\x04" + b"abcd",
        "action_payload": lambda: built.action_payload(b"h", b"s").SerializeToString(),
        "data": lambda: built.transaction(b"h", b"s"),
    }
    built.overrides[part] = spoil(sources[part](), chance)
    judge(a_block(channel()).with_tx(built, built).parsed())


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_damaged_blocks_are_refused_by_the_auditor_and_never_fail(seed: int) -> None:
    chance = random.Random(seed)
    auditor = ChannelAuditor()
    auditor.accept(auditor.examine((CHANNEL / "0.block").read_bytes()))
    data = spoil((CHANNEL / "1.block").read_bytes(), chance)
    with pytest.raises(TongbanError):
        auditor.examine(data)
    assert auditor.height == 1
    with pytest.raises(TongbanError):
        ChannelAuditor().examine(spoil((CHANNEL / "0.block").read_bytes(), chance))


def test_another_cut_of_the_same_data_is_refused() -> None:
    block = a_block(channel()).with_tx(a_tx(channel()), a_tx(channel())).signed()
    check_integrity(parse_block(block), channel().height, b"p" * 32)
    joined = Block.FromString(block.SerializeToString())
    del joined.data.data[:]
    joined.data.data.append(b"".join(block.data.data))
    with pytest.raises(TongbanError, match=r"not in its shortest form|signature|payload"):
        check_integrity(parse_block(joined), channel().height, b"p" * 32)


names = st.sampled_from(["cc", "b", "_lifecycle", "", "法人"])
stored = st.one_of(
    names,
    st.builds("{}$$h{}".format, names, st.sampled_from(["coll", "a", "_implicit_org_X"])),
    st.builds("{}$$p{}".format, names, st.just("coll")),
)
numbers = st.integers(0, 2**40)
changes = st.dictionaries(
    st.tuples(stored, st.binary(max_size=200)),
    st.tuples(st.one_of(st.none(), st.binary(min_size=1, max_size=300)), numbers, numbers),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(changes)
def test_updates_are_encoded_as_their_message(
    changes: dict[tuple[str, bytes], tuple[bytes | None, int, int]],
) -> None:
    batch = UpdateBatch()
    message = Updates()
    seen: set[str] = set()
    seen_collections: set[tuple[str, str]] = set()

    def order(item: tuple[tuple[str, bytes], object]) -> tuple[bytes, bytes, bytes]:
        namespace, collection, _ = split_namespace(item[0][0])
        return namespace.encode(), (collection or "").encode(), item[0][1]

    for (place, key), (value, block_num, tx_num) in changes.items():
        version = Version(block_num, tx_num)
        if value is None:
            batch.delete(place, key, version)
        else:
            batch.put(place, key, VersionedValue(value, version))
    for (place, key), (value, block_num, tx_num) in sorted(changes.items(), key=order):
        namespace, collection, is_hashed = split_namespace(place)
        if not namespace or (collection and not is_hashed):
            continue
        entry = KVWrite(
            key=key,
            isDelete=value is None,
            value=value or b"",
            version_bytes=encode_version(Version(block_num, tx_num)),
        )
        if namespace not in seen:
            entry.namespace = namespace
        if collection and (namespace, collection) not in seen_collections:
            entry.collection = collection
            seen_collections.add((namespace, collection))
        seen.add(namespace)
        message.kvwrites.append(entry)
    assert encode_updates(batch) == message.SerializeToString()


def tree_by_hand(leaves: list[bytes], degree: int) -> tuple[int, tuple[bytes, ...]]:
    """Levels as lists: whole groups of degree + 1 move up, what remains is combined at the end."""
    levels: dict[int, list[bytes]] = {1: []}
    for leaf in leaves:
        levels[1].append(leaf)
        level = 1
        while len(levels[level]) == degree + 1:
            combined = sha256(b"".join(levels.pop(level))).digest()
            levels[level] = []
            level += 1
            levels.setdefault(level, []).append(combined)
    top = max(levels)
    for level in range(1, top):
        below = levels[level]
        if below:
            one = below[0] if len(below) == 1 else sha256(b"".join(below)).digest()
            levels[level + 1].append(one)
    if len(levels[top]) > degree:
        return top + 1, (sha256(b"".join(levels[top])).digest(),)
    return top, tuple(levels[top])


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 400), st.integers(2, 7))
def test_a_summary_is_the_tree_made_by_hand(count: int, degree: int) -> None:
    summary = RangeSummary(degree)
    leaves = []
    pending: list[KVRead] = []
    for number in range(count):
        summary.add(f"k{number}".encode(), Version(number, 1))
        version = VersionMessage(block_num=number, tx_num=1)
        pending.append(KVRead(key=f"k{number}", version=version))
        if len(pending) > degree:
            leaves.append(sha256(QueryReads(kv_reads=pending).SerializeToString()).digest())
            pending = []
    found = summary.finish()
    if not leaves:
        assert found is None
        assert len(summary.pending) == count
        return
    if pending:
        leaves.append(sha256(QueryReads(kv_reads=pending).SerializeToString()).digest())
    assert found is not None
    assert (found.max_level, found.hashes) == tree_by_hand(leaves, degree)
    assert len(found.hashes) <= degree


@settings(max_examples=60, deadline=None)
@given(st.integers(60, 400), st.integers(2, 5), st.integers(0, 399))
def test_a_difference_is_noticed_early_and_nothing_else_is(
    count: int, degree: int, at: int
) -> None:
    def summarise(changed: int | None) -> RangeSummary:
        summary = RangeSummary(degree)
        for number in range(count):
            summary.add(f"k{number}".encode(), Version(1, 1 if number == changed else 0))
        return summary

    whole = summarise(None).finish()
    other = summarise(at % count).finish()
    assert whole is not None and other is not None
    again = RangeSummary(degree)
    for number in range(count):
        again.add(f"k{number}".encode(), Version(1, 0))
        assert again.may_become(whole)
    assert again.finish() == whole
    assert other != whole


@settings(max_examples=60, deadline=None)
@given(st.integers(52, 300), st.integers(0, 299), seeds)
def test_any_change_of_a_row_changes_the_summary(count: int, at: int, seed: int) -> None:
    at %= count

    def summarise(changed: int | None) -> object:
        summary = RangeSummary()
        for number in range(count):
            version = Version(1, seed % 100 + 1 if number == changed else 0)
            summary.add(f"k{number:04}".encode(), version)
        return summary.finish()

    assert summarise(None) != summarise(at)


@given(st.binary(max_size=20), st.booleans(), st.booleans())
def test_a_field_without_content_is_seen(results: bytes, is_present: bool, first: bool) -> None:
    rest = ChaincodeAction(results=results).SerializeToString()
    mark = b"\x12\x00" if is_present else b""
    data = mark + rest if first else rest + mark
    message = ChaincodeAction.FromString(data)
    assert is_empty_field_present(message, data, 2) == is_present


def test_a_field_inside_a_group_is_not_at_the_top() -> None:
    data = b"\x3b\x12\x00\x3c"
    message = ChaincodeAction.FromString(data)
    assert not is_empty_field_present(message, data, 2)


def test_an_envelope_is_read_the_same_from_bytes_and_from_a_block() -> None:
    raw = a_tx(channel()).writing("key", b"value").serialize()
    block = a_block(channel()).with_tx(Envelope.FromString(raw)).parsed()
    assert block.transactions == (parse_envelope(raw),)


def has_shortest_form(raw: bytes) -> bool:
    """By the library: both fields are there, and serializing them again gives the same bytes."""
    try:
        envelope = Envelope.FromString(raw)
    except DecodeError:
        return False
    whole = bool(envelope.payload and envelope.signature)
    return whole and envelope.SerializeToString() == raw


def odd_digits(number: int, count: int) -> bytes:
    """A length in more digits than it needs."""
    digits = [number >> 7 * place & 0x7F | 0x80 for place in range(count)]
    return bytes([*digits[:-1], digits[-1] & 0x7F])


@st.composite
def envelopes(draw: st.DrawFn) -> bytes:
    payload = draw(st.binary(max_size=40)) * draw(st.sampled_from([1, 1, 4, 600]))
    signature = draw(st.binary(max_size=20)) * draw(st.sampled_from([1, 1, 4, 8]))
    good = Envelope(payload=payload, signature=signature).SerializeToString()
    if draw(st.booleans()):
        return good
    head = b"\x0a" + odd_digits(len(payload), draw(st.integers(1, 8)))
    tail = b"\x12" + odd_digits(len(signature), draw(st.integers(1, 3))) + signature
    odd = [
        head + payload + tail,
        tail + head + payload,
        good + draw(st.binary(min_size=1, max_size=4)),
        good[: draw(st.integers(0, len(good)))],
        spoil(good, random.Random(draw(seeds))),
    ]
    return draw(st.sampled_from(odd))


@settings(max_examples=400, deadline=None)
@given(st.lists(envelopes(), min_size=1, max_size=3))
def test_a_block_tells_envelopes_in_their_shortest_form_as_the_library_does(
    data: list[bytes],
) -> None:
    block = parse_block(Block(header=BlockHeader(number=1), data=BlockData(data=data)))
    assert block.transactions == tuple(parse_envelope(raw) for raw in data)
    odd = [index for index, raw in enumerate(data) if not has_shortest_form(raw)]
    assert block.malformed.startswith(f"transaction {odd[0]}" if odd else "")
    assert bool(block.malformed) == bool(odd)


def test_a_length_of_endless_digits_costs_nothing() -> None:
    raw = b"\x0a" + b"\xff" * 1_000_000
    started = time.process_time()
    block = parse_block(Block(header=BlockHeader(number=1), data=BlockData(data=[raw])))
    assert block.malformed
    assert time.process_time() - started < 0.5


def test_equal_parts_of_read_write_sets_are_read_once_and_the_same() -> None:
    builder = a_tx(channel()).writing("key", b"value").reading("other", None)
    known: KnownParts = {}
    first = parse_tx_rwset(builder.results(), known)
    second = parse_tx_rwset(builder.writing("more", None, "cc2").results(), known)
    assert first.namespaces[0] is second.namespaces[0]
    assert second == parse_tx_rwset(builder.results())
    private = a_tx(channel()).writing_private("coll", "key", b"v").results()
    assert parse_tx_rwset(private, known) == parse_tx_rwset(private)
    assert len(known) == 2


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**64 - 1),
    st.lists(st.binary(max_size=3).map(lambda raw: raw * 70), max_size=5),
    st.lists(st.binary(max_size=200), max_size=6),
)
def test_a_block_is_serialized_as_the_library_does(
    number: int, data: list[bytes], metadata: list[bytes]
) -> None:
    header = BlockHeader(number=number, previous_hash=b"p" * (number % 33), data_hash=b"d")
    block = Block(header=header, data=BlockData(data=data))
    with_metadata = Block(header=header, data=block.data, metadata=BlockMetadata(metadata=metadata))
    assert serialize_block(parse_block(block), metadata) == with_metadata.SerializeToString()
