"""Names of channels and of elements of a configuration (fabric common/configtx/validator.go)."""

import re

from tongban.node.core.errors import InvalidConfig

NAME_CHARS_MAX = 249
"""Characters of a channel id or of an element's name."""

_CHANNEL_ID = re.compile(r"[a-z][a-z0-9.-]*")
_ELEMENT = re.compile(r"[a-zA-Z0-9.-]+")


def check_channel_id(channel_id: str) -> None:
    """Return if a channel may have this id.

    Raises:
        InvalidConfig: it may not.
    """
    if len(channel_id) > NAME_CHARS_MAX:
        raise InvalidConfig("channel id", f"expected at most {NAME_CHARS_MAX} characters")
    if not _CHANNEL_ID.fullmatch(channel_id):
        raise InvalidConfig(
            "channel id",
            f"expected a lower case letter, then letters, digits, '.' or '-'; found {channel_id!r}",
        )


def find_name_fault(name: str) -> str | None:
    """Why an element may not have this name, or None if it may."""
    if not name:
        return "config ID illegal, cannot be empty"
    if len(name) > NAME_CHARS_MAX:
        return f"config ID illegal, cannot be longer than {NAME_CHARS_MAX}"
    if name in (".", ".."):
        return f"name '{name}' for config ID is not allowed"
    if not _ELEMENT.fullmatch(name):
        return f"config ID '{name}' contains illegal characters"
    return None
