"""The fences around a contract worker, put up by the worker's process itself before it sees code.

    limits          address space, open files, file size zero, no core, no further processes
    capabilities    none are left, and no program can give new ones
    namespaces      a user and a network namespace of its own, with no interface in it
    lifeline        it dies with the node
    memory          other processes of the same user cannot read its memory
    files           Landlock: it reads Python's own folders
    system calls    seccomp: what is not needed for computing fails

Each fence holds or says why not. Namespaces are often forbidden inside containers; system calls
and files hold what they hold too, so they alone may be missing where the sandbox is required.
"""

import ctypes
import os
import resource
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tongban.node.runtime.workers.landlock import restrict_reading
from tongban.node.runtime.workers.seccomp import build_filter, install_filter

HELD: Final = "held"
"""What a fence that holds reports; anything else is the reason why it does not."""

NAMESPACES: Final = "namespaces"
FENCES: Final = (
    "limits",
    "capabilities",
    NAMESPACES,
    "lifeline",
    "memory",
    "files",
    "system calls",
)
OPTIONAL: Final = frozenset({NAMESPACES})

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION_3: Final = 0x20080522
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_SIGKILL: Final = 9


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What the kernel holds a worker to."""

    address_space_bytes: int
    open_files: int
    cpu_s: int
    """Seconds of CPU until the node, which looks more often than that, grants more."""


def raise_fences(limits: WorkerLimits, parent: int, readable: Iterable[Path]) -> dict[str, str]:
    """Put up every fence this system allows, for this process and for good.

    Answers for each of :data:`FENCES` HELD or the reason why it does not hold.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    # The order matters: a namespace gives capabilities (inside) and clears the lifeline, Landlock
    # and seccomp need no-new-privileges, and seccomp forbids all the rest.
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("limits", lambda: _limit(limits)),
        (NAMESPACES, lambda: _leave_namespaces(libc)),
        ("capabilities", lambda: _drop_capabilities(libc)),
        ("lifeline", lambda: _die_with(libc, parent)),
        ("memory", lambda: _prctl(libc, _PR_SET_DUMPABLE, 0)),
        ("files", lambda: _hide_files(libc, readable)),
        ("system calls", lambda: _filter_calls(libc)),
    )
    found = {}
    for name, step in steps:
        try:
            step()
        except (OSError, ValueError) as error:
            found[name] = str(error) or type(error).__name__
        else:
            found[name] = HELD
    return {name: found[name] for name in FENCES}


def missing_fences(found: Mapping[str, str]) -> dict[str, str]:
    """The fences that must hold where the sandbox is required, and do not, with the reasons."""
    return {
        name: found.get(name, "not reported")
        for name in FENCES
        if name not in OPTIONAL and found.get(name) != HELD
    }


def make_undumpable() -> None:
    """Other processes of this user can no longer read this one's memory or descriptors, and it
    leaves no core. For a node, which holds a signing key and runs contracts beside it."""
    _prctl(ctypes.CDLL(None, use_errno=True), _PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit(limits: WorkerLimits) -> None:
    space = limits.address_space_bytes
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.open_files, limits.open_files))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, hard))


def _leave_namespaces(libc: ctypes.CDLL) -> None:
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"unshare: {os.strerror(code)}")


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    _prctl(libc, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if libc.capset(header, bytes(24)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"capset: {os.strerror(code)}")


def _die_with(libc: ctypes.CDLL, parent: int) -> None:
    _prctl(libc, _PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the node has gone")  # it went before the line above took effect


def _hide_files(libc: ctypes.CDLL, readable: Iterable[Path]) -> None:
    restrict_reading(libc, readable)


def _filter_calls(libc: ctypes.CDLL) -> None:
    machine = os.uname().machine
    program = build_filter(machine)
    if program is None:
        raise OSError(38, f"the numbers of {machine} are not known")
    install_filter(libc, program)


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    unsigned = ctypes.c_ulong
    if libc.prctl(option, unsigned(value), unsigned(0), unsigned(0), unsigned(0)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")
