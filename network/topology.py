"""A network in one file: organizations, their nodes and users, channels, and what runs on them.

The file is YAML; every mistake is reported with its place, all of them at once. Names follow the
channel configuration: ``group`` is the name in the configuration tree, ``msp_id`` the MSP's.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tongban.network.errors import TopologyError

FORMAT = 1
"""Version of the file's form; a newer one is refused."""

MspId = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9.-]{1,100}$")]
GroupName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9.-]{1,100}$")]
Domain = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?$")]
NodeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$")]
ChannelId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.-]{0,248}$")]
"""fabric common/configtx/validator.go."""

Port = Annotated[int, Field(ge=1, le=65535)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Node(_Part):
    """A peer or an orderer on this machine."""

    name: NodeName
    port: Port
    operations_port: Port
    sans: tuple[str, ...] = ("localhost", "127.0.0.1")
    anchor: bool = False


class User(_Part):
    """A user whose identity the network's authority issues."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,60}$")]
    role: Literal["client", "admin"] = "client"
    attributes: dict[str, str] = Field(default_factory=dict)


class OrdererOrganization(_Part):
    """The organization that runs orderers."""

    group: GroupName
    msp_id: MspId
    domain: Domain
    nodes: Annotated[tuple[Node, ...], Field(min_length=1)]


class Organization(_Part):
    """A department. One without peers only has clients."""

    group: GroupName
    msp_id: MspId
    domain: Domain
    title: str = ""
    peers: tuple[Node, ...] = ()
    users: tuple[User, ...] = (User(name="Admin", role="admin"), User(name="User1"))


class Batch(_Part):
    """When the orderer cuts a block."""

    count_max: Annotated[int, Field(ge=1, le=100_000)] = 500
    bytes_max: Annotated[int, Field(ge=1, le=99 * 1024 * 1024)] = 10 * 1024 * 1024
    bytes_preferred: Annotated[int, Field(ge=1)] = 2 * 1024 * 1024
    timeout_ms: Annotated[int, Field(ge=1)] = 2_000


class Deployment(_Part):
    """A contract that ``network up`` deploys. ``when`` names the flag that asks for it."""

    source: str
    """A folder, or ``samples/…`` or ``haidian/…`` for one that comes with the framework."""

    policy: str = ""
    """An endorsement policy; empty for the channel's default."""

    when: Literal["always", "sample"] = "always"


class Channel(_Part):
    id: ChannelId
    organizations: Annotated[tuple[GroupName, ...], Field(min_length=1)]
    batch: Batch = Batch()
    policies: dict[str, str] = Field(default_factory=dict)
    """Policies in words by path, such as ``/Channel/Application/Endorsement``, in place of the
    defaults."""

    contracts: tuple[Deployment, ...] = ()


class Topology(_Part):
    """A whole network."""

    format: int
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    orderer: OrdererOrganization
    organizations: Annotated[tuple[Organization, ...], Field(min_length=1)]
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]

    def organization(self, group: str) -> Organization:
        return next(org for org in self.organizations if org.group == group)

    def nodes(self) -> Iterator[tuple[str, Node]]:
        """Every node with its full name, orderers first."""
        for node in self.orderer.nodes:
            yield f"{node.name}.{self.orderer.domain}", node
        for organization in self.organizations:
            for node in organization.peers:
                yield f"{node.name}.{organization.domain}", node

    def moved_to(self, base_port: int) -> "Topology":
        """The same network with all ports counted up from ``base_port``."""
        ports = iter(range(base_port, 65536))

        def move(node: Node) -> Node:
            return node.model_copy(update={"port": next(ports), "operations_port": next(ports)})

        orderer = self.orderer.model_copy(
            update={"nodes": tuple(move(node) for node in self.orderer.nodes)}
        )
        organizations = tuple(
            org.model_copy(update={"peers": tuple(move(peer) for peer in org.peers)})
            for org in self.organizations
        )
        return self.model_copy(update={"orderer": orderer, "organizations": organizations})


PROFILES = Path(__file__).parent / "profiles"


def profile_names() -> list[str]:
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def load_profile(name: str) -> Topology:
    """One of the topologies that come with the framework."""
    path = PROFILES / f"{name}.yaml"
    if not re.fullmatch(r"[a-z0-9-]+", name) or not path.exists():
        known = ", ".join(profile_names())
        raise TopologyError(f"profile {name!r}", [f"expected one of: {known}"])
    return load_topology(path)


def load_topology(path: Path) -> Topology:
    """Read and check a topology file.

    Raises:
        TopologyError: with every mistake in the file.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TopologyError(str(path), [f"cannot be read as YAML: {error}"]) from None
    return parse_topology(document, str(path))


def parse_topology(document: object, source: str) -> Topology:
    if not isinstance(document, dict):
        raise TopologyError(source, ["expected a mapping with the key 'format'"])
    if document.get("format") != FORMAT:
        found = document.get("format")
        text = f"format: expected {FORMAT}, found {found!r}; a newer file needs a newer tongban"
        raise TopologyError(source, [text])
    try:
        topology = Topology.model_validate(document)
    except ValidationError as error:
        raise TopologyError(source, [_explain(item) for item in error.errors()]) from None
    problems = list(_contradictions(topology))
    if problems:
        raise TopologyError(source, problems)
    return topology


def _explain(item: object) -> str:
    if not isinstance(item, dict):
        raise AssertionError("pydantic reports errors as mappings")
    place = ".".join(str(part) for part in item["loc"])
    found = item.get("input")
    shown = f", found {found!r}" if isinstance(found, str | int | float) else ""
    return f"{place}: {item['msg']}{shown}"


def _contradictions(topology: Topology) -> Iterator[str]:
    yield from _repeated("port", _ports(topology))
    groups = [organization.group for organization in topology.organizations]
    yield from _repeated("group", groups)
    msp_ids = [topology.orderer.msp_id, *(org.msp_id for org in topology.organizations)]
    yield from _repeated("msp_id", msp_ids)
    yield from _repeated("channel", [channel.id for channel in topology.channels])
    for channel in topology.channels:
        for group in channel.organizations:
            if group not in groups:
                known = ", ".join(groups)
                yield f"channels.{channel.id}: no organization {group!r}; expected one of: {known}"
        if channel.batch.bytes_preferred > channel.batch.bytes_max:
            yield f"channels.{channel.id}.batch: bytes_preferred is larger than bytes_max"


def _ports(topology: Topology) -> list[object]:
    return [port for _, node in topology.nodes() for port in (node.port, node.operations_port)]


def _repeated(what: str, values: Sequence[object]) -> Iterator[str]:
    for value in sorted({str(value) for value in values if values.count(value) > 1}):
        yield f"{what} {value} is used more than once"
