"""Which organizations' peers would satisfy every policy that a transaction touches.

The interest of a proposal response names chaincodes, collections and key policies; each has a
policy, and an endorsement counts for all of them (fabric discovery/endorsement/endorsement.go).
"""

from collections.abc import Iterator

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.gateway.errors import Code, GatewayError
from tongban.node.core.gateway.plan import Layout
from tongban.node.core.lifecycle.definitions import (
    ChaincodeDefinition,
    CollectionDefinition,
    find_definition,
)
from tongban.node.core.lifecycle.state_layout import (
    LIFECYCLE_NAMESPACE,
    implicit_collection_owner,
)
from tongban.node.core.policy import combine, endorsement_layouts
from tongban.node.core.state import StateReader
from tongban.node.core.validation.endorsement_policies import EndorsementPolicies
from tongban.protos.application_policy_pb2 import ApplicationPolicy
from tongban.protos.codec import parse
from tongban.protos.policies_pb2 import SignaturePolicyEnvelope
from tongban.protos.proposal_response_pb2 import ChaincodeCall, ChaincodeInterest

NO_COMBINATION = "no combination of peers can be derived which satisfy the endorsement policy"


def undefined_chaincode(name: str, channel_id: str) -> GatewayError:
    """The channel has no definition of it, or this peer does not follow the channel."""
    text = f"{NO_COMBINATION}: No metadata was found for chaincode {name} in channel {channel_id}"
    return GatewayError(Code.FAILED_PRECONDITION, text)


class LayoutFinder:
    """Finds layouts on one channel, at one configuration and state."""

    def __init__(self, channel: ChannelConfig, state: StateReader) -> None:
        self._channel = channel
        self._state = state
        self._policies = EndorsementPolicies(channel)

    def layouts(self, interest: ChaincodeInterest, protect_transient: bool = False) -> list[Layout]:
        """Every minimal layout, the smallest first; empty if no peers can satisfy all policies.

        With ``protect_transient`` only members of the collections touched qualify, as if their
        private values had been read.

        Raises:
            GatewayError: a chaincode has no definition on the channel.
        """
        found: list[dict[str, int]] = [{}]
        allowed = {org.mspid for org in self._channel.application_orgs.values()}
        for call in interest.chaincodes:
            for policy in self._policies_of(call):
                found = combine(found, self._layouts_of(policy))
            members = self._members_of(call, protect_transient)
            if members is not None:
                allowed &= members
        if found == [{}]:  # nothing that was touched has a policy: anybody will do
            found = [{org: 1} for org in sorted(allowed)]
        # Whoever endorses simulates all of it, so each must see what any of the calls reads.
        return [layout for layout in found if layout and set(layout) <= allowed]

    def _policies_of(self, call: ChaincodeCall) -> Iterator[bytes]:
        if call.name == LIFECYCLE_NAMESPACE:
            yield self._policies.lifecycle_policy()
            return
        definition = self._definition(call.name)
        collections = list(call.collection_names)
        needs_chaincode_policy = not collections and not call.disregard_namespace_policy
        for name in collections:
            policy = self._collection_policy(definition, name)
            if policy is None:
                needs_chaincode_policy = True
            else:
                yield policy
        if needs_chaincode_policy:
            yield definition.validation_parameter
        for envelope in call.key_policies:
            yield ApplicationPolicy(signature_policy=envelope).SerializeToString()

    def _definition(self, name: str) -> ChaincodeDefinition:
        definition = find_definition(self._state, name)
        if definition is None:
            raise undefined_chaincode(name, self._channel.channel_id)
        return definition

    def _collection_policy(self, definition: ChaincodeDefinition, name: str) -> bytes | None:
        owner = implicit_collection_owner(name)
        if owner is not None:
            return self._policies.implicit_collection_policy(owner)
        collection = definition.find_collection(name)
        if collection is None or not collection.endorsement_policy:
            return None
        return collection.endorsement_policy

    def _layouts_of(self, policy: bytes) -> list[dict[str, int]]:
        message = parse(ApplicationPolicy, policy)
        if message.HasField("signature_policy"):
            return endorsement_layouts(message.signature_policy)
        path = message.channel_config_policy_reference
        return endorsement_layouts(self._channel.policies.get(path))

    def _members_of(self, call: ChaincodeCall, protect_transient: bool) -> set[str] | None:
        """Organizations that may see the private values; None if none are seen."""
        if not call.collection_names or (call.no_private_reads and not protect_transient):
            return None
        members: set[str] | None = None
        for name in call.collection_names:
            owner = implicit_collection_owner(name)
            if owner is not None:
                orgs = {owner}
            else:
                orgs = _member_orgs(self._definition(call.name).find_collection(name))
            members = orgs if members is None else members & orgs
        return members


def _member_orgs(collection: CollectionDefinition | None) -> set[str]:
    if collection is None:
        return set()
    envelope = parse(SignaturePolicyEnvelope, collection.member_orgs_policy)
    return {org for layout in endorsement_layouts(envelope) for org in layout}
