"""Which peers there are, decided from announcements and their times."""

import pytest

from tongban.node.core.gateway.directory import (
    PEER_MEMORY_SECONDS,
    PEER_SILENCE_SECONDS,
    ChannelPresence,
    PeerDirectory,
    PeerRecord,
)


def a_peer(incarnation: int = 1, sequence: int = 1, name: str = "a1") -> PeerRecord:
    presence = {"ch": ChannelPresence(5, {"cc": "1.0"})}
    return PeerRecord(name, "A", name.encode(), incarnation, sequence, presence)


def test_newer_announcements_replace_older_ones_and_silence_removes_a_peer() -> None:
    directory = PeerDirectory()
    old = a_peer(1, 7)
    restarted = PeerRecord("a1", "A", b"a1", 2, 1, {"ch": ChannelPresence(9, {})})
    assert directory.learn(restarted, now=0.0)
    assert not directory.learn(old, now=1.0)
    assert directory.with_chaincode("ch", "cc", now=1.0) == []
    assert directory.with_chaincode("ch", "qscc", now=1.0) == [restarted]
    assert directory.live(now=PEER_SILENCE_SECONDS) == [restarted]
    assert directory.live(now=PEER_SILENCE_SECONDS + 0.1) == []


@pytest.mark.parametrize(("incarnation", "sequence"), [(1, 2), (2, 0), (2, 9)])
def test_an_unreachable_peer_returns_when_it_says_something_new(
    incarnation: int, sequence: int
) -> None:
    directory = PeerDirectory()
    assert directory.learn(a_peer(), now=0.0)
    directory.mark_unreachable(b"a1")
    assert directory.live(0.0) == []
    assert not directory.learn(a_peer(), now=0.5), "others still tell what it said earlier"
    assert directory.live(0.5) == []
    news = a_peer(incarnation, sequence)
    assert directory.learn(news, now=1.0)
    assert directory.live(1.0) == [news]


def test_a_peer_whose_clock_was_set_back_returns_after_a_long_silence() -> None:
    directory = PeerDirectory()
    directory.learn(a_peer(incarnation=9), now=0.0)
    assert not directory.learn(a_peer(incarnation=8), now=PEER_MEMORY_SECONDS)
    assert directory.learn(a_peer(incarnation=8), now=PEER_MEMORY_SECONDS + 1)
    assert directory.live(PEER_MEMORY_SECONDS + 1) == [a_peer(incarnation=8)]


def test_a_full_directory_takes_new_peers_when_old_ones_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tongban.node.core.gateway.directory.PEERS_MAX", 2)
    directory = PeerDirectory()
    for name in ("a1", "a2"):
        assert directory.learn(a_peer(name=name), now=0.0)
    assert not directory.learn(a_peer(name="a3"), now=1.0)
    assert directory.learn(a_peer(1, 2, "a2"), now=1.0), "known peers are still heard"
    later = PEER_MEMORY_SECONDS + 0.5
    assert directory.learn(a_peer(name="a3"), now=later)
    assert [record.endpoint for record in directory.remembered(later)] == ["a2", "a3"]
