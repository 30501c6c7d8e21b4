"""What validation needs to know of the chaincodes of a block, read once each.

Read from the state before the block, so a definition changes for the block after the one that
commits it (fabric core/chaincode/lifecycle/deployedcc_infoprovider.go).
"""

from dataclasses import dataclass

from tongban.node.core.lifecycle.definitions import ChaincodeDefinition, find_definition
from tongban.node.core.lifecycle.state_layout import (
    LIFECYCLE_NAMESPACE,
    implicit_collection_owner,
)
from tongban.node.core.state import StateReader
from tongban.node.core.validation.endorsement_policies import EndorsementPolicies
from tongban.protos.errors import TongbanError

DEFAULT_PLUGIN = "vscc"
"""The built-in validation. A definition that names another asks for code that only a Go peer could
load, so its transactions are not valid here."""


@dataclass(frozen=True, slots=True)
class NamespaceRules:
    """How a namespace is endorsed."""

    policy: bytes
    """Serialized ApplicationPolicy, not empty."""

    definition: ChaincodeDefinition | None
    """None for the lifecycle namespace, which defines itself."""


class Definitions:
    """The namespaces of one channel as they are before a block."""

    def __init__(self, state: StateReader, policies: EndorsementPolicies) -> None:
        self._state = state
        self._policies = policies
        self._rules: dict[str, NamespaceRules | None] = {}
        self._collection_policies: dict[tuple[str, str], bytes | None] = {}

    def rules(self, namespace: str) -> NamespaceRules | None:
        """None if nothing usable is defined under that name."""
        try:
            return self._rules[namespace]
        except KeyError:
            found = self._rules[namespace] = self._read_rules(namespace)
            return found

    def collection_policy(self, namespace: str, collection: str) -> bytes | None:
        """Who writes a collection of a defined namespace. None if it does not exist; a Go peer
        crashes at an explicit one."""
        place = (namespace, collection)
        if place not in self._collection_policies:
            self._collection_policies[place] = self._read_collection_policy(namespace, collection)
        return self._collection_policies[place]

    def blocks_to_live(self, namespace: str, collection: str) -> int:
        """How long values of a collection live; 0, for ever, also if it does not exist."""
        if implicit_collection_owner(collection) is not None:
            return 0
        rules = self.rules(namespace)
        if rules is None or rules.definition is None:
            return 0
        try:
            found = rules.definition.find_collection(collection)
        except TongbanError:
            return 0
        return 0 if found is None else found.block_to_live

    def _read_rules(self, namespace: str) -> NamespaceRules | None:
        if namespace == LIFECYCLE_NAMESPACE:
            return NamespaceRules(self._policies.lifecycle_policy(), None)
        try:
            definition = find_definition(self._state, namespace)
        except TongbanError:
            return None
        if definition is None or definition.validation_plugin != DEFAULT_PLUGIN:
            return None
        if not definition.validation_parameter:
            return None
        return NamespaceRules(definition.validation_parameter, definition)

    def _read_collection_policy(self, namespace: str, collection: str) -> bytes | None:
        owner = implicit_collection_owner(collection)
        if owner is not None:
            return self._policies.implicit_collection_policy(owner)
        rules = self.rules(namespace)
        if rules is None or rules.definition is None:
            return None
        try:
            found = rules.definition.find_collection(collection)
        except TongbanError:
            return None
        if found is None:
            return None
        return found.endorsement_policy or rules.policy
