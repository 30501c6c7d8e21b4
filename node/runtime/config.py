"""A node's configuration: one YAML file, checked whole before anything starts.

Every mistake is reported at once, with the place, what was expected and what was found. Paths are
relative to the file. Rules of a channel are not here: they are in the channel's configuration.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)

from tongban.protos.errors import TongbanError

FORMAT = 1
"""Of the configuration file; a newer one is refused."""

CONFIG_BYTES_MAX = 1024 * 1024

PORT_MAX = 65_535


class InvalidNodeConfig(TongbanError):
    """The configuration file cannot be used; ``mistakes`` has one line for each thing wrong."""

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        super().__init__(f"{path}: " + "\n".join(["cannot be used:", *mistakes]))
        self.path = path
        self.mistakes = mistakes


def _check_address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= PORT_MAX):
        raise ValueError("expected HOST:PORT, for example 127.0.0.1:7050")
    return value


def _resolve(value: object, info: ValidationInfo) -> object:
    directory = (info.context or {}).get("directory", Path())
    return directory / value if isinstance(value, str) and value else value


Address = Annotated[str, AfterValidator(_check_address)]
RelativePath = Annotated[Path, BeforeValidator(_resolve)]


class Section(BaseModel):
    """Part of a configuration; names that nobody reads are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsConfig(Section):
    """PEM files of the node's TLS identity."""

    certificate: RelativePath
    key: RelativePath
    client_roots: RelativePath | None = None
    """If given, clients must show a certificate that one of these authorities issued."""


class MspSection(Section):
    """The node's own identity, in the folder layout of Fabric's tools."""

    id: str = Field(min_length=1)
    directory: RelativePath


class OperationsConfig(Section):
    """Where health, metrics and log levels are served."""

    listen: Address = "127.0.0.1:0"


class LoggingConfig(Section):
    spec: str = "info"
    form: Literal["text", "json"] = "text"


class NodeConfig(Section):
    """What peers and orderers have in common."""

    format: Literal[1]
    listen: Address
    """Where the node serves gRPC; port 0 takes a free one."""
    tls: TlsConfig | None = None
    """Without it the node speaks in the clear; for tests on one machine."""
    msp: MspSection
    data: RelativePath
    """The directory that belongs to this node alone."""
    channels: tuple[RelativePath, ...] = ()
    """Genesis blocks of channels to join; one that was joined may stay here or go."""
    dial_overrides: dict[Address, Address] = Field(default_factory=dict)
    """HOST:PORT to dial instead of the one that a channel's configuration names, for networks
    whose names are not resolved on this machine. The certificate must still show the name."""
    operations: OperationsConfig = OperationsConfig()
    logging: LoggingConfig = LoggingConfig()


class OrdererConfig(NodeConfig):
    """An orderer."""

    block_pace_ms: float = Field(default=8.0, ge=0, le=10_000)
    """Pause between two blocks of a busy channel; one caller alone never meets it."""


class GatewayLimits(Section):
    """Bounds of the peer's gateway."""

    calls_max: int = Field(default=500, ge=1)
    """Unary calls in flight, as on Go peers."""
    stream_window: int = Field(default=2_048, ge=1)
    """Requests that one application may have open on its stream."""
    stream_calls_max: int = Field(default=8_192, ge=1)
    """Requests that all applications together may have open on their streams."""
    endorse_seconds_max: float = Field(default=30.0, gt=0)
    """How long one endorser may take; then another one is asked."""
    broadcast_seconds_max: float = Field(default=30.0, gt=0)
    """How long one orderer may take; then another one is asked."""


class ContractLimits(Section):
    """Bounds of every contract worker."""

    execute_seconds_max: float = Field(default=30.0, gt=0)
    memory_mib_max: int = Field(default=512, ge=32)
    open_files_max: int = Field(default=64, ge=16)
    sandbox: Literal["required", "best-effort"] = "best-effort"
    """``required`` refuses to run contracts where a fence does not hold."""


class PeerConfig(NodeConfig):
    """A peer. Orderers, their roots and other organizations come from the channel."""

    external_endpoint: Address
    """HOST:PORT under which other nodes reach this peer."""
    address_overrides: dict[str, Address] = {}
    """HOST:PORT to dial instead of one that the channel's configuration names."""
    gateway: GatewayLimits = GatewayLimits()
    endorser_calls_max: int = Field(default=2_500, ge=1)
    deliver_calls_max: int = Field(default=2_500, ge=1)
    contracts: ContractLimits = ContractLimits()


C = TypeVar("C", bound=NodeConfig)


def load_config(kind: type[C], path: Path) -> C:
    """The checked configuration in a file.

    Raises:
        InvalidNodeConfig: with every mistake.
    """
    return parse_config(kind, read_file(path), path)


def read_file(path: Path) -> bytes:
    """The bytes of a file that a configuration names.

    Raises:
        InvalidNodeConfig: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidNodeConfig(path, [f"cannot be read: {error.strerror}"]) from None


def parse_config(kind: type[C], data: bytes, path: Path) -> C:
    """The same from the bytes of the file at ``path``."""
    if len(data) > CONFIG_BYTES_MAX:
        raise InvalidNodeConfig(path, [f"{len(data)} bytes, expected at most {CONFIG_BYTES_MAX}"])
    try:
        document = yaml.load(data, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise InvalidNodeConfig(path, [f"not YAML: {error}"]) from None
    if not isinstance(document, dict):
        raise InvalidNodeConfig(path, ["expected names and values"])
    found = document.get("format")
    if isinstance(found, int) and found > FORMAT:
        raise InvalidNodeConfig(
            path,
            [
                f"format: {found} is newer than this release, which reads up to {FORMAT}; "
                "install the release that wrote it"
            ],
        )
    try:
        return kind.model_validate(document, context={"directory": path.parent})
    except ValidationError as error:
        raise InvalidNodeConfig(path, [_describe(mistake) for mistake in error.errors()]) from None


def _describe(mistake: Any) -> str:  # pydantic's ErrorDetails, a TypedDict
    place = ".".join(str(part) for part in mistake["loc"]) or "file"
    if mistake["type"] == "missing":
        return f"  {place}: is missing"
    if mistake["type"] == "extra_forbidden":
        return f"  {place}: no such setting"
    text = mistake["msg"].removeprefix("Value error, ")
    return f"  {place}: {text}; found {mistake['input']!r}"


class _StrictLoader(yaml.SafeLoader):
    """Refuses a name that is given twice, of which YAML's loaders keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is given twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)
