"""Interpreters that were built with a profile, and those that were not."""

import platform

import pytest

from tongban.network import machine_checks
from tongban.network.findings import Level
from tongban.network.interpreter import is_optimized

POSIX = ("posix_home", "posix_prefix", "posix_user", "posix_venv", "venv")
DEBIAN = ("deb_system", "posix_local", *POSIX)

BUILDS = {
    "pyenv": ("'--prefix=/root/.pyenv/versions/3.11.7' '--enable-shared'", POSIX, False),
    "configure and make": ("'--prefix=/opt/python'", POSIX, False),
    "pyenv, asked to": ("'--enable-optimizations' '--with-lto' '--enable-shared'", POSIX, True),
    "official image": ("'--build=x86_64-linux-gnu' '--enable-optimizations'", POSIX, True),
    "Debian": ("'--enable-shared' '--prefix=/usr' '--with-system-expat'", DEBIAN, True),
    "nothing is known": ("", POSIX, True),
}


@pytest.mark.parametrize("name", BUILDS)
def test_a_build_says_whether_it_was_made_with_a_profile(name: str) -> None:
    arguments, schemes, expected = BUILDS[name]
    assert is_optimized(arguments, schemes) is expected


@pytest.mark.parametrize(("optimized", "level"), [(True, Level.OK), (False, Level.WARNING)])
def test_doctor_notes_a_slow_interpreter_and_calls_it_no_problem(
    monkeypatch: pytest.MonkeyPatch, optimized: bool, level: Level
) -> None:
    monkeypatch.setattr(machine_checks, "is_optimized_here", lambda: optimized)
    found = machine_checks.examine_python()
    assert found.level is level
    assert platform.python_version() in found.explanation
    assert ("--enable-optimizations" in found.remedy) is not optimized
