"""Clients of a test ledger: an identity with a certificate of its own making, and its proposals."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tongban.contracts import canonical
from tongban.contracts.runtime.bridge import Invocation
from tongban.protos.certificates import ATTRIBUTES_OID
from tongban.protos.chaincode_pb2 import ChaincodeInvocationSpec
from tongban.protos.common_pb2 import ChannelHeader, Header, HeaderType, SignatureHeader
from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.protos.proposal_pb2 import (
    ChaincodeHeaderExtension,
    ChaincodeProposalPayload,
    Proposal,
    SignedProposal,
)

_VALID_FROM = datetime(2019, 1, 1, tzinfo=UTC)
_VALID_UNTIL = datetime(2099, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LedgerClient:
    """Somebody who calls contracts on a test ledger. Equal descriptions give the same client."""

    mspid: str
    name: str
    creator: bytes
    """The serialized identity that contracts see."""

    @staticmethod
    def create(
        mspid: str, name: str, roles: tuple[str, ...], attributes: Mapping[str, str]
    ) -> "LedgerClient":
        """The client of this description, with a self-signed certificate."""
        return _create(mspid, name, roles, tuple(sorted(attributes.items())))


@lru_cache(maxsize=1024)
def _create(
    mspid: str, name: str, roles: tuple[str, ...], attributes: tuple[tuple[str, str], ...]
) -> LedgerClient:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role) for role in roles]
        + [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ca.{mspid}")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
    )
    if attributes:
        document = canonical.encode({"attrs": dict(attributes)})
        builder = builder.add_extension(
            x509.UnrecognizedExtension(ATTRIBUTES_OID, document), critical=False
        )
    certificate = builder.sign(key, hashes.SHA256())
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    creator = SerializedIdentity(mspid=mspid, id_bytes=pem).SerializeToString()
    return LedgerClient(mspid, name, creator)


def build_signed_proposal(call: Invocation, nonce: bytes) -> bytes:
    """The proposal that a client would have sent for this call; its signature is left empty."""
    extension = ChaincodeHeaderExtension()
    extension.chaincode_id.name = call.chaincode_name
    channel_header = ChannelHeader(
        type=HeaderType.ENDORSER_TRANSACTION,
        channel_id=call.channel_id,
        tx_id=call.tx_id,
        extension=extension.SerializeToString(),
    )
    channel_header.timestamp.seconds = call.timestamp_seconds
    channel_header.timestamp.nanos = call.timestamp_nanos
    signature_header = SignatureHeader(creator=call.creator, nonce=nonce)
    header = Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=signature_header.SerializeToString(),
    )
    invocation = ChaincodeInvocationSpec()
    invocation.chaincode_spec.chaincode_id.name = call.chaincode_name
    invocation.chaincode_spec.input.args.extend(call.args)
    payload = ChaincodeProposalPayload(
        input=invocation.SerializeToString(), TransientMap=dict(call.transient)
    )
    proposal = Proposal(header=header.SerializeToString(), payload=payload.SerializeToString())
    return SignedProposal(proposal_bytes=proposal.SerializeToString()).SerializeToString()
