"""What an application does with a transaction, step by step, as flows of commands.

Every failure leaves as the error of its step. A transaction is retried only when it has lost a race
for a key it read, by its verdict or because endorsers had read different versions: it is then known
to be without effect, so doing it again cannot do it twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tongban.protos.errors import MalformedMessage
from tongban.protos.gateway_pb2 import (
    CommitStatusResponse,
    EndorseResponse,
    EvaluateResponse,
    SignedCommitStatusRequest,
)
from tongban.protos.transaction_pb2 import TxValidationCode

from ..errors import (
    CommitError,
    CommitStatusError,
    EndorseError,
    EvaluateError,
    StatusCode,
    SubmitError,
    validation_code_name,
)
from .commands import (
    Accepted,
    AskStatus,
    AwaitVerdict,
    Endorse,
    Evaluate,
    Failure,
    Flow,
    Pause,
    Submit,
    Ticket,
    Timeouts,
)
from .prepared import Prepared, check_prepared
from .requests import build_endorse_request, build_evaluate_request, build_submit_request
from .signable import (
    Party,
    SignableCommit,
    SignableProposal,
    SignableTransaction,
    build_status_request,
)

READ_CONFLICTS = frozenset(
    {TxValidationCode.MVCC_READ_CONFLICT, TxValidationCode.PHANTOM_READ_CONFLICT}
)
"""Verdicts after which the same call, run again on newer state, may succeed."""

_VALID = TxValidationCode.VALID
"""Looked up once: protobuf searches its enums by name each time."""

MISMATCH_TEXT = "ProposalResponsePayloads do not match"
"""In a detail of a failed endorsement: endorsers disagree, most often because one has committed a
block more than another (fabric internal/pkg/gateway/endorsement.go)."""

PAUSE_FIRST_S = 0.02
PAUSE_MAX_S = 1.0
"""Between retries: doubled each time, about a block's time at first."""


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """The verdict on a transaction, after its block is on the peer's disk."""

    transaction_id: str
    code: int
    """A ``TxValidationCode``."""
    block_number: int

    @property
    def is_valid(self) -> bool:
        return self.code == _VALID

    @property
    def code_name(self) -> str:
        return validation_code_name(self.code)


@dataclass(frozen=True, slots=True)
class Committed:
    """A transaction that took effect."""

    transaction_id: str
    result: bytes
    """What the contract function returned."""
    block_number: int


def evaluate(proposal: SignableProposal, party: Party, timeout_s: float) -> Flow[bytes]:
    """Ask one peer; the answer is the function's result.

    Raises:
        EvaluateError: no peer could answer, or the contract refused.
    """
    proposal.sign_by(party)
    answer = yield Evaluate(build_evaluate_request(proposal), timeout_s)
    if isinstance(answer, Failure):
        raise EvaluateError(proposal.transaction_id, answer.code, answer.message, answer.details)
    assert isinstance(answer, EvaluateResponse)
    return answer.result.payload


def endorse(
    proposal: SignableProposal, party: Party, timeout_s: float
) -> Flow[tuple[bytes, Prepared]]:
    """Collect endorsements; the answer is the payload to sign and what it says.

    Raises:
        EndorseError: they were not collected, or the gateway answered with another transaction
            than the one proposed.
    """
    proposal.sign_by(party)
    answer = yield Endorse(build_endorse_request(proposal), timeout_s)
    if isinstance(answer, Failure):
        raise EndorseError(proposal.transaction_id, answer.code, answer.message, answer.details)
    assert isinstance(answer, EndorseResponse)
    payload = answer.prepared_transaction.payload
    try:
        return payload, check_prepared(payload, proposal.facts)
    except MalformedMessage as error:
        raise EndorseError(
            proposal.transaction_id,
            StatusCode.INTERNAL,
            f"the gateway's answer was not signed: {error}",
        ) from None


def submit(
    transaction: SignableTransaction, party: Party, timeouts: Timeouts
) -> Flow[Ticket | None]:
    """Hand a transaction to an orderer and do not wait for its verdict.

    Raises:
        SubmitError: no orderer said that it accepted.
    """
    command = _submit_command(transaction, party, timeouts, waits_for_commit=False)
    answer = yield command
    if isinstance(answer, Failure):
        raise SubmitError(transaction.transaction_id, answer.code, answer.message, answer.details)
    assert isinstance(answer, Accepted)
    return answer.ticket


def _submit_command(
    transaction: SignableTransaction, party: Party, timeouts: Timeouts, *, waits_for_commit: bool
) -> Submit:
    transaction.sign_by(party)
    transaction_id, channel_id = transaction.transaction_id, transaction.channel_id

    def signed_status_request() -> bytes:
        assert party.sign is not None
        message = build_status_request(transaction_id, channel_id, party.creator)
        return SignedCommitStatusRequest(
            request=message, signature=party.sign(message)
        ).SerializeToString()

    return Submit(
        request=build_submit_request(transaction),
        timeout_s=timeouts.submit_s,
        commit_timeout_s=timeouts.commit_status_s,
        status_request=None if party.sign is None else signed_status_request,
        waits_for_commit=waits_for_commit,
    )


def commit_status(
    commit: SignableCommit, ticket: Ticket | None, party: Party, timeout_s: float
) -> Flow[CommitStatus]:
    """The verdict, valid or not. It is waited for under the ticket when there is one; a signature
    is needed only to ask without.

    Raises:
        CommitStatusError: it could not be learnt in time.
    """
    answer = None
    if ticket is not None:
        answer = yield AwaitVerdict(ticket, timeout_s)
    can_ask = commit.is_signed or party.sign is not None
    if answer is None or (_is_lost(answer) and can_ask):
        commit.sign_by(party)
        answer = yield AskStatus(commit.bytes, timeout_s)
    if isinstance(answer, Failure):
        raise CommitStatusError(commit.transaction_id, answer.code, answer.message, answer.details)
    return _verdict(commit.transaction_id, answer)


def _is_lost(answer: object) -> bool:
    return isinstance(answer, Failure) and answer.code != StatusCode.DEADLINE_EXCEEDED


def _verdict(transaction_id: str, answer: object) -> CommitStatus:
    assert isinstance(answer, CommitStatusResponse)
    return CommitStatus(transaction_id, answer.result, answer.block_number)


def submit_and_wait(
    proposal: SignableProposal, party: Party, timeouts: Timeouts
) -> Flow[Committed]:
    """Endorse, submit and wait for the verdict.

    Raises:
        EndorseError, SubmitError, CommitStatusError: a step failed.
        CommitError: it was found invalid.
    """
    payload, prepared = yield from endorse(proposal, party, timeouts.endorse_s)
    transaction = SignableTransaction(payload, prepared)
    answer = yield _submit_command(transaction, party, timeouts, waits_for_commit=True)
    if isinstance(answer, Failure):
        error = CommitStatusError if answer.was_accepted else SubmitError
        raise error(proposal.transaction_id, answer.code, answer.message, answer.details)
    status = _verdict(transaction.transaction_id, answer)
    if not status.is_valid:
        raise CommitError(status.transaction_id, status.code, status.block_number)
    return Committed(status.transaction_id, prepared.result, status.block_number)


def submit_with_retries(
    propose: Callable[[], SignableProposal], party: Party, timeouts: Timeouts, retries: int
) -> Flow[Committed]:
    """``submit_and_wait``, and again with a new proposal, at most ``retries`` times, as long as it
    loses a race for a key. The last error leaves."""
    for attempt in range(retries + 1):
        try:
            return (yield from submit_and_wait(propose(), party, timeouts))
        except (CommitError, EndorseError) as error:
            if attempt == retries or not is_lost_race(error):
                raise
        yield Pause(min(PAUSE_FIRST_S * 2**attempt, PAUSE_MAX_S))
    raise AssertionError("the last attempt returns or raises")


def is_lost_race(error: CommitError | EndorseError) -> bool:
    """Whether the same call, run again on newer state, may succeed."""
    if isinstance(error, CommitError):
        return error.code in READ_CONFLICTS
    return any(MISMATCH_TEXT in detail.message for detail in error.details)
