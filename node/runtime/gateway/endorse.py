"""Collect the endorsements a transaction needs (fabric internal/pkg/gateway/endorse.go).

The first endorser's answer says which chaincodes, collections and keys the transaction touches;
the layouts that satisfy all their policies follow from it, and the other endorsers are asked at
once. All payloads must be equal, byte for byte.
"""

import asyncio
from collections.abc import Awaitable, Sequence

from tongban.node.core.gateway.answer import EndorserAnswer, Failure, classify
from tongban.node.core.gateway.assemble import build_transaction_payload, needed_endorsements
from tongban.node.core.gateway.difference import explain_mismatch
from tongban.node.core.gateway.directory import PeerRecord
from tongban.node.core.gateway.errors import Code, GatewayError, NodeError
from tongban.node.core.gateway.plan import EndorsementPlan, Layout
from tongban.node.core.gateway.request import ProposalFacts
from tongban.node.runtime.gateway.ask import ask
from tongban.node.runtime.gateway.ports import Endorsers, GatewayChannel
from tongban.protos.common_pb2 import Envelope
from tongban.protos.proposal_response_pb2 import (
    ChaincodeCall,
    ChaincodeInterest,
    Endorsement,
    ProposalResponse,
)

NOT_ENOUGH = "failed to collect enough transaction endorsements, see attached details for more info"
FIRST_FAILED = "failed to endorse transaction, see attached details for more info"
NO_LOCAL_ENDORSER = (
    "no endorsers found in the gateway's organization; retry specifying endorsing "
    "organization(s) to protect transient data"
)


class Endorsing:
    """One Endorse call from beginning to end."""

    def __init__(
        self,
        facts: ProposalFacts,
        channel: GatewayChannel,
        endorsers: Endorsers,
        limit: float | None,
    ) -> None:
        """One endorser may take ``limit`` seconds, any time if that is None."""
        self._facts = facts
        self._limit = limit
        self._channel = channel
        self._endorsers = endorsers
        self._payload: bytes | None = None
        self._payload_msp_id = ""
        self._endorsements: list[tuple[str, Endorsement]] = []
        self._errors: list[NodeError] = []
        self._failed: set[bytes] = set()
        """Identities of peers that are not asked again."""
        self.stage = "collecting first endorsement"

    async def run(self, organizations: Sequence[str]) -> Envelope:
        """The envelope for the client to sign.

        Raises:
            GatewayError: as Fabric's gateway does, with a detail for each failed endorser.
        """
        if organizations:
            self.stage = "collecting endorsements"
            plan = self._plan_for(organizations)
        else:
            plan = await self._plan_from_first_endorser()
            self.stage = "collecting endorsements"
        await self._collect(plan)
        if not plan.is_complete or self._payload is None:
            raise GatewayError(Code.ABORTED, NOT_ENOUGH, self._errors)
        endorsements = needed_endorsements(plan.layout, self._endorsements)
        payload = build_transaction_payload(self._facts.received, self._payload, endorsements)
        return Envelope(payload=payload)

    def _peers(self) -> list[PeerRecord]:
        return self._endorsers.with_chaincode(self._facts.channel_id, self._facts.chaincode)

    def _peers_with(self, chaincodes: set[str]) -> list[PeerRecord]:
        """Those that can run all that the transaction calls."""
        peers = self._peers()
        for chaincode in chaincodes - {self._facts.chaincode}:
            able = self._endorsers.with_chaincode(self._facts.channel_id, chaincode)
            identities = {peer.identity for peer in able}
            peers = [peer for peer in peers if peer.identity in identities]
        return peers

    def _plan_for(self, organizations: Sequence[str]) -> EndorsementPlan:
        peers = self._peers()
        known = {peer.msp_id for peer in peers}
        missing = [name for name in dict.fromkeys(organizations) if name not in known]
        if missing:
            text = f"failed to find any endorsing peers for org(s): {', '.join(missing)}"
            raise GatewayError(Code.UNAVAILABLE, text)
        return EndorsementPlan([dict.fromkeys(organizations, 1)], peers)

    async def _plan_from_first_endorser(self) -> EndorsementPlan:
        first, response = await self._ask_first()
        interest = response.interest
        if not interest.chaincodes:
            interest = self._plain_interest()
        peers = self._peers_with({call.name for call in interest.chaincodes})
        layouts = self._layouts(interest)
        plan = EndorsementPlan(layouts, peers)
        plan.prefer(first.msp_id)
        if not plan.is_possible:
            raise GatewayError(Code.FAILED_PRECONDITION, _too_few(layouts, peers))
        for peer in peers:
            if peer.identity in self._failed:
                plan.mark_failed(peer)
        plan.mark_asked(first)
        self._take(plan, first, EndorserAnswer(response))
        return plan

    def _plain_interest(self) -> ChaincodeInterest:
        return ChaincodeInterest(chaincodes=[ChaincodeCall(name=self._facts.chaincode)])

    def _layouts(self, interest: ChaincodeInterest) -> list[Layout]:
        if not self._facts.has_transient:
            return self._channel.layouts(interest)
        layouts = self._channel.layouts(interest, protect_transient=True)
        if not layouts and self._channel.layouts(interest):
            names = [c for call in interest.chaincodes for c in call.collection_names]
            text = (
                "requires endorsement from organisation(s) that are not in the distribution policy "
                f"of the private data collection(s): [{' '.join(names)}]; retry specifying trusted "
                "endorsing organizations to protect transient data"
            )
            raise GatewayError(Code.FAILED_PRECONDITION, text)
        return layouts

    def _first_candidates(self) -> list[PeerRecord]:
        peers = self._peers()
        local = [peer for peer in peers if peer.msp_id == self._endorsers.local.msp_id]
        if local:
            return local
        if self._facts.has_transient:
            raise GatewayError(Code.FAILED_PRECONDITION, NO_LOCAL_ENDORSER)
        layouts = self._channel.layouts(self._plain_interest())
        plan = EndorsementPlan(layouts, peers)
        if not plan.is_possible:
            raise GatewayError(Code.FAILED_PRECONDITION, _too_few(layouts, peers))
        wanted = {peer.msp_id for peer in plan.next_peers()}
        return [peer for peer in peers if peer.msp_id in wanted]

    def _next_candidates(self) -> list[PeerRecord]:
        try:
            candidates = self._first_candidates()
        except GatewayError:
            if not self._errors:
                raise
            return []
        return [peer for peer in candidates if peer.identity not in self._failed]

    async def _ask_first(self) -> tuple[PeerRecord, ProposalResponse]:
        """The first success. Fabric stays with the organization it began with; here, when none of
        its peers could be reached, those of others are asked, as if it had none."""
        is_reached = False
        while candidates := self._next_candidates():
            for peer in candidates:
                answer = await self._ask(peer)
                failure = self._note_failure(peer, answer)
                if failure is None and answer.response is not None:
                    return peer, answer.response
                is_reached = is_reached or (failure is not None and not failure.forget_peer)
            if is_reached:
                break
        raise GatewayError(Code.ABORTED, FIRST_FAILED, self._errors)

    async def _collect(self, plan: EndorsementPlan) -> None:
        running: dict[asyncio.Future[EndorserAnswer], PeerRecord] = {}
        try:
            while plan.is_possible and not plan.is_complete:
                peers = plan.next_peers()
                if len(peers) == 1 and not running:
                    # The common case does without a task and a wait, which cost more than the rest.
                    self._take(plan, peers[0], await self._ask(peers[0]))
                    continue
                for peer in peers:
                    running[asyncio.ensure_future(self._ask(peer))] = peer
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    self._take(plan, running.pop(task), task.result())
        finally:
            for task in running:
                task.cancel()

    def _ask(self, peer: PeerRecord) -> Awaitable[EndorserAnswer]:
        return ask(self._endorsers.call, peer, self._facts.received, self._limit)

    def _take(self, plan: EndorsementPlan, peer: PeerRecord, answer: EndorserAnswer) -> None:
        if self._note_failure(peer, answer) is not None or answer.response is None:
            plan.mark_failed(peer)
            return
        response = answer.response
        if self._payload is None:
            self._payload, self._payload_msp_id = response.payload, peer.msp_id
        elif response.payload != self._payload:
            text = explain_mismatch(
                self._payload, self._payload_msp_id, response.payload, peer.msp_id
            )
            self._errors.append(NodeError(peer.endpoint, peer.msp_id, text))
            plan.mark_failed(peer)
            return
        self._endorsements.append((peer.msp_id, response.endorsement))
        plan.mark_endorsed(peer)

    def _note_failure(self, peer: PeerRecord, answer: EndorserAnswer) -> Failure | None:
        failure = classify(answer)
        if failure is None:
            return None
        self._errors.append(NodeError(peer.endpoint, peer.msp_id, failure.message))
        self._failed.add(peer.identity)
        if failure.forget_peer:
            self._endorsers.forget(peer)
        return failure


def _too_few(layouts: Sequence[Layout], peers: Sequence[PeerRecord]) -> str:
    have: dict[str, int] = {}
    for peer in peers:
        have[peer.msp_id] = have.get(peer.msp_id, 0) + 1
    lacking = {
        f"{org} needs {count}, has {have.get(org, 0)}"
        for layout in layouts
        for org, count in layout.items()
        if have.get(org, 0) < count
    }
    return (
        "failed to select a set of endorsers that satisfy the endorsement policy due to "
        f"unavailability of peers: [{'; '.join(sorted(lacking))}]"
    )
