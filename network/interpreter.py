"""Whether the interpreter at hand was built to be fast.

Without a profile of itself (docs.python.org/3/using/configure.html, ``--enable-optimizations``)
CPython 3.11 was measured to take 31 % more time for pure Python code, and 10 to 20 % for a whole
transaction, since cryptography, gRPC and the disk are as fast as ever. Distributions build with
one; ``pyenv install`` and a plain ``./configure && make`` do not.
"""

import sysconfig
from collections.abc import Collection


def is_optimized(configure_arguments: str, schemes: Collection[str]) -> bool:
    """Whether an interpreter with these arguments of ``configure`` and installation schemes was
    built with a profile.

    Debian and Ubuntu run the profiled build by rules of their own, without the argument; their
    interpreters have an installation scheme that no other has. Where nothing is known of how it was
    built, it is taken for fast.
    """
    is_of_debian = "deb_system" in schemes
    return (
        not configure_arguments or "--enable-optimizations" in configure_arguments or is_of_debian
    )


def is_optimized_here() -> bool:
    """Whether the interpreter that runs this was."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS")
    return is_optimized(str(arguments or ""), sysconfig.get_scheme_names())
