"""Whose policies the endorsers of a transaction have to satisfy, judged by what it touched.

The interest travels with a proposal response, unsigned, so that a gateway can plan further
endorsements (fabric core/endorser/endorser.go, buildChaincodeInterest).
"""

from collections.abc import Iterable, Mapping, Set
from functools import lru_cache

from tongban.protos import policies_pb2, proposal_response_pb2
from tongban.protos.codec import parse

VALIDATION_PARAMETER = "VALIDATION_PARAMETER"
"""Name of the metadata entry that holds a key's own policy (fabric-protos peer/chaincode.proto,
MetaDataKeys)."""

SYSTEM_CHAINCODES = frozenset({"_lifecycle", "cscc", "lscc", "qscc"})
"""They are on every peer and have no policy of the ordinary kind."""


class WrittenKeys:
    """The keys that a transaction writes, with the policies they had when it was simulated."""

    __slots__ = ("_policies", "is_plain")

    def __init__(self) -> None:
        self.is_plain = True
        """Whether all are public keys without policies of their own, as nearly always."""

        self._policies: dict[str, dict[str, dict[str, bytes | None]]] = {}
        """By namespace, collection (empty for public state) and key."""

    def copy(self) -> "WrittenKeys":
        twin = WrittenKeys()
        twin.is_plain = self.is_plain
        twin._policies = {
            namespace: {name: dict(keys) for name, keys in collections.items()}
            for namespace, collections in self._policies.items()
        }
        return twin

    def add(self, namespace: str, collection: str, key: str, metadata: Mapping[str, bytes]) -> None:
        policy = metadata.get(VALIDATION_PARAMETER)
        if policy is not None or collection:
            self.is_plain = False
        collections = self._policies.setdefault(namespace, {})
        collections.setdefault(collection, {})[key] = policy

    def required(self) -> dict[str, dict[str, bool]]:
        """For each namespace and collection written: is its policy required, that is, has any key
        written no policy of its own? Public state is always there."""
        required: dict[str, dict[str, bool]] = {}
        for namespace, collections in self._policies.items():
            entry = required[namespace] = {"": False}
            for collection, keys in collections.items():
                if any(policy is None for policy in keys.values()):
                    entry[collection] = True
        return required

    def key_policies(self, namespace: str) -> list[policies_pb2.SignaturePolicyEnvelope]:
        """The policies of the written keys that have one, in order of collection and key."""
        collections = self._policies.get(namespace, {})
        return [
            parse(policies_pb2.SignaturePolicyEnvelope, policy, "key policy")
            for collection in sorted(collections)
            for _, policy in sorted(collections[collection].items())
            if policy is not None
        ]


def build_interest(
    touched: Iterable[str], written: WrittenKeys, private_reads: Set[tuple[str, str]]
) -> proposal_response_pb2.ChaincodeInterest:
    """``touched`` are the namespaces in the read-write set, ``private_reads`` the namespaces and
    collections of which private values were read. System chaincodes are left out. The message may
    be shared with others: do not change it.

    Raises:
        MalformedMessage: the policy of a written key is not one.
    """
    if written.is_plain and not private_reads:
        return _plain_interest(tuple(touched))
    required = written.required()
    for namespace in touched:
        if namespace not in SYSTEM_CHAINCODES:
            required.setdefault(namespace, {"": True})
    for namespace, collection in private_reads:
        required.setdefault(namespace, {})[collection] = True
    interest = proposal_response_pb2.ChaincodeInterest()
    for namespace in sorted(set(required) - SYSTEM_CHAINCODES):
        policies = written.key_policies(namespace)
        for collection in sorted(required[namespace]):
            if collection:
                interest.chaincodes.add(
                    name=namespace,
                    collection_names=[collection],
                    no_private_reads=(namespace, collection) not in private_reads,
                )
            elif policies or required[namespace][""]:
                interest.chaincodes.add(
                    name=namespace,
                    key_policies=policies,
                    disregard_namespace_policy=not required[namespace][""],
                )
    return interest


@lru_cache(maxsize=1_024)
def _plain_interest(touched: tuple[str, ...]) -> proposal_response_pb2.ChaincodeInterest:
    """Where nothing but the chaincodes' own policies counts."""
    interest = proposal_response_pb2.ChaincodeInterest()
    for namespace in sorted(set(touched) - SYSTEM_CHAINCODES):
        interest.chaincodes.add(name=namespace)
    return interest
