"""A small channel with an orderer, its envelopes and its blocks, for tests."""

import itertools
from datetime import UTC, datetime
from functools import cache

from tests.support.channels import describe
from tests.support.pki import Member, Organization, make_organization
from tongban.node.core.channel import build_channel_config, build_genesis_block
from tongban.protos.ab_pb2 import SeekInfo, SeekNewest, SeekOldest, SeekPosition, SeekSpecified
from tongban.protos.common_pb2 import (
    Block,
    ChannelHeader,
    Envelope,
    Header,
    HeaderType,
    Payload,
    SignatureHeader,
)

CHANNEL = "mychannel"

OLDEST = SeekPosition(oldest=SeekOldest())
NEWEST = SeekPosition(newest=SeekNewest())

_serial = itertools.count()


class SmallNetwork:
    """One organization with clients, another that orders, and the channel they share."""

    def __init__(self, **changes: object) -> None:
        self.org: Organization = make_organization("Org1MSP", peers=1, users=2)
        self.orderer_org: Organization = make_organization("OrdererMSP", orderers=1)
        config = build_channel_config(describe([self.org], [self.orderer_org], **changes))
        self.genesis: Block = build_genesis_block(CHANNEL, config)
        self.stranger: Organization = make_organization("StrangerMSP", users=1)

    @property
    def client(self) -> Member:
        return self.org.users[0]

    @property
    def orderer(self) -> Member:
        return self.orderer_org.orderers[0]

    @property
    def genesis_bytes(self) -> bytes:
        return self.genesis.SerializeToString(deterministic=True)


@cache
def small_network() -> SmallNetwork:
    """One for all tests that change nothing of it: making certificates takes a while."""
    return SmallNetwork()


def envelope(
    member: Member,
    data: bytes = b"transaction",
    channel_id: str = CHANNEL,
    kind: int = HeaderType.ENDORSER_TRANSACTION,
) -> Envelope:
    """A signed envelope; no two are equal."""
    header = ChannelHeader(type=kind, channel_id=channel_id, tx_id=f"tx{next(_serial)}")
    return sign_payload(member, header, data)


def seek(position: SeekPosition | int) -> SeekPosition:
    if isinstance(position, int):
        return SeekPosition(specified=SeekSpecified(number=position))
    return position


def seek_envelope(
    member: Member,
    start: SeekPosition | int,
    stop: SeekPosition | int,
    *,
    channel_id: str = CHANNEL,
    at: datetime | None = None,
    tls_cert_hash: bytes = b"",
    **fields: object,
) -> bytes:
    """A serialized, signed deliver request; ``fields`` are those of SeekInfo."""
    info = SeekInfo(start=seek(start), stop=seek(stop), **fields)  # type: ignore[arg-type]
    header = ChannelHeader(
        type=HeaderType.DELIVER_SEEK_INFO, channel_id=channel_id, tls_cert_hash=tls_cert_hash
    )
    header.timestamp.FromDatetime(at or datetime.now(UTC))
    return sign_payload(member, header, info.SerializeToString()).SerializeToString()


def sign_payload(member: Member, channel_header: ChannelHeader, data: bytes) -> Envelope:
    signature_header = SignatureHeader(creator=member.identity, nonce=b"n" * 24)
    header = Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=signature_header.SerializeToString(),
    )
    payload = Payload(header=header, data=data).SerializeToString()
    return Envelope(payload=payload, signature=member.signer.sign(payload))


class MemoryBlockLog:
    """The block log's contract in memory; ``fail_with`` is what the next append raises."""

    def __init__(self, *blocks: bytes) -> None:
        self.blocks = list(blocks)
        self.fail_with: Exception | None = None
        self.closed = False

    @property
    def height(self) -> int:
        return len(self.blocks)

    def append(self, number: int, block: bytes) -> None:
        assert number == self.height
        if self.fail_with is not None:
            raise self.fail_with
        self.blocks.append(block)

    def get_block(self, number: int) -> bytes:
        return self.blocks[number]

    def close(self) -> None:
        self.closed = True
