"""Whatever peers answer, an endorsement ends, asks nobody twice, and never lies."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tests.support.gateway_ports import (
    Answer,
    FakeChannel,
    FakeEndorsers,
    a_gateway,
    a_peer,
    a_proposal,
    endorsed,
    refused,
    unreachable,
)
from tongban.node.core.gateway.errors import Code, GatewayError
from tongban.node.core.gateway.plan import Layout
from tongban.protos.common_pb2 import Payload
from tongban.protos.gateway_pb2 import EndorseRequest
from tongban.protos.transaction_pb2 import ChaincodeActionPayload, Transaction

ORGS = "ABC"
PEERS = [a_peer(f"{org}{number}", org) for org in ORGS for number in range(2)]
NAMES = [f"{org}{number}" for org in ORGS for number in range(2)]


def answer_of(name: str, kind: str) -> Answer:
    match kind:
        case "gone":
            return unreachable()
        case "down":
            return refused(500, "down")
        case "no":
            return refused(404, "no", b"p")
    return endorsed(name, kind.encode())


KINDS = st.sampled_from(["same", "same", "same", "other", "gone", "down", "no"])
LAYOUTS = st.lists(
    st.dictionaries(st.sampled_from(ORGS), st.integers(1, 2), min_size=1), min_size=1, max_size=4
)


@given(
    kinds=st.fixed_dictionaries(dict.fromkeys(NAMES, KINDS)),
    layouts=LAYOUTS,
    there=st.sets(st.sampled_from(NAMES)),
    named=st.sets(st.sampled_from(ORGS)),
)
def test_an_endorsement_satisfies_a_layout_or_says_who_failed(
    kinds: dict[str, str], layouts: list[Layout], there: set[str], named: set[str]
) -> None:
    peers = FakeEndorsers(
        [peer for peer, name in zip(PEERS, NAMES, strict=True) if name in there],
        {name: answer_of(name, kind) for name, kind in kinds.items()},
    )
    gateway = a_gateway(FakeChannel(layouts), peers)
    request = EndorseRequest(
        proposed_transaction=a_proposal(), endorsing_organizations=sorted(named)
    )
    wanted: list[Layout] = [dict.fromkeys(named, 1)] if named else layouts
    try:
        response = asyncio.run(gateway.endorse(request))
    except GatewayError as error:
        assert error.code in (Code.ABORTED, Code.UNAVAILABLE, Code.FAILED_PRECONDITION)
        assert bool(error.details) == (error.code is Code.ABORTED)
        assert {detail.address[:2] for detail in error.details} <= set(peers.asked)
    else:
        by = endorsers_of(response.prepared_transaction.payload)
        assert {name: count_of(by, name) for name in {org for org, _ in by}} in [
            dict(layout) for layout in wanted
        ]
        assert len({kinds[org + number] for org, number in by}) == 1, "payloads were equal"
    assert len(peers.asked) == len(set(peers.asked)), "nobody was asked twice"
    assert set(peers.asked) <= there


def endorsers_of(payload: bytes) -> list[tuple[str, str]]:
    """Organization and number of each endorser."""
    (action,) = Transaction.FromString(Payload.FromString(payload).data).actions
    endorsements = ChaincodeActionPayload.FromString(action.payload).action.endorsements
    return [(name[:1], name[1:]) for name in (e.endorser.decode() for e in endorsements)]


def count_of(endorsers: list[tuple[str, str]], org: str) -> int:
    return sum(found == org for found, _ in endorsers)
