"""The channel recorded from Fabric, under tests/vectors/fabric-channel."""

from functools import cache
from pathlib import Path

from tongban.protos.common_pb2 import Block

RECORDED = Path(__file__).parents[1] / "vectors" / "fabric-channel"
RECORDED_BLOCKS = 91


@cache
def recorded_bytes(number: int) -> bytes:
    return (RECORDED / f"{number}.block").read_bytes()


def recorded_block(number: int) -> Block:
    """A fresh message each time, so that a test may change it."""
    return Block.FromString(recorded_bytes(number))


def recorded_genesis() -> Block:
    return recorded_block(0)
