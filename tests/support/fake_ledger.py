"""The ledger behind the fake gateway: what it was asked, what it answers, and a script of mishaps.

Functions: ``Echo`` answers its argument, anything else ``<function>(<arguments>)``.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import grpc

from tongban.protos.ab_pb2 import SeekInfo
from tongban.protos.chaincode_pb2 import ChaincodeInvocationSpec
from tongban.protos.common_pb2 import Envelope, Header, Payload
from tongban.protos.digest import sha256
from tongban.protos.gateway_pb2 import (
    ChaincodeEventsRequest,
    ChaincodeEventsResponse,
    CommitStatusRequest,
    CommitStatusResponse,
    EndorseRequest,
    EndorseResponse,
    ErrorDetail,
    EvaluateRequest,
    EvaluateResponse,
    SignedCommitStatusRequest,
    SubmitRequest,
)
from tongban.protos.proposal_pb2 import ChaincodeAction, ChaincodeProposalPayload, Proposal
from tongban.protos.proposal_response_pb2 import Endorsement, ProposalResponsePayload, Response
from tongban.protos.transaction_pb2 import (
    ChaincodeActionPayload,
    ChaincodeEndorsedAction,
    Transaction,
    TransactionAction,
    TxValidationCode,
)

Kind = Literal["endorse", "evaluate", "submit", "commit_status"]


@dataclass(eq=False)
class Refuse(Exception):
    """Fail the request."""

    code: grpc.StatusCode
    message: str
    details: tuple[ErrorDetail, ...] = ()


@dataclass(frozen=True)
class Hang:
    """Never answer."""


@dataclass(frozen=True)
class Delay:
    seconds: float


@dataclass(eq=False)
class Drop(Exception):
    """Break the connection: before the request has any effect, or between that and its answer."""

    when: Literal["before", "after"] = "before"


@dataclass(frozen=True)
class Forge:
    """Prepare another transaction than the one proposed."""


Act = Refuse | Hang | Delay | Drop | Forge


@dataclass
class FakeLedger:
    """What the gateway knows. All of it may be read and changed by tests, within ``run``."""

    script: dict[Kind, deque[Act]] = field(default_factory=dict)
    verdicts: deque[int] = field(default_factory=deque)
    """Codes of the next transactions; VALID when empty."""
    committed: dict[str, CommitStatusResponse] = field(default_factory=dict)
    ordered: list[str] = field(default_factory=list)
    """Transaction ids as they were submitted, doubles too."""
    calls: list[tuple[Kind, str]] = field(default_factory=list)
    """Kind and transaction id of every request that arrived."""
    proposals: list[Proposal] = field(default_factory=list)
    organizations: list[tuple[str, ...]] = field(default_factory=list)
    signatures: dict[str, bytes] = field(default_factory=dict)
    holds_commits: bool = False
    commit_delay_s: float = 0
    height: int = 1
    events: list[ChaincodeEventsResponse] = field(default_factory=list)
    seeks: list[SeekInfo | ChaincodeEventsRequest] = field(default_factory=list)
    waiting: dict[str, asyncio.Event] = field(default_factory=dict)

    async def act(self, kind: Kind, transaction_id: str) -> Act | None:
        self.calls.append((kind, transaction_id))
        acts = self.script.get(kind)
        act = acts.popleft() if acts else None
        match act:
            case Refuse():
                raise act
            case Drop(when="before"):
                raise act
            case Hang():
                await asyncio.Event().wait()
            case Delay():
                await asyncio.sleep(act.seconds)
        return act

    async def endorse(self, request: EndorseRequest) -> EndorseResponse:
        act = await self.act("endorse", request.transaction_id)
        proposal = self._note(request, request.endorsing_organizations)
        if isinstance(act, Forge):
            payload = ChaincodeProposalPayload.FromString(proposal.payload)
            spec = ChaincodeInvocationSpec.FromString(payload.input)
            spec.chaincode_spec.input.args[-1] = b"something else"
            payload.input = spec.SerializeToString()
            proposal.payload = payload.SerializeToString()
        if isinstance(act, Drop):
            raise act
        return EndorseResponse(prepared_transaction=Envelope(payload=assemble(proposal)))

    async def evaluate(self, request: EvaluateRequest) -> EvaluateResponse:
        act = await self.act("evaluate", request.transaction_id)
        proposal = self._note(request, request.target_organizations)
        if isinstance(act, Drop):
            raise act
        return EvaluateResponse(result=Response(status=200, payload=run(proposal)))

    async def submit(self, request: SubmitRequest) -> None:
        act = await self.act("submit", request.transaction_id)
        if not request.prepared_transaction.signature:
            raise Refuse(grpc.StatusCode.INVALID_ARGUMENT, "prepared transaction must be signed")
        self.signatures[request.transaction_id] = request.prepared_transaction.signature
        self.ordered.append(request.transaction_id)
        if not self.holds_commits:
            if self.commit_delay_s:
                loop = asyncio.get_running_loop()
                loop.call_later(self.commit_delay_s, self.commit, request.transaction_id)
            else:
                self.commit(request.transaction_id)
        if isinstance(act, Drop):
            raise act

    def commit(self, transaction_id: str) -> None:
        """Put a block with this transaction on the ledger; a second copy changes nothing."""
        if transaction_id not in self.committed:
            code = self.verdicts.popleft() if self.verdicts else TxValidationCode.VALID
            self.committed[transaction_id] = CommitStatusResponse(
                result=TxValidationCode.ValueType(code), block_number=self.height
            )
        self.height += 1
        self.waiting.setdefault(transaction_id, asyncio.Event()).set()

    async def verdict(self, transaction_id: str) -> CommitStatusResponse:
        await self.waiting.setdefault(transaction_id, asyncio.Event()).wait()
        return self.committed[transaction_id]

    async def commit_status(self, signed: SignedCommitStatusRequest) -> CommitStatusResponse:
        request = CommitStatusRequest.FromString(signed.request)
        act = await self.act("commit_status", request.transaction_id)
        if not signed.signature:
            raise Refuse(grpc.StatusCode.PERMISSION_DENIED, "the request is not signed")
        if isinstance(act, Drop):
            raise act
        return await self.verdict(request.transaction_id)

    def _note(
        self, request: EndorseRequest | EvaluateRequest, organizations: Iterable[str]
    ) -> Proposal:
        signed = request.proposed_transaction
        if not signed.signature:
            raise Refuse(grpc.StatusCode.INVALID_ARGUMENT, "the proposal must be signed")
        proposal = Proposal.FromString(signed.proposal_bytes)
        self.proposals.append(proposal)
        self.organizations.append(tuple(organizations))
        return proposal


def run(proposal: Proposal) -> bytes:
    payload = ChaincodeProposalPayload.FromString(proposal.payload)
    args = ChaincodeInvocationSpec.FromString(payload.input).chaincode_spec.input.args
    if args[0] == b"Echo":
        return args[1]
    return args[0] + b"(" + b",".join(args[1:]) + b")"


def assemble(proposal: Proposal) -> bytes:
    """The payload of the endorsed transaction, as a gateway puts it together."""
    header = Header.FromString(proposal.header)
    action = ChaincodeAction(response=Response(status=200, payload=run(proposal)))
    answer = ProposalResponsePayload(
        proposal_hash=sha256(proposal.payload), extension=action.SerializeToString()
    )
    call = ChaincodeProposalPayload(
        input=ChaincodeProposalPayload.FromString(proposal.payload).input
    )
    endorsed = ChaincodeActionPayload(
        chaincode_proposal_payload=call.SerializeToString(),
        action=ChaincodeEndorsedAction(
            proposal_response_payload=answer.SerializeToString(),
            endorsements=[Endorsement(endorser=b"peer" * 200, signature=b"s" * 70)] * 2,
        ),
    )
    transaction = Transaction(
        actions=[
            TransactionAction(header=header.signature_header, payload=endorsed.SerializeToString())
        ]
    )
    return Payload(header=header, data=transaction.SerializeToString()).SerializeToString()
