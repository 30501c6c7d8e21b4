"""Landlock: what of the file system a contract worker can still see.

The ruleset handles every right that the kernel's version of Landlock knows, and gives back reading
below a few folders. From version 4 it also denies TCP, from version 6 signals to and abstract
sockets of processes outside (Linux Documentation/userspace-api/landlock.rst).
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
"""The same numbers on all architectures."""

_RIGHTS_BY_VERSION: Final = {1: 13, 2: 14, 3: 15, 4: 15}
"""Number of file system rights; they are the low bits of a mask."""

_RIGHTS_SINCE_5: Final = 16
_READ_FILE: Final = 1 << 2
_READ_FOLDER: Final = 1 << 3
_BIND_AND_CONNECT_TCP: Final = 3
_ABSTRACT_SOCKETS_AND_SIGNALS: Final = 3
_RULE_PATH_BENEATH: Final = 1


def landlock_version(libc: ctypes.CDLL) -> int:
    """Version of the kernel's Landlock, 0 if there is none."""
    found: int = libc.syscall(_CREATE_RULESET, None, 0, 1)
    return max(found, 0)


def restrict_reading(libc: ctypes.CDLL, readable: Iterable[Path]) -> int:
    """From now on this process reads below ``readable`` and nothing else of the file system, and
    writes and executes nothing. Answers the version used. No new privileges must be set.

    Raises:
        OSError: the kernel does not take it; nothing is restricted.
    """
    version = landlock_version(libc)
    if version == 0:
        raise OSError(ctypes.get_errno() or 38, "the kernel has no Landlock")
    rights = (1 << _RIGHTS_BY_VERSION.get(version, _RIGHTS_SINCE_5)) - 1
    network = _BIND_AND_CONNECT_TCP if version >= 4 else 0
    scoped = _ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0
    attributes = struct.pack("=QQQ", rights, network, scoped)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _checked(libc.syscall(_CREATE_RULESET, attributes, size, 0), "create_ruleset")
    try:
        for path in readable:
            _allow_reading(libc, ruleset, path)
        _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0), "restrict_self")
    finally:
        os.close(ruleset)
    return version


def _allow_reading(libc: ctypes.CDLL, ruleset: int, path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there, or hidden from us, need not be allowed
    try:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rights = _READ_FILE | (_READ_FOLDER if folder else 0)
        rule = struct.pack("=Qi", rights, descriptor)
        _checked(libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0), "add_rule")
    finally:
        os.close(descriptor)


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock_{what}: {os.strerror(code)}")
    return result
