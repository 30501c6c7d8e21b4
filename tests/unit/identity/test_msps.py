"""Identities are read once, remembered within bounds, and judged by their own organization."""

import pytest

from tests.support.pki import make_organization
from tongban.node.core.errors import UnknownIdentity
from tongban.node.core.identity import Msp, MspManager
from tongban.node.core.lru import LruCache
from tongban.protos.identities_pb2 import SerializedIdentity


def test_the_same_bytes_are_read_once() -> None:
    org = make_organization("Org1MSP", users=1)
    msps = MspManager([Msp.from_config(org.msp_config)])
    assert msps.deserialize(org.users[0].identity) is msps.deserialize(org.users[0].identity)


def test_an_organization_that_is_not_on_the_channel_is_refused() -> None:
    msps = MspManager([])
    serialized = SerializedIdentity(mspid="Org9MSP").SerializeToString()
    with pytest.raises(UnknownIdentity, match="MSP Org9MSP is not defined on channel"):
        msps.deserialize(serialized)
    org = make_organization("Org9MSP", users=1)
    identity = Msp.from_config(org.msp_config).deserialize(org.users[0].identity)
    with pytest.raises(UnknownIdentity, match="Org9MSP"):
        msps.validate(identity)


def test_identities_that_cannot_be_read_push_nobody_out() -> None:
    org = make_organization("Org1MSP", users=1)
    msps = MspManager([Msp.from_config(org.msp_config)], identities_max=2)
    known = msps.deserialize(org.users[0].identity)
    for number in range(50):
        with pytest.raises(UnknownIdentity):
            msps.deserialize(
                SerializedIdentity(mspid="Org1MSP", id_bytes=bytes([number])).SerializeToString()
            )
    assert msps.deserialize(org.users[0].identity) is known


def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    cache: LruCache[int, int] = LruCache(10)
    cache.put(-1, 1)
    for number in range(1000):
        cache.put(number, number + 1)
        assert cache.find(-1) == 1
        assert len(cache) <= 10
    assert cache.find(0) is None
    assert cache.find(999) == 1000
