"""Who may call this peer about itself: decided by its own organization, without a channel.

Source: fabric core/aclmgmt/defaultaclprovider.go and core/policy/policy.go, whose texts are kept.
"""

from tongban.node.core.channel.acl import LOCAL_ADMINS, LOCAL_MEMBERS
from tongban.node.core.errors import AccessDenied, UnknownIdentity
from tongban.node.core.identity import Msp, role_principal
from tongban.protos.errors import InvalidSignature
from tongban.protos.msp_principal_pb2 import MSPRole

_ROLES = {LOCAL_ADMINS: MSPRole.ADMIN, LOCAL_MEMBERS: MSPRole.MEMBER}
_ARTICLES = {LOCAL_ADMINS: "an admin", LOCAL_MEMBERS: "a member"}


def check_local(msp: Msp, policy: str, creator: bytes, message: bytes, signature: bytes) -> None:
    """Return if the creator has the role in the peer's organization and signed the message.

    Raises:
        AccessDenied: it has not, or did not.
    """
    try:
        identity = msp.deserialize(creator)
    except UnknownIdentity as error:
        raise AccessDenied(
            "Failed deserializing proposal creator during channelless check policy with policy "
            f"[{policy}]: [{error}]"
        ) from None
    if not msp.satisfies(identity, role_principal(msp.mspid, _ROLES[policy])):
        raise AccessDenied(
            "Failed verifying that proposal's creator satisfies local MSP principal during "
            f"channelless check policy with policy [{policy}]: [The identity is not "
            f"{_ARTICLES[policy]} under this MSP [{msp.mspid}]]"
        )
    try:
        identity.verify(message, signature)
    except InvalidSignature:
        raise AccessDenied("The signature is invalid") from None
