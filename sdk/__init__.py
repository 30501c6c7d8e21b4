"""What an application imports to use a channel: blocking here, asyncio in ``tongban.sdk.aio``.

    from tongban.sdk import Gateway, Tls, load_msp_directory

    user = load_msp_directory("…/users/User1@org1.example.com/msp", "Org1MSP")
    tls = Tls(Path("…/tls/ca.crt").read_bytes(), server_name="peer0.org1.example.com")
    with Gateway.connect("localhost:7051", user, tls=tls) as gateway:
        contract = gateway.get_network("mychannel").get_contract("basic")
        contract.submit("CreateAsset", "a1", "blue", "5", "Li Na", "300")
        print(contract.evaluate("ReadAsset", "a1"))

It works at any gateway that speaks Fabric's protocol; at ours many transactions share one stream.
"""

from tongban.protos.errors import MalformedMessage, TongbanError
from tongban.protos.transaction_pb2 import TxValidationCode

from .blocking import (
    BlocksRequest,
    ChaincodeEventsRequest,
    Commit,
    Contract,
    EventStream,
    Gateway,
    Network,
    Proposal,
    Transaction,
)
from .channel import Tls
from .checkpoint import Checkpointer, FileCheckpointer, InMemoryCheckpointer
from .core.calls import IDEMPOTENCY_KEY, Call
from .core.commands import Timeouts
from .core.deferring import CommittedOrDeferred
from .core.events import ChaincodeEvent
from .core.flows import CommitStatus, Committed
from .core.pipeline import Outcome
from .errors import (
    CommitError,
    CommitStatusError,
    EndorseError,
    ErrorDetail,
    EvaluateError,
    EventsError,
    GatewayError,
    StatusCode,
    SubmitError,
    TransactionError,
)
from .identity import DigestSigner, Identity, Signer, SigningIdentity, load_msp_directory

__all__ = [
    "IDEMPOTENCY_KEY",
    "BlocksRequest",
    "Call",
    "ChaincodeEvent",
    "ChaincodeEventsRequest",
    "Checkpointer",
    "Commit",
    "CommitError",
    "CommitStatus",
    "CommitStatusError",
    "Committed",
    "CommittedOrDeferred",
    "Contract",
    "DigestSigner",
    "EndorseError",
    "ErrorDetail",
    "EvaluateError",
    "EventStream",
    "EventsError",
    "FileCheckpointer",
    "Gateway",
    "GatewayError",
    "Identity",
    "InMemoryCheckpointer",
    "MalformedMessage",
    "Network",
    "Outcome",
    "Proposal",
    "Signer",
    "SigningIdentity",
    "StatusCode",
    "SubmitError",
    "Timeouts",
    "Tls",
    "TongbanError",
    "Transaction",
    "TransactionError",
    "TxValidationCode",
    "load_msp_directory",
]
