"""Refusals of a node.

TongbanError
  AccessDenied           the caller may not do this, or we cannot tell who it is
    UnknownIdentity      a serialized identity cannot be read against the MSPs we have
    InvalidIdentity      its MSP does not stand behind it (chain, revocation, units)
  InvalidConfig          a configuration that no node can run on
    InvalidMspConfig     the same for one organization's definition
  InvalidConfigUpdate    a change that the current configuration does not allow
  InvalidPolicy          a policy that cannot be read
  UnknownPolicy          a path that names no policy
  UnsupportedCapability  the channel asks for something this version does not know
  UnknownChannel · ChannelExists · UnknownChaincode · Overloaded · ShuttingDown
  DirectoryInUse         another process works on these files
"""

from tongban.protos.errors import TongbanError


class AccessDenied(TongbanError):
    """The caller may not do this, or we cannot tell who it is."""


class UnknownIdentity(AccessDenied):
    """A serialized identity cannot be read against the MSPs we have."""

    def __init__(self, mspid: str | None, reason: str) -> None:
        super().__init__(reason)
        self.mspid = mspid
        """The organization it claims, or None if even that could not be read."""
        self.reason = reason


class InvalidIdentity(AccessDenied):
    """The MSP that an identity names does not stand behind it."""

    def __init__(self, mspid: str, subject: str, reason: str) -> None:
        super().__init__(f"identity {subject!r} of {mspid} is not valid: {reason}")
        self.mspid = mspid
        self.subject = subject
        self.reason = reason


class InvalidConfig(TongbanError):
    """A configuration that no node can run on. ``path`` names the element."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class InvalidMspConfig(InvalidConfig):
    """A definition of an organization that cannot be used."""

    def __init__(self, mspid: str, reason: str) -> None:
        super().__init__(f"MSP {mspid}", reason)
        self.mspid = mspid


class InvalidConfigUpdate(TongbanError):
    """A change that the current configuration does not allow. ``element`` says where."""

    def __init__(self, element: str, reason: str) -> None:
        super().__init__(f"{element}: {reason}" if element else reason)
        self.element = element
        self.reason = reason


class InvalidPolicy(TongbanError):
    """A policy that cannot be read."""


class UnknownPolicy(TongbanError):
    """A path that names no policy of the channel."""

    def __init__(self, path: str) -> None:
        super().__init__(f"no such policy: '{path}'")
        self.path = path


class UnsupportedCapability(TongbanError):
    """The channel asks for something this version does not know, so it cannot follow it."""

    def __init__(self, section: str, names: tuple[str, ...]) -> None:
        super().__init__(
            f"{section} capability {', '.join(names)} is not supported by this version; "
            "install a version that supports it and start again"
        )
        self.section = section
        self.names = names


class UnknownChannel(TongbanError):
    """This node does not follow a channel of that name."""

    def __init__(self, channel_id: str) -> None:
        super().__init__(f"channel '{channel_id}' not found")
        self.channel_id = channel_id


class ChannelExists(TongbanError):
    """This node follows a channel of that name already (fabric core/ledger/ledgermgmt)."""

    def __init__(self, channel_id: str) -> None:
        super().__init__(
            "cannot create ledger from genesis block: ledger "
            f"[{channel_id}] already exists with state [ACTIVE]"
        )
        self.channel_id = channel_id


class UnknownChaincode(TongbanError):
    """No chaincode of that name is defined on the channel."""

    def __init__(self, name: str, channel_id: str) -> None:
        super().__init__(f"chaincode '{name}' is not defined on channel '{channel_id}'")
        self.name = name
        self.channel_id = channel_id


class Overloaded(TongbanError):
    """More calls are in flight than we take."""

    def __init__(self, service: str, limit: int) -> None:
        super().__init__(f"too many requests for {service}, exceeding concurrency limit ({limit})")
        self.service = service
        self.limit = limit


class ShuttingDown(TongbanError):
    """The node is draining and takes no new work."""


class DirectoryInUse(TongbanError):
    """Another process works on these files, so this one leaves them alone."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is in use by another process; stop the node it belongs to, or copy the "
            "directory and work on the copy"
        )
        self.path = path
