"""Whether a transaction's endorsers may write what it writes.

In each namespace every written key is asked for, in the order of public writes, public metadata,
hashed writes and hashed metadata: a key with a policy of its own needs that one; another key of a
collection the collection's policy; any other the chaincode's. If no key asked for anything, the
chaincode's policy is needed all the same. A key whose policy an earlier transaction of the block
changes cannot be written, since nobody knows yet which policy holds
(fabric core/common/validation/statebased/validator_keylevel.go, v20.go, vpmanagerimpl.go).
"""

from collections.abc import Iterator

from tongban.node.core.rwset_reader import NsRwSet, find_validation_parameter
from tongban.node.core.state import StateReader, hashed_namespace
from tongban.node.core.transaction import Code, EndorserBody
from tongban.node.core.validation.definitions import Definitions, NamespaceRules
from tongban.node.core.validation.endorsement_policies import (
    EndorsementPolicies,
    Endorsers,
    key_policy,
)
from tongban.protos.errors import MalformedMessage
from tongban.protos.transaction_pb2 import TxValidationCode

_VALID = TxValidationCode.VALID
_FAILURE = TxValidationCode.ENDORSEMENT_POLICY_FAILURE


class EndorsementChecker:
    """Checks the transactions of one block, in their order."""

    def __init__(
        self, definitions: Definitions, policies: EndorsementPolicies, state: StateReader
    ) -> None:
        self._definitions = definitions
        self._policies = policies
        self._state = state
        self._changed_policies: set[tuple[str, bytes]] = set()
        self._answers: dict[tuple[bytes, Endorsers], bool] = {}

    def check(self, body: EndorserBody, endorsers: Endorsers) -> Code:
        """VALID, INVALID_CHAINCODE or ENDORSEMENT_POLICY_FAILURE.

        Namespaces are visited in the order of their names; a Go peer takes any order and ends at
        the first failure. One that changes key policies is visited even after a failure, because
        there its result alone says whether the changes count.
        """
        visited: dict[str, NsRwSet | None] = {body.chaincode: None}
        changes = False
        for one in body.rwset.namespaces:
            if one.namespace == body.chaincode or one.is_written:
                visited[one.namespace] = one
                changes = changes or one.changes_metadata
        result = _VALID
        for name in sorted(visited) if len(visited) > 1 else visited:
            part = visited[name]
            code = self._check_namespace(name, part, endorsers)
            if code == _VALID and changes and part is not None:
                self._changed_policies.update(_keys_with_new_metadata(part))
            if code != _VALID and result == _VALID:
                result = code
                if not changes:
                    break
        return result

    def _check_namespace(self, name: str, part: NsRwSet | None, endorsers: Endorsers) -> Code:
        rules = self._definitions.rules(name)
        if rules is None:
            return TxValidationCode.INVALID_CHAINCODE
        needed: set[bytes] = set()
        if part is not None:
            for write in part.writes:
                policy = self._needed_policy(name, rules, None, write.key)
                if policy is None:
                    return _FAILURE
                needed.add(policy)
            if part.metadata_writes or part.collections:
                for collection, key in _further_keys(part):
                    policy = self._needed_policy(name, rules, collection, key)
                    if policy is None:
                        return _FAILURE
                    needed.add(policy)
        for policy in needed or (rules.policy,):
            if not self._is_satisfied(policy, endorsers):
                return _FAILURE
        return _VALID

    def _is_satisfied(self, policy: bytes, endorsers: Endorsers) -> bool:
        """Nearly all transactions of a block have the same endorsers and need the same policy."""
        asked = (policy, endorsers)
        answer = self._answers.get(asked)
        if answer is None:
            answer = self._answers[asked] = self._policies.satisfied(policy, endorsers)
        return answer

    def _needed_policy(
        self, name: str, rules: NamespaceRules, collection: str | None, key: bytes
    ) -> bytes | None:
        """The policy that a write of this key needs, None if none would do."""
        stored = name if collection is None else hashed_namespace(name, collection)
        if self._changed_policies and (stored, key) in self._changed_policies:
            return None
        committed = self._state.get(stored, key)
        if committed is not None and committed.metadata:
            try:
                parameter = find_validation_parameter(committed.metadata)
                if parameter:
                    return key_policy(parameter)
            except MalformedMessage:
                return None
        if collection is None:
            return rules.policy
        return self._definitions.collection_policy(name, collection)


def _further_keys(part: NsRwSet) -> Iterator[tuple[str | None, bytes]]:
    """Collection, None for public, and key of everything written beside public values. The order
    does not matter here: all that is asked for must hold, and fails with the same code."""
    for change in part.metadata_writes:
        yield None, change.key
    for hashed in part.collections:
        for write in hashed.writes:
            yield hashed.collection, write.key
        for change in hashed.metadata_writes:
            yield hashed.collection, change.key


def _keys_with_new_metadata(part: NsRwSet) -> Iterator[tuple[str, bytes]]:
    for change in part.metadata_writes:
        yield part.namespace, change.key
    for collection in part.collections:
        stored = hashed_namespace(part.namespace, collection.collection)
        for change in collection.metadata_writes:
            yield stored, change.key
