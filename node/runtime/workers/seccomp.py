"""The system calls a contract worker may still make after it is started.

Everything that is not listed fails with EPERM: sockets, processes and threads, signals, ptrace,
other processes' memory, mounts, io_uring, bpf, keys, and changing any file. What is listed only
reads, allocates, waits, and uses descriptors that are open already.

The filter is classic BPF over ``struct seccomp_data`` (Linux Documentation/userspace-api/
seccomp_filter.rst). Numbers are those of asm/unistd_64.h (x86_64) and asm-generic/unistd.h.
"""

import ctypes
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_X86: Final = 0xC000003E
_ARM: Final = 0xC00000B7
_X32_BIT: Final = 0x40000000
"""Set in the numbers of the x32 calls, which share the architecture of x86_64."""

_BOTH: Final[Mapping[str, tuple[int, int]]] = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "close": (3, 57),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "lseek": (8, 62),
    "getdents64": (217, 61),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "getcwd": (79, 17),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "uname": (63, 160),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "sysinfo": (99, 179),
    "getrusage": (98, 165),
    "ppoll": (271, 73),
    "dup": (32, 23),
}
_X86_ONLY: Final[Mapping[str, int]] = {
    "stat": 4,
    "lstat": 6,
    "poll": 7,
    "access": 21,
    "readlink": 89,
    "time": 201,
}

_WRITING_FLAGS: Final = 0o3 | 0o100 | 0o1000 | 0o2000 | 0o20000000
"""O_ACCMODE, O_CREAT, O_TRUNC, O_APPEND and O_TMPFILE; the same on both architectures."""

_FCNTL: Final = (1, 2, 3, 1030)
"""F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC. Not F_SETOWN and F_SETSIG, which send signals to
others."""

_IOCTL: Final = (0x5401, 0x5451)
"""TCGETS, by which Python asks for a terminal, and FIOCLEX."""

_LOAD: Final = 0x20
_JUMP_EQUAL: Final = 0x15
_JUMP_GREATER_EQUAL: Final = 0x35
_JUMP_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06

_ALLOW: Final = 0x7FFF0000
_KILL_PROCESS: Final = 0x80000000
_REFUSE: Final = 0x00050000 | 1
"""SECCOMP_RET_ERRNO with EPERM."""

_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4

_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


@dataclass(frozen=True, slots=True)
class _Architecture:
    audit: int
    allowed: tuple[int, ...]
    openat: int
    open: int | None
    fcntl: int
    ioctl: int
    prlimit: int


def _architecture(machine: str) -> _Architecture | None:
    if machine == "x86_64":
        numbers = (*(pair[0] for pair in _BOTH.values()), *_X86_ONLY.values())
        return _Architecture(_X86, numbers, openat=257, open=2, fcntl=72, ioctl=16, prlimit=302)
    if machine == "aarch64":
        numbers = tuple(pair[1] for pair in _BOTH.values())
        return _Architecture(_ARM, numbers, openat=56, open=None, fcntl=25, ioctl=29, prlimit=261)
    return None


def build_filter(machine: str) -> bytes | None:
    """The filter for a machine as ``os.uname`` names it, None if we do not know its numbers."""
    arch = _architecture(machine)
    if arch is None:
        return None
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, arch.audit),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if arch.audit == _X86:
        program += [(_JUMP_GREATER_EQUAL, 0, 1, _X32_BIT), (_RETURN, 0, 0, _REFUSE)]
    for number in arch.allowed:
        program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    program += _when(arch.openat, _without_bits(2, _WRITING_FLAGS))
    if arch.open is not None:
        program += _when(arch.open, _without_bits(1, _WRITING_FLAGS))
    program += _when(arch.fcntl, _one_of(1, _FCNTL))
    program += _when(arch.ioctl, _one_of(1, _IOCTL))
    program += _when(arch.prlimit, _reading_own_limits())
    program.append((_RETURN, 0, 0, _REFUSE))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def install_filter(libc: ctypes.CDLL, program: bytes) -> None:
    """Hold this process and what it starts to the filter. No new privileges must be set.

    Raises:
        OSError: the kernel does not take it.
    """

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    holder = Program(len(program) // 8, program)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(holder), 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, "prctl(PR_SET_SECCOMP)")


def _low(argument: int) -> Instruction:
    """Load the low half of an argument; both architectures are little endian."""
    return (_LOAD, 0, 0, 16 + 8 * argument)


def _high(argument: int) -> Instruction:
    return (_LOAD, 0, 0, 20 + 8 * argument)


def _when(number: int, block: Sequence[Instruction]) -> list[Instruction]:
    """``block``, which ends every path with a verdict, for one system call."""
    return [(_JUMP_EQUAL, 0, len(block), number), *block]


def _without_bits(argument: int, bits: int) -> list[Instruction]:
    return [
        _low(argument),
        (_JUMP_ANY_BIT, 1, 0, bits),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]


def _one_of(argument: int, values: Sequence[int]) -> list[Instruction]:
    block = [_low(argument)]
    for value in values:
        block += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*block, (_RETURN, 0, 0, _REFUSE)]


def _reading_own_limits() -> list[Instruction]:
    """prlimit64 of process 0 (oneself) with no new limit."""
    refuse = (_RETURN, 0, 0, _REFUSE)
    block: list[Instruction] = []
    for half in (_low(0), _low(2), _high(2)):
        block += [half, (_JUMP_EQUAL, 1, 0, 0), refuse]
    return [*block, (_RETURN, 0, 0, _ALLOW)]
