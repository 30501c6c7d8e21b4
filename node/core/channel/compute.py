"""What has to be said to turn one configuration into another.

Unchanged elements are left out, or named by version only where a group's membership changes; a
changed element gets the next version (fabric internal/configtxlator/update/update.go).
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from tongban.node.core.errors import InvalidConfigUpdate
from tongban.protos.configtx_pb2 import (
    Config,
    ConfigGroup,
    ConfigPolicy,
    ConfigUpdate,
    ConfigValue,
)

L = TypeVar("L", ConfigValue, ConfigPolicy)


def compute_update(old: Config, new: Config, channel_id: str = "") -> ConfigUpdate:
    """The smallest update that makes ``new`` of ``old``. Versions in ``new`` are not looked at.

    Raises:
        InvalidConfigUpdate: there is nothing to change.
    """
    if not old.HasField("channel_group") or not new.HasField("channel_group"):
        raise InvalidConfigUpdate("", "expected a channel group in both configurations")
    difference = _compare_groups(old.channel_group, new.channel_group)
    if not difference.changed:
        raise InvalidConfigUpdate("", "no differences between the old and the new configuration")
    return ConfigUpdate(
        channel_id=channel_id, read_set=difference.read, write_set=difference.written
    )


class _Difference(NamedTuple):
    read: ConfigGroup
    written: ConfigGroup
    changed: bool


def _compare_groups(old: ConfigGroup, new: ConfigGroup) -> _Difference:
    members_changed = (
        old.mod_policy != new.mod_policy
        or old.groups.keys() != new.groups.keys()
        or old.values.keys() != new.values.keys()
        or old.policies.keys() != new.policies.keys()
    )
    read = ConfigGroup(version=old.version)
    written = ConfigGroup(version=old.version)
    if members_changed:
        written.version += 1
        written.mod_policy = new.mod_policy
    _compare_leaves(old.values, new.values, (read.values, written.values), members_changed)
    _compare_leaves(old.policies, new.policies, (read.policies, written.policies), members_changed)
    for name, group in new.groups.items():
        if name not in old.groups:
            written.groups[name].CopyFrom(_as_new(group))
            continue
        difference = _compare_groups(old.groups[name], group)
        if difference.changed or members_changed:
            read.groups[name].CopyFrom(difference.read)
            written.groups[name].CopyFrom(difference.written)
    changed = members_changed or bool(written.groups or written.values or written.policies)
    return _Difference(read, written, changed)


def _compare_leaves(
    old: Mapping[str, L],
    new: Mapping[str, L],
    sets: "tuple[Mapping[str, L], Mapping[str, L]]",
    keep_unchanged: bool,
) -> None:
    """Writes into the read set and the write set, whose maps make an entry when it is asked for."""
    read, written = sets
    for name, wanted in new.items():
        if name not in old:
            written[name].CopyFrom(wanted)
            written[name].version = 0
        elif _without_version(old[name]) != _without_version(wanted):
            written[name].CopyFrom(wanted)
            written[name].version = old[name].version + 1
        elif keep_unchanged:
            read[name].version = old[name].version
            written[name].version = old[name].version


def _without_version(leaf: L) -> L:
    copy = type(leaf)()
    copy.CopyFrom(leaf)
    copy.version = 0
    return copy


def _as_new(group: ConfigGroup) -> ConfigGroup:
    """A group that joins: everything in it starts at version 0."""
    copy = ConfigGroup(mod_policy=group.mod_policy)
    for name, inner in group.groups.items():
        copy.groups[name].CopyFrom(_as_new(inner))
    for name, value in group.values.items():
        copy.values[name].CopyFrom(_without_version(value))
    for name, policy in group.policies.items():
        copy.policies[name].CopyFrom(_without_version(policy))
    return copy
