"""The SDK for programs with threads; its names are those of ``tongban.sdk``."""

from .contract import Contract
from .events import BlocksRequest, ChaincodeEventsRequest, EventStream
from .gateway import Gateway
from .network import Network
from .steps import Commit, Proposal, Transaction

__all__ = [
    "BlocksRequest",
    "ChaincodeEventsRequest",
    "Commit",
    "Contract",
    "EventStream",
    "Gateway",
    "Network",
    "Proposal",
    "Transaction",
]
