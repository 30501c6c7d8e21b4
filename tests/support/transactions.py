"""Endorser transactions for tests, right or wrong in any part, as ``builders`` explains."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol, Self

from tests.support.pki import Member, Organization, make_organization
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.policy import parse_policy
from tongban.node.core.state import Version
from tongban.protos.application_policy_pb2 import ApplicationPolicy
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.chaincode_pb2 import ChaincodeID
from tongban.protos.common_pb2 import (
    ChannelHeader,
    Envelope,
    Header,
    HeaderType,
    Payload,
    SignatureHeader,
)
from tongban.protos.digest import (
    compute_proposal_hash,
    compute_tx_id,
    sha256,
)
from tongban.protos.kvrwset_pb2 import (
    HashedRWSet,
    KVMetadataEntry,
    KVMetadataWrite,
    KVMetadataWriteHash,
    KVRead,
    KVReadHash,
    KVRWSet,
    KVWrite,
    KVWriteHash,
    QueryReads,
    QueryReadsMerkleSummary,
    RangeQueryInfo,
)
from tongban.protos.kvrwset_pb2 import Version as VersionMessage
from tongban.protos.proposal_pb2 import (
    ChaincodeAction,
    ChaincodeHeaderExtension,
    ChaincodeProposalPayload,
)
from tongban.protos.proposal_response_pb2 import (
    Endorsement,
    ProposalResponsePayload,
    Response,
)
from tongban.protos.rwset_pb2 import TxReadWriteSet
from tongban.protos.transaction_pb2 import (
    ChaincodeActionPayload,
    ChaincodeEndorsedAction,
    Transaction,
    TransactionAction,
)

VALIDATION_PARAMETER = "VALIDATION_PARAMETER"


class Numbering(Protocol):
    """The channel that a transaction is for, which also counts nonces."""

    config: ChannelConfig
    nonces: int


@cache
def organizations() -> tuple[Organization, Organization, Organization]:
    """Org1MSP, Org2MSP and OrdererMSP, made once: keys are slow."""
    return (
        make_organization("Org1MSP", peers=2, users=2),
        make_organization("Org2MSP", peers=2, users=1),
        make_organization("OrdererMSP", orderers=2),
    )


def signature_policy(text: str) -> bytes:
    return parse_policy(text).SerializeToString()


def application_policy(text: str) -> bytes:
    """A policy in words, or the path of one in the channel configuration."""
    if text.startswith("/"):
        return ApplicationPolicy(channel_config_policy_reference=text).SerializeToString()
    return ApplicationPolicy(signature_policy=parse_policy(text)).SerializeToString()


def read(key: str, version: Version | None) -> KVRead:
    return KVRead(key=key, version=_version(version))


def _version(version: Version | None) -> VersionMessage | None:
    if version is None:
        return None
    return VersionMessage(block_num=version.block_num, tx_num=version.tx_num)


def policy_entries(policy: str) -> list[KVMetadataEntry]:
    """Metadata with a key's own policy; none if the policy is empty."""
    if not policy:
        return []
    return [KVMetadataEntry(name=VALIDATION_PARAMETER, value=signature_policy(policy))]


def key_metadata(policy: str) -> bytes:
    return KVMetadataWrite(entries=policy_entries(policy)).SerializeToString()


@dataclass
class TxBuilder:
    """One endorser transaction. Its methods add to the read-write set and return it."""

    channel: Numbering
    chaincode: str
    creator: Member
    endorsers: Sequence[Member]
    nonce: bytes
    overrides: dict[str, object]
    parts: dict[str, tuple[KVRWSet, dict[str, HashedRWSet]]] = field(default_factory=dict)

    def reading(self, key: str, version: Version | None, namespace: str = "") -> Self:
        self._public(namespace).reads.append(read(key, version))
        return self

    def writing(self, key: str, value: bytes | None, namespace: str = "") -> Self:
        """A value, or None for a delete."""
        write = KVWrite(key=key, is_delete=value is None, value=value or b"")
        self._public(namespace).writes.append(write)
        return self

    def with_policy(self, key: str, policy: str, namespace: str = "") -> Self:
        """Write the key's own policy; empty removes it."""
        write = KVMetadataWrite(key=key, entries=policy_entries(policy))
        self._public(namespace).metadata_writes.append(write)
        return self

    def scanning(
        self,
        start: str,
        end: str,
        rows: Iterable[tuple[str, Version | None]],
        *,
        exhausted: bool = True,
        namespace: str = "",
    ) -> Self:
        query = RangeQueryInfo(start_key=start, end_key=end, itr_exhausted=exhausted)
        reads = [read(key, version) for key, version in rows]
        if reads:
            query.raw_reads.CopyFrom(QueryReads(kv_reads=reads))
        self._public(namespace).range_queries_info.append(query)
        return self

    def summarising(self, start: str, end: str, summary: QueryReadsMerkleSummary) -> Self:
        query = RangeQueryInfo(start_key=start, end_key=end, itr_exhausted=True)
        query.reads_merkle_hashes.CopyFrom(summary)
        self._public("").range_queries_info.append(query)
        return self

    def reading_hash(self, collection: str, key: str, version: Version | None) -> Self:
        one = KVReadHash(key_hash=sha256(key.encode()), version=_version(version))
        self._hashed(collection).hashed_reads.append(one)
        return self

    def writing_private(
        self, collection: str, key: str, value: bytes | None, *, purge: bool = False
    ) -> Self:
        one = KVWriteHash(key_hash=sha256(key.encode()), is_delete=value is None, is_purge=purge)
        if value is not None:
            one.value_hash = sha256(value)
        self._hashed(collection).hashed_writes.append(one)
        return self

    def with_private_policy(self, collection: str, key: str, policy: str) -> Self:
        one = KVMetadataWriteHash(key_hash=sha256(key.encode()), entries=policy_entries(policy))
        self._hashed(collection).metadata_writes.append(one)
        return self

    def touching(self, namespace: str) -> Self:
        """A namespace of which nothing is said."""
        self._public(namespace)
        return self

    def _public(self, namespace: str) -> KVRWSet:
        return self.parts.setdefault(namespace or self.chaincode, (KVRWSet(), {}))[0]

    def _hashed(self, collection: str) -> HashedRWSet:
        collections = self.parts.setdefault(self.chaincode, (KVRWSet(), {}))[1]
        return collections.setdefault(collection, HashedRWSet())

    @property
    def tx_id(self) -> str:
        return compute_tx_id(self.nonce, self.creator.identity)

    def results(self) -> bytes:
        message = TxReadWriteSet()
        for namespace, (public, collections) in self.parts.items():
            part = message.ns_rwset.add(namespace=namespace, rwset=public.SerializeToString())
            for collection, hashed in collections.items():
                part.collection_hashed_rwset.add(
                    collection_name=collection,
                    hashed_rwset=hashed.SerializeToString(),
                    pvt_rwset_hash=sha256(collection.encode()) if hashed.hashed_writes else b"",
                )
        return message.SerializeToString()

    def _get(self, name: str, default: Callable[[], bytes]) -> bytes:
        found = self.overrides.get(name)
        if found is None:
            return default()
        assert isinstance(found, bytes), name
        return found

    def channel_header(self) -> ChannelHeader:
        header = ChannelHeader(
            type=HeaderType.ENDORSER_TRANSACTION,
            channel_id=self.channel.config.channel_id,
            tx_id=self.tx_id,
            extension=ChaincodeHeaderExtension(
                chaincode_id=ChaincodeID(name=self.chaincode)
            ).SerializeToString(),
        )
        for name in ("type", "channel_id", "tx_id", "epoch", "extension"):
            if name in self.overrides:
                setattr(header, name, self.overrides[name])
        return header

    def action(self) -> bytes:
        message = ChaincodeAction(
            results=self._get("results", self.results),
            events=self._get("events", lambda: b""),
            response=Response(status=200),
        )
        name = self.overrides.get("endorsed_name", self.chaincode)
        if name is not None:
            version = str(self.overrides.get("endorsed_version", "1.0"))
            message.chaincode_id.CopyFrom(ChaincodeID(name=str(name), version=version))
        return message.SerializeToString()

    def envelope(self) -> Envelope:
        """The envelope, signed by its creator."""
        channel_header = self._get(
            "channel_header", lambda: self.channel_header().SerializeToString()
        )
        signature_header = self._get(
            "signature_header",
            lambda: SignatureHeader(
                creator=self.creator.identity, nonce=self.nonce
            ).SerializeToString(),
        )
        data = self._get("data", lambda: self.transaction(channel_header, signature_header))
        payload = self._get(
            "payload",
            lambda: Payload(
                header=Header(channel_header=channel_header, signature_header=signature_header),
                data=data,
            ).SerializeToString(),
        )
        signature = self._get("signature", lambda: self.creator.signer.sign(payload))
        return Envelope(payload=payload, signature=signature)

    def transaction(self, channel_header: bytes, signature_header: bytes) -> bytes:
        action_header = self._get("action_header", lambda: signature_header)
        payload = self._get(
            "action_payload",
            lambda: self.action_payload(channel_header, action_header).SerializeToString(),
        )
        count = self.overrides.get("action_count", 1)
        assert isinstance(count, int)
        actions = [TransactionAction(header=action_header, payload=payload)] * count
        return Transaction(actions=actions).SerializeToString()

    def action_payload(self, channel_header: bytes, action_header: bytes) -> ChaincodeActionPayload:
        proposal = self._get(
            "proposal", lambda: ChaincodeProposalPayload(input=b"input").SerializeToString()
        )
        digest = compute_proposal_hash(channel_header, action_header, proposal)
        response = self._get(
            "response_payload",
            lambda: ProposalResponsePayload(
                proposal_hash=self._get("proposal_hash", lambda: digest),
                extension=self._get("action", self.action),
            ).SerializeToString(),
        )
        endorsements = [endorse(response, member) for member in self.endorsers]
        endorsements += self.overrides.get("more_endorsements", [])  # type: ignore[arg-type]
        return ChaincodeActionPayload(
            chaincode_proposal_payload=proposal,
            action=ChaincodeEndorsedAction(
                proposal_response_payload=response, endorsements=endorsements
            ),
        )

    def serialize(self) -> bytes:
        return self._get("envelope", lambda: self.envelope().SerializeToString())


def endorse(response_payload: bytes, member: Member) -> Endorsement:
    signature = member.signer.sign(response_payload + member.identity)
    return Endorsement(endorser=member.identity, signature=signature)


def a_tx(
    channel: Numbering,
    chaincode: str = "cc",
    *,
    endorsers: Sequence[Member] | None = None,
    creator: Member | None = None,
    **overrides: object,
) -> TxBuilder:
    """A transaction endorsed by a peer of each organization, unless said otherwise. Overrides
    replace the named part, from ``envelope`` down to ``results``."""
    org1, org2, _ = organizations()
    channel.nonces += 1
    return TxBuilder(
        channel=channel,
        chaincode=chaincode,
        creator=creator or org1.users[0],
        endorsers=(org1.peers[0], org2.peers[0]) if endorsers is None else endorsers,
        nonce=channel.nonces.to_bytes(24, "big"),
        overrides=overrides,
    )


def an_event(chaincode: str, name: str = "happened") -> bytes:
    return ChaincodeEvent(chaincode_id=chaincode, event_name=name).SerializeToString()
