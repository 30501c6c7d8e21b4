"""The SDK on asyncio: the names of ``tongban.sdk``, with ``await`` where something is asked.

>>> from tongban.sdk import aio
>>> async with aio.Gateway.connect("localhost:7051", user, tls=tls) as gateway:  # doctest: +SKIP
...     contract = gateway.get_network("mychannel").get_contract("basic")
...     await contract.submit("CreateAsset", "a1", "blue", "5")
"""

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
