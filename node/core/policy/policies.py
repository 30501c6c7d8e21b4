"""The policies of a channel by their paths, as ``/Channel/Application/Writers``.

Built from the configuration tree (fabric common/policies/policy.go).
"""

from collections.abc import Iterator

from tongban.node.core.errors import InvalidConfig, InvalidPolicy, UnknownPolicy
from tongban.node.core.policy.implicit_meta import ImplicitMetaPolicy, RejectingPolicy
from tongban.node.core.policy.signature_policy import Satisfies, SignaturePolicy
from tongban.node.core.policy.verdict import Policy
from tongban.protos import codec, policies_pb2
from tongban.protos.configtx_pb2 import ConfigGroup
from tongban.protos.errors import MalformedMessage

ROOT = "Channel"


class PolicyManager:
    """Finds policies by path."""

    def __init__(self, root: ConfigGroup, msps: Satisfies) -> None:
        """Raises:
        InvalidConfig: a policy of the tree cannot be read; names it.
        """
        self._policies = dict(_read(f"/{ROOT}", root, msps))

    def find(self, path: str) -> Policy | None:
        """The policy at a path; a relative path starts at the root group."""
        return self._policies.get(path if path.startswith("/") else f"/{ROOT}/{path}")

    def get(self, path: str) -> Policy:
        """The policy at a path.

        Raises:
            UnknownPolicy: there is none.
        """
        policy = self.find(path)
        if policy is None:
            raise UnknownPolicy(path)
        return policy

    def get_or_reject(self, path: str) -> Policy:
        """The policy at a path, or one that nothing satisfies, which is what Fabric puts there."""
        return self.find(path) or RejectingPolicy(path)

    def paths(self) -> tuple[str, ...]:
        return tuple(sorted(self._policies))


def _read(path: str, group: ConfigGroup, msps: Satisfies) -> Iterator[tuple[str, Policy]]:
    below: dict[str, Policy] = {}
    for name, child in group.groups.items():
        below.update(_read(f"{path}/{name}", child, msps))
    yield from below.items()
    for name, holder in group.policies.items():
        place = f"{path}/{name}"
        if not holder.HasField("policy"):
            raise InvalidConfig(place, "the policy is empty")
        policy = holder.policy
        try:
            if policy.type == policies_pb2.Policy.SIGNATURE:
                yield place, SignaturePolicy.parse(policy.value, msps)
            elif policy.type == policies_pb2.Policy.IMPLICIT_META:
                definition = codec.parse(policies_pb2.ImplicitMetaPolicy, policy.value)
                paths = {child: f"{path}/{child}/{definition.sub_policy}" for child in group.groups}
                yield (
                    place,
                    ImplicitMetaPolicy(
                        definition,
                        {
                            child: below.get(where) or RejectingPolicy(definition.sub_policy)
                            for child, where in paths.items()
                        },
                    ),
                )
            else:
                raise InvalidConfig(place, f"unknown policy type: {policy.type}")
        except (InvalidPolicy, MalformedMessage) as error:
            raise InvalidConfig(place, f"the policy cannot be read: {error}") from None
