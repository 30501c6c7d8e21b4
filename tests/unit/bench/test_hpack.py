"""Header blocks as gRPC servers write them."""

import pytest

from tests.bench.hpack import UNKNOWN, Status, encode_request, parse_trailers

STATUS_0 = b"\x00\x0bgrpc-status\x010"
STATUS_10 = b"\x40\x0bgrpc-status\x0210"


def test_a_request_names_what_grpc_asks_for() -> None:
    assert encode_request("/a.B/C", "peer0", 15.0) == (
        b"\x83\x87\x04\x06/a.B/C\x01\x05peer0\x00\x02te\x08trailers"
        b"\x0f\x10\x10application/grpc\x0f\x2b\x0dtongban-bench\x00\x0cgrpc-timeout\x0615000m"
    )
    assert b"grpc-timeout" not in encode_request("/a.B/C", "peer0", None)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (STATUS_0, Status(0, "")),
        (b"\x20" + STATUS_0, Status(0, "")),
        (b"\x88\x5f\x03abc" + STATUS_0, Status(0, "")),
        (STATUS_10 + b"\x10\x0cgrpc-message\x07100%25!", Status(10, "100%!")),
        (b"\x0f\x10\x01a" + STATUS_0, Status(0, "")),
        (STATUS_0 + b"\x00\x01x\x7f\x01" + b"v" * 128, Status(0, "")),
        (STATUS_0 + b"\x00\x05a-bin\x83\xff\xff\xff", Status(0, "")),
        (b"", Status(UNKNOWN, "the call ended without a status")),
    ],
)
def test_a_status_is_found_among_other_fields(block: bytes, expected: Status) -> None:
    assert parse_trailers(block) == expected


@pytest.mark.parametrize("block", [STATUS_0[:-1], STATUS_0[:3], b"\x00", b"\xbe", b"\x7f"])
def test_a_block_that_ends_early_or_needs_a_table_is_refused(block: bytes) -> None:
    with pytest.raises(ValueError, match=r"ends too early|dynamic table"):
        parse_trailers(block)
