"""Changing a configuration: what an update says, whether it is allowed, and what it makes.

An update lists what it read, with versions, and what it writes. An element that is written with
another version than it was read with is a change. A new element has version 0 and is allowed by the
change of the group that it joins; an existing one gets exactly the next version, and its own
mod_policy, as it stands before the update, must be satisfied by the signatures. A group's members
are those that the group itself lists, so writing a group without a member removes it. (fabric
common/configtx/update.go, validator.go, configmap.go.)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tongban.node.core.channel.config import ChannelConfig
from tongban.node.core.channel.names import find_name_fault
from tongban.node.core.errors import InvalidConfigUpdate
from tongban.node.core.policy import SignatureVerifier, SignedBy, find_signers
from tongban.protos import codec
from tongban.protos.common_pb2 import (
    ChannelHeader,
    Envelope,
    HeaderType,
    Payload,
    SignatureHeader,
)
from tongban.protos.configtx_pb2 import (
    Config,
    ConfigEnvelope,
    ConfigGroup,
    ConfigPolicy,
    ConfigUpdate,
    ConfigUpdateEnvelope,
    ConfigValue,
)
from tongban.protos.errors import LimitExceeded, MalformedMessage
from tongban.protos.limits import SIGNATURES_PER_SET_MAX

_ROOT = "Channel"
_DEFAULT_MOD_POLICY = "Admins"
_ORDERER_CAPABILITIES = "[Value]  /Channel/Orderer/Capabilities"

_PREFIX = {ConfigGroup: "[Group]  ", ConfigValue: "[Value]  ", ConfigPolicy: "[Policy] "}


@dataclass(frozen=True, slots=True)
class Element:
    """A group, value or policy of a configuration tree, and where it stands."""

    content: ConfigGroup | ConfigValue | ConfigPolicy
    group: str
    """Path of the group that holds it; empty for the root."""
    name: str

    @property
    def path(self) -> str:
        return f"{self.group}/{self.name}"

    @property
    def label(self) -> str:
        """Kind and path, as Fabric writes them in errors."""
        return _PREFIX[type(self.content)] + self.path

    @property
    def policy_path(self) -> str:
        """Where the policy that guards a change of it stands. A relative one is sought in the group
        that holds the element; for a group, in the group itself."""
        name = self.content.mod_policy
        if name.startswith("/"):
            return name
        inside = self.path if isinstance(self.content, ConfigGroup) else self.group
        return f"{inside}/{name}"


Elements = dict[str, Element]
"""By label."""


def flatten(root: ConfigGroup) -> Elements:
    """Every element of a tree.

    Raises:
        InvalidConfigUpdate: an element has a name that none may have.
    """
    return {element.label: element for element in _walk(root, "", _ROOT)}


def apply_update(
    channel: ChannelConfig, envelope: ConfigUpdateEnvelope, verifier: SignatureVerifier
) -> Config:
    """The configuration that a signed update makes of the current one.

    The result is not yet known to be one that a node can run on; :func:`check_successor` says that.

    Raises:
        InvalidConfigUpdate: the update is not allowed; names the element.
    """
    try:
        update = codec.parse(ConfigUpdate, envelope.config_update)
        signed = signatures_of(envelope)
    except (MalformedMessage, LimitExceeded) as error:
        raise InvalidConfigUpdate("", str(error)) from None
    if update.channel_id != channel.channel_id:
        raise InvalidConfigUpdate(
            "",
            f"ConfigUpdate for channel '{update.channel_id}' but envelope for channel "
            f"'{channel.channel_id}'",
        )
    current = flatten(channel.config.channel_group)
    read_set = flatten(update.read_set) if update.HasField("read_set") else {}
    write_set = flatten(update.write_set) if update.HasField("write_set") else {}
    _check_read_set(current, read_set)
    changes = _changes(read_set, write_set)
    _check_changes(channel, current, changes, signed, verifier)
    proposed = {**current, **changes}
    root = _assemble(proposed, f"/{_ROOT}", _ORDERER_CAPABILITIES in proposed)
    return Config(sequence=channel.sequence + 1, channel_group=root)


def check_config_block(
    channel: ChannelConfig, envelope: ConfigEnvelope, verifier: SignatureVerifier
) -> ChannelConfig:
    """The channel's next configuration, as a block has it, after doing its last update again.

    The trees are compared by meaning: maps have no fixed order in bytes.

    Raises:
        InvalidConfigUpdate: the update is not allowed, or makes something else.
        InvalidConfig: what it makes cannot be run on.
    """
    expected = channel.sequence + 1
    if not envelope.HasField("config"):
        raise InvalidConfigUpdate("", "config envelope has nil config")
    if envelope.config.sequence != expected:
        raise InvalidConfigUpdate(
            "",
            f"config currently at sequence {channel.sequence}, cannot validate config at "
            f"sequence {envelope.config.sequence}",
        )
    made = apply_update(channel, update_of_envelope(envelope.last_update), verifier)
    if made.channel_group != envelope.config.channel_group:
        raise InvalidConfigUpdate(
            "", "ConfigEnvelope LastUpdate did not produce the supplied config result"
        )
    return check_successor(channel, envelope.config)


def check_successor(channel: ChannelConfig, config: Config) -> ChannelConfig:
    """The bundle of a configuration that may follow the channel's current one (fabric
    common/channelconfig/bundle.go, ValidateNew).

    Raises:
        InvalidConfig: it cannot be run on.
        InvalidConfigUpdate: it drops a section, or gives an organization another MSP id.
    """
    successor = ChannelConfig.from_config(channel.channel_id, config)
    if channel.has_application and not successor.has_application:
        raise InvalidConfigUpdate(
            "", "current config has application section, but new config does not"
        )
    if channel.orderer.batch_count_max and not successor.orderer.batch_count_max:
        raise InvalidConfigUpdate("", "current config has orderer section, but new config does not")
    for section, before, after in (
        ("orderer", channel.orderer_orgs, successor.orderer_orgs),
        ("application", channel.application_orgs, successor.application_orgs),
    ):
        for name in before.keys() & after.keys():
            if before[name].mspid != after[name].mspid:
                raise InvalidConfigUpdate(
                    f"{section} org {name}",
                    f"attempted to change MSP ID from {before[name].mspid} to {after[name].mspid}",
                )
    return successor


def update_of_envelope(envelope: Envelope) -> ConfigUpdateEnvelope:
    """The signed update inside an envelope of type CONFIG_UPDATE.

    Raises:
        InvalidConfigUpdate: it is something else.
    """
    try:
        payload = codec.parse(Payload, envelope.payload)
        header = codec.parse(ChannelHeader, payload.header.channel_header)
        if header.type != HeaderType.CONFIG_UPDATE:
            raise InvalidConfigUpdate(
                "",
                f"expected header type {HeaderType.CONFIG_UPDATE} (CONFIG_UPDATE), "
                f"found {header.type}",
            )
        return codec.parse(ConfigUpdateEnvelope, payload.data)
    except (MalformedMessage, LimitExceeded) as error:
        raise InvalidConfigUpdate("", str(error)) from None


def signatures_of(envelope: ConfigUpdateEnvelope) -> list[SignedBy]:
    """The signatures of an update; each covers its own header and the update.

    Raises:
        MalformedMessage: a signature header cannot be read.
        LimitExceeded: there are more than SIGNATURES_PER_SET_MAX.
    """
    if len(envelope.signatures) > SIGNATURES_PER_SET_MAX:
        raise LimitExceeded(
            "config update", SIGNATURES_PER_SET_MAX, len(envelope.signatures), "signatures"
        )
    return [
        SignedBy(
            data=one.signature_header + envelope.config_update,
            identity=codec.parse(SignatureHeader, one.signature_header).creator,
            signature=one.signature,
        )
        for one in envelope.signatures
    ]


def _walk(group: ConfigGroup, parent: str, name: str) -> Iterator[Element]:
    element = _named(Element(group, parent, name))
    yield element
    for child, inner in group.groups.items():
        yield from _walk(inner, element.path, child)
    for child, value in group.values.items():
        yield _named(Element(value, element.path, child))
    for child, policy in group.policies.items():
        yield _named(Element(policy, element.path, child))


def _named(element: Element) -> Element:
    fault = find_name_fault(element.name)
    if fault is not None:
        raise InvalidConfigUpdate(element.label, fault)
    return element


def _check_read_set(current: Elements, read_set: Elements) -> None:
    for label, read in read_set.items():
        existing = current.get(label)
        if existing is None:
            raise InvalidConfigUpdate(
                label, "existing config does not contain the element but it was in the read set"
            )
        if existing.content.version != read.content.version:
            raise InvalidConfigUpdate(
                label,
                f"the update requires version {read.content.version}, but it is currently at "
                f"version {existing.content.version}",
            )


def _changes(read_set: Elements, write_set: Elements) -> Elements:
    return {
        label: written
        for label, written in write_set.items()
        if label not in read_set or read_set[label].content.version != written.content.version
    }


def _check_changes(
    channel: ChannelConfig,
    current: Elements,
    changes: Elements,
    signed: list[SignedBy],
    verifier: SignatureVerifier,
) -> None:
    if not changes:
        raise InvalidConfigUpdate("", "delta set was empty -- update would have no effect")
    signers = find_signers(signed, channel.msps, verifier)
    for label in sorted(changes):
        written = changes[label].content
        _check_mod_policy(label, written.mod_policy)
        existing = current.get(label)
        if existing is None:
            if written.version != 0:
                raise InvalidConfigUpdate(
                    label, f"attempted to set version {written.version}, but it does not exist"
                )
            continue
        if written.version != existing.content.version + 1:
            raise InvalidConfigUpdate(
                label,
                f"attempted to set version {written.version}, but it is at version "
                f"{existing.content.version}",
            )
        policy = channel.policies.find(existing.policy_path)
        if policy is None:
            raise InvalidConfigUpdate(
                label, f"unexpected missing policy {existing.content.mod_policy}"
            )
        verdict = policy.evaluate(signers)
        if not verdict.satisfied:
            raise InvalidConfigUpdate(label, f"policy not satisfied: {verdict.explain()}")


def _check_mod_policy(label: str, mod_policy: str) -> None:
    if not mod_policy:
        raise InvalidConfigUpdate(label, "mod_policy not set")
    for part in mod_policy.removeprefix("/").split("/"):
        fault = find_name_fault(part)
        if fault is not None:
            raise InvalidConfigUpdate(label, f"invalid mod_policy: {fault}")


def _assemble(elements: Mapping[str, Element], path: str, fill_mod_policy: bool) -> ConfigGroup:
    """The group at a path with the members it lists, taken from the elements.

    With ``fill_mod_policy``, which orderer capabilities switch on, an element without a mod_policy
    gets one: channels from before version 1.1 could lack them, and would be stuck.
    """
    listed = _find(elements, ConfigGroup, path)
    made = ConfigGroup(version=listed.version, mod_policy=listed.mod_policy)
    for name in listed.groups:
        made.groups[name].CopyFrom(_assemble(elements, f"{path}/{name}", fill_mod_policy))
    for name in listed.values:
        made.values[name].CopyFrom(_find(elements, ConfigValue, f"{path}/{name}"))
    for name in listed.policies:
        made.policies[name].CopyFrom(_find(elements, ConfigPolicy, f"{path}/{name}"))
    if fill_mod_policy:
        made.mod_policy = made.mod_policy or _DEFAULT_MOD_POLICY
        for value in made.values.values():
            value.mod_policy = value.mod_policy or _DEFAULT_MOD_POLICY
        for policy in made.policies.values():
            policy.mod_policy = policy.mod_policy or _DEFAULT_MOD_POLICY
    return made


E = TypeVar("E", ConfigGroup, ConfigValue, ConfigPolicy)


def _find(elements: Mapping[str, Element], kind: type[E], path: str) -> E:
    element = elements.get(_PREFIX[kind] + path)
    if element is None:
        raise InvalidConfigUpdate(_PREFIX[kind] + path, "the group lists it, but it is not there")
    assert isinstance(element.content, kind)
    return element.content
