"""The endorsement plan, as conversations: who is asked, who answers, who is asked next."""

from hypothesis import given
from hypothesis import strategies as st

from tongban.node.core.gateway.directory import ChannelPresence, PeerRecord, by_preference
from tongban.node.core.gateway.plan import EndorsementPlan


def peer(name: str, org: str, height: int = 5, chaincodes: tuple[str, ...] = ("cc",)) -> PeerRecord:
    presence = ChannelPresence(height, dict.fromkeys(chaincodes, "1.0"))
    return PeerRecord(name, org, name.encode(), 1, 1, {"ch": presence})


A1, A2, B1, B2, C1 = (
    peer("a1", "A"),
    peer("a2", "A"),
    peer("b1", "B"),
    peer("b2", "B"),
    peer("c1", "C"),
)


def test_one_peer_of_each_organization_is_asked() -> None:
    plan = EndorsementPlan([{"A": 1, "B": 1}], [A1, A2, B1])
    assert plan.next_peers() == [A1, B1]
    assert plan.next_peers() == []
    plan.mark_endorsed(A1)
    assert not plan.is_complete
    plan.mark_endorsed(B1)
    assert plan.is_complete


def test_the_second_peer_of_an_organization_takes_over() -> None:
    plan = EndorsementPlan([{"A": 1, "B": 1}], [A1, A2, B1])
    plan.next_peers()
    plan.mark_failed(A1)
    assert plan.next_peers() == [A2]
    plan.mark_endorsed(A2)
    plan.mark_endorsed(B1)
    assert plan.is_complete


def test_layouts_that_need_an_exhausted_organization_are_dropped() -> None:
    plan = EndorsementPlan([{"A": 1, "B": 1}, {"B": 2}, {"A": 1, "C": 1}], [A1, B1, C1])
    plan.next_peers()
    plan.mark_failed(B1)
    plan.mark_endorsed(A1)
    assert plan.is_possible
    assert plan.next_peers() == [C1]
    plan.mark_endorsed(C1)
    assert plan.is_complete


def test_nothing_is_possible_when_no_layout_has_enough_peers() -> None:
    plan = EndorsementPlan([{"A": 3}, {"D": 1}], [A1, A2, B1])
    assert not plan.is_possible
    assert not plan.is_complete
    assert plan.next_peers() == []


def test_an_endorsement_from_outside_the_plan_counts() -> None:
    plan = EndorsementPlan([{"B": 1}, {"A": 1, "B": 1}], [A1, A2, B1])
    plan.prefer("A")
    plan.mark_endorsed(A1)
    assert plan.next_peers() == [B1]


@given(
    layouts=st.lists(
        st.dictionaries(st.sampled_from("ABC"), st.integers(1, 2), min_size=1), max_size=4
    ),
    failing=st.sets(st.sampled_from(["a1", "a2", "b1", "b2", "c1"])),
)
def test_a_plan_completes_exactly_when_the_healthy_peers_satisfy_a_layout(
    layouts: list[dict[str, int]], failing: set[str]
) -> None:
    peers = [A1, A2, B1, B2, C1]
    plan = EndorsementPlan(layouts, peers)
    asked: list[PeerRecord] = []
    while plan.is_possible and not plan.is_complete:
        batch = plan.next_peers()
        assert batch, "a possible, incomplete plan must know whom to ask"
        for chosen in batch:
            assert chosen not in asked
            asked.append(chosen)
            if chosen.endpoint in failing:
                plan.mark_failed(chosen)
            else:
                plan.mark_endorsed(chosen)
    healthy = [p.msp_id for p in peers if p.endpoint not in failing]
    expected = any(
        all(healthy.count(org) >= count for org, count in layout.items()) for layout in layouts
    )
    assert plan.is_complete == expected


def test_the_own_organization_comes_first_then_the_higher_peer_then_oneself() -> None:
    low, high, other = peer("z1", "A", 3), peer("z2", "A", 9), peer("z0", "B", 99)
    same = peer("z9", "A", 9)
    ordered = by_preference([other, low, high, same], "ch", "A", "z9")
    assert [p.endpoint for p in ordered] == ["z9", "z2", "z1", "z0"]
