"""Whether this machine can run nodes: Python, system, disk, and the fences around contracts."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tongban.network.findings import Finding, ok, problem, warning
from tongban.network.interpreter import is_optimized_here
from tongban.network.language import text
from tongban.network.preflight import machine_problems

PYTHON_MIN = (3, 11)

PROBE_SECONDS_MAX = 30.0

LIBRARIES = ("grpcio", "protobuf", "cryptography", "greenlet", "msgpack")
"""Those with compiled parts, which fail to load where they do not fit the machine."""


def examine_machine(root: Path) -> Iterator[Finding]:
    """Without any network."""
    yield examine_python()
    yield _libraries()
    yield ok(
        text("system", "系统"),
        f"{platform.system()} {platform.release()}, {platform.machine()}, "
        + text(f"{os.cpu_count()} cores", f"{os.cpu_count()} 核"),
    )
    found = list(machine_problems(root))
    for explanation, remedy in found:
        yield problem(text("machine", "本机"), explanation, remedy)
    if not found:
        yield ok(text("disk", "磁盘"), text(f"room below {root}", f"{root} 空间充足"))
    yield from _fences()


def examine_python() -> Finding:
    """New enough, and built to be fast?"""
    subject = "Python"
    found = platform.python_version()
    if sys.version_info < PYTHON_MIN:
        expected = ".".join(map(str, PYTHON_MIN))
        return problem(
            subject,
            text(f"{found}, at least {expected} is needed", f"{found},至少需要 {expected}"),
            text("Install a newer Python and run make setup.", "请安装新版 Python 后 make setup。"),
        )
    if not is_optimized_here():
        return warning(
            subject,
            text(
                f"{found} ({sys.executable}), built without profile-guided optimization: "
                "Python code takes about 30 % more time, a whole transaction 10 to 20 %",
                f"{found} ({sys.executable}) 未做 PGO 优化编译:"
                "Python 代码慢约 30%,整笔交易慢 10%~20%",
            ),
            text(
                "For speed, use the distribution's Python, or build with --enable-optimizations "
                "(pyenv: PYTHON_CONFIGURE_OPTS='--enable-optimizations --with-lto'), then set up "
                "anew.",
                "追求性能时请用发行版的 Python,或以 --enable-optimizations 重新编译(pyenv: "
                "PYTHON_CONFIGURE_OPTS='--enable-optimizations --with-lto'),然后重新安装。",
            ),
        )
    return ok(subject, f"{found} ({sys.executable})")


def _libraries() -> Finding:
    subject = text("libraries", "依赖库")
    missing = []
    versions = []
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        names = ", ".join(missing)
        return problem(
            subject,
            text(f"missing: {names}", f"缺少: {names}"),
            text(f"Install them: pip install {' '.join(missing)}", f"pip install {names}"),
        )
    return ok(subject, ", ".join(versions))


def _fences() -> Iterator[Finding]:
    subject = text("fences around contracts", "合约隔离")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tongban.node.doctor"],
            capture_output=True,
            check=True,
            timeout=PROBE_SECONDS_MAX,
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        yield problem(
            subject,
            text(f"could not be tried: {error}", f"无法检测: {error}"),
            text("Run: python -m tongban.node.doctor", "运行: python -m tongban.node.doctor"),
        )
        return
    fences: dict[str, str] = answer["fences"]
    missing: dict[str, str] = answer["missing"]
    held = [name for name, state in fences.items() if state == "held"]
    if held:
        yield ok(subject, text(f"held: {', '.join(held)}", f"有效: {', '.join(held)}"))
    for name, reason in fences.items():
        if reason == "held":
            continue
        if name in missing:
            remedy = text(
                "Contracts run with less protection; with `sandbox: required` not at all. A newer "
                "kernel (5.13 or later), or a container that allows it, helps.",
                "合约的隔离减弱;若设 sandbox: required 则拒绝运行。"
                "请使用 5.13 以上内核,或放宽容器限制。",
            )
        else:
            remedy = text(
                "Not needed: system calls and files hold what it holds.",
                "可以没有: 其他隔离已覆盖。",
            )
        yield warning(subject, f"{name}: {reason}", remedy)
