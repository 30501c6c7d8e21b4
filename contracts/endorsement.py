"""Key-level endorsement: who must endorse a change of one key.

The policy is N out of N over the chosen organizations, its principals sorted by MSP id, so that
equal choices give equal bytes (fabric-chaincode-go pkg/statebased).
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Self

from tongban.contracts.errors import ContractError
from tongban.protos.codec import parse
from tongban.protos.errors import TongbanError
from tongban.protos.msp_principal_pb2 import MSPPrincipal, MSPRole
from tongban.protos.policies_pb2 import SignaturePolicy, SignaturePolicyEnvelope

VALIDATION_PARAMETER = "VALIDATION_PARAMETER"
"""Name of the metadata entry that holds a key's policy."""


class Role(IntEnum):
    """Whose signature counts for an organization."""

    MEMBER = MSPRole.MEMBER
    """Anybody of the organization."""
    PEER = MSPRole.PEER
    """Its peers only: what one nearly always wants."""


class KeyEndorsement:
    """The organizations that must all endorse a change of a key.

    policy = KeyEndorsement().add(Role.PEER, "Org1MSP", "Org2MSP").policy()
    ctx.stub.set_state_validation_parameter(key, policy)
    """

    def __init__(self, policy: bytes = b"") -> None:
        """The organizations of a stored policy, or none.

        Raises:
            ContractError: INVALID_POLICY, the bytes are no such policy.
        """
        self._roles: dict[str, Role] = {}
        if policy:
            self._read(policy)

    def add(self, role: Role, *organizations: str) -> Self:
        """These organizations (MSP ids) must endorse too, each by somebody of this role."""
        for organization in organizations:
            self._roles[organization] = role
        return self

    def remove(self, *organizations: str) -> Self:
        """These organizations need not endorse any more."""
        for organization in organizations:
            self._roles.pop(organization, None)
        return self

    @property
    def organizations(self) -> tuple[str, ...]:
        """MSP ids in their order."""
        return tuple(sorted(self._roles, key=_order))

    def policy(self) -> bytes:
        """The policy as bytes, for ``set_state_validation_parameter``."""
        envelope = SignaturePolicyEnvelope(version=0)
        envelope.rule.n_out_of.n = len(self._roles)
        for index, organization in enumerate(self.organizations):
            role = MSPRole(
                msp_identifier=organization,
                role=MSPRole.MSPRoleType.ValueType(self._roles[organization]),
            )
            envelope.rule.n_out_of.rules.append(SignaturePolicy(signed_by=index))
            envelope.identities.append(
                MSPPrincipal(
                    principal_classification=MSPPrincipal.ROLE,
                    principal=role.SerializeToString(deterministic=True),
                )
            )
        return envelope.SerializeToString(deterministic=True)

    def _read(self, policy: bytes) -> None:
        try:
            envelope = parse(SignaturePolicyEnvelope, policy, "key policy")
            for principal in envelope.identities:
                if principal.principal_classification != MSPPrincipal.ROLE:
                    raise ContractError("INVALID_POLICY", "expected roles of organizations")
                role = parse(MSPRole, principal.principal, "principal")
                if int(role.role) not in (Role.MEMBER, Role.PEER):
                    raise ContractError("INVALID_POLICY", "expected the roles member or peer")
                self._roles[role.msp_identifier] = Role(role.role)
        except ContractError:
            raise
        except TongbanError as error:
            raise ContractError("INVALID_POLICY", str(error)) from None


def all_of(organizations: Iterable[str], role: Role = Role.PEER) -> bytes:
    """The policy that a change of a key needs a peer of every one of these organizations."""
    return KeyEndorsement().add(role, *organizations).policy()


def _order(organization: str) -> bytes:
    return organization.encode("utf-8")
