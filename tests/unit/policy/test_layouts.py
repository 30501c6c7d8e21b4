"""How many endorsers of which organizations a gateway has to ask."""

import pytest

from tests.support.channels import make_channel
from tests.support.pki import make_organization
from tongban.node.core.policy import Layout, combine, endorsement_layouts, parse_policy
from tongban.node.core.policy.layouts import LAYOUTS_MAX


@pytest.mark.parametrize(
    ("text", "layouts"),
    [
        ("OR('A.peer','B.peer')", [{"A": 1}, {"B": 1}]),
        ("AND('A.peer','B.peer')", [{"A": 1, "B": 1}]),
        ("AND('A.member','A.peer')", [{"A": 2}]),
        (
            "OutOf(2,'A.peer','B.peer','C.peer')",
            [{"A": 1, "B": 1}, {"A": 1, "C": 1}, {"B": 1, "C": 1}],
        ),
        ("OutOf(2,'A.peer','B.peer','A.admin','B.client')", [{"A": 1, "B": 1}]),
        ("OR('A.peer',AND('A.peer','B.peer'))", [{"A": 1}]),
        ("AND('A.admin','B.peer')", []),
        ("OR('A.orderer')", []),
        # The OR takes every endorser it can, so one more is needed than counting says.
        ("AND(OR('A.peer','A.peer'),'A.peer')", [{"A": 3}]),
        ("OutOf(0,'A.peer')", [{}]),
        ("OutOf(3,'A.peer','B.peer')", []),
        (
            "AND(OR('A.peer','B.peer'),OR('C.peer','D.peer'))",
            [{"A": 1, "C": 1}, {"A": 1, "D": 1}, {"B": 1, "C": 1}, {"B": 1, "D": 1}],
        ),
    ],
)
def test_layouts_are_minimal_and_only_of_peers(text: str, layouts: list[Layout]) -> None:
    assert endorsement_layouts(parse_policy(text)) == layouts


def test_an_implicit_meta_policy_is_turned_into_its_signature_policy() -> None:
    channel = make_channel([make_organization(f"Org{n}MSP") for n in (1, 2, 3)])
    policy = channel.policies.get("/Channel/Application/Endorsement")
    assert endorsement_layouts(policy) == [
        {"Org1MSP": 1, "Org2MSP": 1},
        {"Org1MSP": 1, "Org3MSP": 1},
        {"Org2MSP": 1, "Org3MSP": 1},
    ]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ([{"A": 1}], [{"B": 1}], [{"A": 1, "B": 1}]),
        ([{"A": 1}], [{"A": 2}], [{"A": 2}]),
        ([{"A": 1}, {"B": 1}], [{"A": 1}], [{"A": 1}]),
        ([{"A": 1}, {"B": 1}], [{"B": 1, "C": 1}], [{"B": 1, "C": 1}]),
        ([], [{"A": 1}], []),
        ([{}], [{"A": 1}], [{"A": 1}]),
    ],
)
def test_one_endorser_counts_for_each_of_two_policies(
    one: list[Layout], other: list[Layout], both: list[Layout]
) -> None:
    assert combine(one, other) == both
    assert combine(other, one) == both


def test_many_ways_are_cut_to_the_smallest() -> None:
    members = ",".join(f"'Org{number:02}.peer'" for number in range(30))
    layouts = endorsement_layouts(parse_policy(f"OutOf(15,{members})"))
    assert len(layouts) == LAYOUTS_MAX
    assert all(sum(layout.values()) == 15 for layout in layouts)


def test_a_policy_made_to_explode_is_bounded() -> None:
    any_of = "OR(" + ",".join(f"'Org{number:02}.peer'" for number in range(40)) + ")"
    text = f"OutOf(20,{','.join([any_of] * 40)})"
    assert len(endorsement_layouts(parse_policy(text))) <= LAYOUTS_MAX
