"""Frames of workers: what is accepted, and that everything else is refused without a fault."""

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongban.protos.errors import LimitExceeded, MalformedMessage, TongbanError
from tongban.protos.worker_frames import (
    DEPTH_MAX,
    ELEMENTS_MAX,
    FRAME_BYTES_MAX,
    FROM_WORKER,
    TRUSTED_PARSER_BYTES_MAX,
    FrameReader,
    FromWorker,
    WriteKind,
    pack,
    to_frame,
)

GET = [FromWorker.GET_STATE, 7, "键", ""]
DONE = [FromWorker.DONE, 7, 200, "", b"x", [[WriteKind.PUT, "k", b"v", "", ""]], ["e", b"p"]]
INVOKE = [FromWorker.INVOKE, 7, "cc", "", [b"f"], [[WriteKind.DELETE, "k", b"", "c", ""]]]


def frame(*messages: object) -> bytes:
    return to_frame([msgpack.packb(message) for message in messages], len(messages))


def raw(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def test_messages_come_out_as_they_went_in_whatever_the_pieces() -> None:
    data = frame(GET, DONE) + frame(INVOKE)
    reader = FrameReader()
    found = [message for at in range(len(data)) for message in reader.feed(data[at : at + 1])]
    assert found == [GET, DONE, INVOKE]
    assert FrameReader().feed(data) == found


@pytest.mark.parametrize(
    "message",
    [
        [],
        {},
        7,
        [99, 1],
        ["10", 1, "k", ""],
        [True, 1, "k", ""],
        [FromWorker.GET_STATE, 1, "k"],
        [FromWorker.GET_STATE, 1, "k", "", "more"],
        [FromWorker.GET_STATE, 1, b"k", ""],
        [FromWorker.GET_STATE, 1.5, "k", ""],
        [FromWorker.GET_STATE, True, "k", ""],
        [FromWorker.GET_STATE, None, "k", ""],
        [FromWorker.GET_STATES, 1, ["k", b"k"], ""],
        [FromWorker.GET_STATES, 1, {"k": 1}, ""],
        [FromWorker.DONE, 7, 200, "", b"x", [[9, "k", b"v", ""]], []],
        [FromWorker.DONE, 7, 200, "", b"x", [[9, "k", "v", "", ""]], []],
        [FromWorker.DONE, 7, 200, "", b"x", [7], []],
        [FromWorker.DONE, 7, 200, "", b"x", [], ["only a name"]],
        [FromWorker.INVOKE, 7, "cc", "", ["text"], []],
        [FromWorker.RANGE, 7, "", "", "10", "", ""],
        [FromWorker.LOG, 7, 20, msgpack.ExtType(5, b"x")],
        [FromWorker.LOG, 7, 20, msgpack.Timestamp(1, 2)],
    ],
    ids=repr,
)
def test_a_message_of_another_shape_is_refused(message: object) -> None:
    with pytest.raises(MalformedMessage):
        FrameReader().feed(frame(message))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91",
        b"\x90\x90",
        b"\x80",
        b"\xa1\xff",
        b"\x91\x94\x0a\x01\xa1\xff\xa0",
        b"\x91" * 2_000,
        b"\xdd\xff\xff\xff\xff",
        b"\x81\xc0\xc0",
    ],
    ids=repr,
)
def test_bytes_that_are_no_frame_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        FrameReader().feed(raw(body))


def test_a_frame_that_claims_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(LimitExceeded):
        FrameReader().feed((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))


def test_a_large_frame_is_read_alike() -> None:
    writes = [[WriteKind.PUT, f"k{n}", b"v" * 500, "", ""] for n in range(1_000)]
    large = [FromWorker.DONE, 7, 200, "", b"x", writes, []]
    data = frame(GET, large)
    assert len(data) > TRUSTED_PARSER_BYTES_MAX
    assert FrameReader().feed(data) == [GET, large]


PADDING = msgpack.packb(b"x" * TRUSTED_PARSER_BYTES_MAX)


@pytest.mark.parametrize(
    "body",
    [
        b"\x92" + PADDING + b"\x91" * (DEPTH_MAX + 1) + b"\xc0",
        b"\x92" + PADDING + b"\x80",
        b"\x92" + PADDING + b"\xdd" + (ELEMENTS_MAX + 1).to_bytes(4, "big"),
        b"\x92" + PADDING,
        b"\x91" + PADDING + b"\xc0",
        b"\x92" + PADDING + b"\xc1",
        b"\xdd\x00\x10\x00\x00" + b"\x90" * (TRUSTED_PARSER_BYTES_MAX * 2),
        PADDING,
    ],
    ids=["depth", "map", "count", "short", "long", "invalid", "many empty", "no array"],
)
def test_a_large_frame_that_would_grow_in_memory_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        FrameReader().feed(raw(body))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_understood_and_never_a_fault(body: bytes) -> None:
    try:
        messages = FrameReader().feed(raw(body))
    except TongbanError:
        return
    assert all(message[0] in FROM_WORKER for message in messages)


SIMPLE = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=5), st.binary()
)
NESTED = SIMPLE | st.lists(SIMPLE | st.lists(SIMPLE, max_size=5), max_size=3)


@settings(max_examples=100)
@given(st.sampled_from(sorted(FROM_WORKER)), st.lists(NESTED, max_size=6))
def test_what_passes_the_check_has_exactly_the_shape_of_its_kind(
    kind: int, fields: list[object]
) -> None:
    message = [kind, *fields]
    try:
        found = FrameReader().feed(frame(message))
    except TongbanError:
        return
    assert [type(value) for value in found[0]] == list(FROM_WORKER[kind])


@given(st.integers(0, 255), st.integers(0, 200))
def test_a_flipped_byte_is_refused_or_still_well_formed(value: int, at: int) -> None:
    data = bytearray(frame(GET, DONE, INVOKE))
    data[at % len(data)] = value
    try:
        messages = FrameReader().feed(bytes(data))
    except TongbanError:
        return
    assert all(message[0] in FROM_WORKER for message in messages)


@pytest.mark.parametrize("bad", ["\ud800", 2**64, {1, 2}, object()], ids=repr)
def test_what_cannot_travel_is_refused_where_it_is_packed(bad: object) -> None:
    with pytest.raises(MalformedMessage):
        pack([FromWorker.LOG, 1, 20, bad])


def test_a_message_larger_than_a_frame_is_refused_where_it_is_packed() -> None:
    with pytest.raises(LimitExceeded):
        pack([FromWorker.LOG, 1, 20, b"x" * FRAME_BYTES_MAX])
