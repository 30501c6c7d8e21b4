"""What an attacker with a key of his own, or with somebody's bytes, would send."""

import datetime as dt
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.support.load import CHANNEL
from tests.support.networks import RunningNetwork
from tests.support.pki import make_organization
from tongban.node.core.seek import build_seek
from tongban.protos.ab_pb2 import SeekInfo, SeekNewest, SeekOldest, SeekPosition
from tongban.protos.common_pb2 import ChannelHeader, Envelope, Header, Payload, SignatureHeader
from tongban.protos.digest import compute_tx_id
from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.protos.limits import GRPC_OPTIONS
from tongban.protos.proposal_pb2 import Proposal, SignedProposal
from tongban.protos.signing import GROUP_ORDERS, KeySigner, load_private_key
from tongban.protos.transaction_pb2 import ChaincodeActionPayload, Transaction
from tongban.sdk.core.proposal import NONCE_BYTES, Invocation, Moment, build_proposal

Sign = Callable[[bytes], bytes]


class Actor(NamedTuple):
    """Somebody who signs."""

    creator: bytes
    sign: Sign


@dataclass(frozen=True)
class Cast:
    """Who takes part in the attacks on one network."""

    honest: Actor
    careless: Actor
    """An honest one whose signatures fit other bytes."""
    high_s: Actor
    """An honest one whose signatures have the high S, as somebody on the way can make them."""
    expired: Actor
    foreign: Actor
    """Has a certificate of his own authority and claims an organization of the network."""
    unknown: Actor
    """Of an organization that nobody knows."""


def cast_of(network: RunningNetwork) -> Cast:
    organization = network.topology.organizations[0]
    user = network.connections.identity(organization, "User1")
    foreign = make_organization(organization.msp_id, users=1).users[0].signer
    unknown = make_organization("Org9MSP", users=1).users[0].signer
    return Cast(
        honest=Actor(user.creator, user.sign),
        careless=Actor(user.creator, lambda message: user.sign(message + b"!")),
        high_s=Actor(user.creator, lambda message: to_high_s(user.sign(message))),
        expired=_expired(network),
        foreign=Actor(foreign.creator, foreign.sign),
        unknown=Actor(unknown.creator, unknown.sign),
    )


def _expired(network: RunningNetwork) -> Actor:
    """A user of the first organization whose certificate ended a second ago."""
    organization = network.topology.organizations[0]
    folder = network.layout.tree_of(organization).path / "ca"
    authority = x509.load_pem_x509_certificate(
        (folder / f"ca.{organization.domain}-cert.pem").read_bytes()
    )
    key = load_private_key((folder / "priv_sk").read_bytes())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    own_key = ec.generate_private_key(ec.SECP256R1())
    names = [
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "client"),
        x509.NameAttribute(NameOID.COMMON_NAME, f"Past@{organization.domain}"),
    ]
    certificate = (
        x509.CertificateBuilder()
        .issuer_name(authority.subject)
        .subject_name(x509.Name(names))
        .public_key(own_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(authority.not_valid_before_utc)
        .not_valid_after(dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1))
        .sign(key, hashes.SHA256())
    )
    creator = SerializedIdentity(
        mspid=organization.msp_id, id_bytes=certificate.public_bytes(Encoding.PEM)
    ).SerializeToString()
    return Actor(creator, KeySigner(creator, own_key).sign)


def to_high_s(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, GROUP_ORDERS[ec.SECP256R1.name] - s)


def sign_proposal(
    actor: Actor, invocation: Invocation, moment: Moment | None = None
) -> SignedProposal:
    moment = moment or Moment(os.urandom(NONCE_BYTES), time.time_ns())
    _, data = build_proposal(invocation, actor.creator, moment)
    return SignedProposal(proposal_bytes=data, signature=actor.sign(data))


def with_wrong_tx_id(actor: Actor, invocation: Invocation) -> SignedProposal:
    """A proposal whose transaction id does not follow from its nonce and creator."""
    _, data = build_proposal(invocation, actor.creator, Moment(os.urandom(24), time.time_ns()))
    proposal = Proposal.FromString(data)
    header = Header.FromString(proposal.header)
    channel = ChannelHeader.FromString(header.channel_header)
    channel.tx_id = compute_tx_id(os.urandom(24), actor.creator)
    header.channel_header = channel.SerializeToString()
    proposal.header = header.SerializeToString()
    changed = proposal.SerializeToString()
    return SignedProposal(proposal_bytes=changed, signature=actor.sign(changed))


@dataclass
class OpenedEnvelope:
    """A transaction taken apart, to be put together otherwise."""

    channel: ChannelHeader
    signature: SignatureHeader
    action: ChaincodeActionPayload

    @classmethod
    def of(cls, payload: bytes) -> "OpenedEnvelope":
        opened = Payload.FromString(payload)
        (action,) = Transaction.FromString(opened.data).actions
        return cls(
            ChannelHeader.FromString(opened.header.channel_header),
            SignatureHeader.FromString(opened.header.signature_header),
            ChaincodeActionPayload.FromString(action.payload),
        )

    def signed_by(self, actor: Actor) -> Envelope:
        transaction = Transaction()
        action = transaction.actions.add()
        action.header = self.signature.SerializeToString()
        action.payload = self.action.SerializeToString()
        payload = Payload(data=transaction.SerializeToString())
        payload.header.channel_header = self.channel.SerializeToString()
        payload.header.signature_header = self.signature.SerializeToString()
        data = payload.SerializeToString()
        return Envelope(payload=data, signature=actor.sign(data))


def seek_all(actor: Actor, behavior: SeekInfo.SeekBehavior.ValueType) -> bytes:
    """A request for all blocks that there are."""
    seek = SeekInfo(
        start=SeekPosition(oldest=SeekOldest()),
        stop=SeekPosition(newest=SeekNewest()),
        behavior=behavior,
    )
    return build_seek(CHANNEL, seek, actor, os.urandom(24), dt.datetime.now(dt.UTC))


def dial(network: RunningNetwork, name: str, address: str = "") -> grpc.aio.Channel:
    """A connection to a node, as anybody can have it, or to what stands at another address."""
    topology = network.topology
    node = dict(topology.nodes())[name]
    domain = name.partition(".")[2]
    if domain == topology.orderer.domain:
        root = network.layout.tree_of_orderer(topology.orderer).tls_root
    else:
        (owner,) = [org for org in topology.organizations if org.domain == domain]
        root = network.layout.tree_of(owner).tls_root
    options = (*GRPC_OPTIONS, ("grpc.ssl_target_name_override", name))
    credentials = grpc.ssl_channel_credentials(root.read_bytes())
    target = address or f"127.0.0.1:{node.port}"
    return grpc.aio.secure_channel(target, credentials, options=options)
