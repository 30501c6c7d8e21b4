"""Whether a row of endorsers satisfies an endorsement policy of a channel.

A policy is a signature policy or the path of one in the channel configuration (fabric
core/policy/application.go). The same few policies meet the same few endorsers all day, so parsed
policies and answers are remembered. One object serves one channel configuration.
"""

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.identity import Identity, role_principal
from tongban.node.core.lru import LruCache
from tongban.node.core.policy import Policy, SignaturePolicy
from tongban.protos.application_policy_pb2 import ApplicationPolicy
from tongban.protos.codec import parse
from tongban.protos.errors import TongbanError
from tongban.protos.msp_principal_pb2 import MSPRole
from tongban.protos.policies_pb2 import SignaturePolicy as SignaturePolicyMessage
from tongban.protos.policies_pb2 import SignaturePolicyEnvelope

LIFECYCLE_ENDORSEMENT = "/Channel/Application/LifecycleEndorsement"
"""Endorses changes of chaincode definitions (fabric core/chaincode/lifecycle/lifecycle.go)."""

POLICIES_MAX = 1_024
"""Parsed policies remembered, a few kilobytes each; a key may have a policy of its own."""

ANSWERS_MAX = 8_192
"""Pairs of a policy and a row of endorsers whose answer is remembered, about 200 bytes each."""

Endorsers = tuple[Identity, ...]
"""Identities whose signature holds, each once, in the order of the transaction."""


class EndorsementPolicies:
    """The policies of one channel configuration, as endorsements are measured against them."""

    def __init__(self, channel: ChannelConfig) -> None:
        self._channel = channel
        self._parsed: LruCache[bytes, list[Policy]] = LruCache(POLICIES_MAX)
        self._answers: LruCache[tuple[bytes, tuple[str, ...]], bool] = LruCache(ANSWERS_MAX)

    @property
    def channel(self) -> ChannelConfig:
        return self._channel

    def satisfied(self, policy: bytes, endorsers: Endorsers) -> bool:
        """Whether the endorsers satisfy a serialized ApplicationPolicy. One that cannot be read, or
        refers to nothing, is satisfied by nobody."""
        asked = (policy, tuple([identity.id for identity in endorsers]))
        answer = self._answers.find(asked)
        if answer is None:
            parsed = self._find(policy)
            answer = parsed is not None and parsed.evaluate(endorsers).satisfied
            self._answers.put(asked, answer)
        return answer

    def lifecycle_policy(self) -> bytes:
        """Who changes chaincode definitions: the channel's policy for it, else a member of a
        majority of its organizations."""
        if self._channel.policies.find(LIFECYCLE_ENDORSEMENT) is not None:
            return reference(LIFECYCLE_ENDORSEMENT)
        mspids = sorted(org.mspid for org in self._channel.application_orgs.values())
        return members_policy(mspids, len(mspids) // 2 + 1)

    def implicit_collection_policy(self, mspid: str) -> bytes | None:
        """Who writes an organization's implicit collection: its endorsement policy, else any of its
        members. None if the channel has no such organization."""
        for name, organization in self._channel.application_orgs.items():
            if organization.mspid == mspid:
                path = f"/Channel/Application/{name}/Endorsement"
                if self._channel.policies.find(path) is not None:
                    return reference(path)
                return members_policy([mspid], 1)
        return None

    def _find(self, policy: bytes) -> Policy | None:
        known = self._parsed.find(policy)
        if known is None:
            known = self._read(policy)
            self._parsed.put(policy, known)
        return known[0] if known else None

    def _read(self, policy: bytes) -> list[Policy]:
        """The policy, or nothing if it cannot be used."""
        try:
            message = parse(ApplicationPolicy, policy)
            if message.HasField("signature_policy"):
                return [SignaturePolicy.parse(message.signature_policy, self._channel.msps)]
            if message.HasField("channel_config_policy_reference"):
                return [self._channel.policies.get(message.channel_config_policy_reference)]
        except TongbanError:
            pass
        return []


def reference(path: str) -> bytes:
    """A policy that stands in the channel configuration."""
    return ApplicationPolicy(channel_config_policy_reference=path).SerializeToString()


def key_policy(parameter: bytes) -> bytes:
    """The policy in a key's validation parameter.

    Raises:
        MalformedMessage: it is none; a Go peer stops the channel.
    """
    envelope = parse(SignaturePolicyEnvelope, parameter)
    return ApplicationPolicy(signature_policy=envelope).SerializeToString()


def members_policy(mspids: list[str], count: int) -> bytes:
    """Signatures by members of ``count`` of these organizations."""
    leaves = [SignaturePolicyMessage(signed_by=index) for index in range(len(mspids))]
    envelope = SignaturePolicyEnvelope(
        rule=SignaturePolicyMessage(n_out_of=SignaturePolicyMessage.NOutOf(n=count, rules=leaves)),
        identities=[role_principal(mspid, MSPRole.MEMBER) for mspid in mspids],
    )
    return ApplicationPolicy(signature_policy=envelope).SerializeToString()
