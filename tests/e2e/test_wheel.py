"""A wheel holds everything: what is installed from it brings a network up."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.networks import on_free_ports
from tongban.network.layout import NetworkLayout
from tongban.network.leftovers import end_leftovers
from tongban.network.topology import load_profile

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FOLDERS = ("protos", "node", "contracts", "sdk", "network")
SECONDS_MAX = 180.0


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONPATH": ""},
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", *options, source, folder=folder)
    (found,) = folder.glob("*.whl")
    return found


def test_every_file_of_the_tree_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    missing = [
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
        if f"tongban/{path.relative_to(ROOT)}" not in names
    ]
    assert missing == []


@pytest.fixture
def python(wheel: Path, tmp_path: Path) -> Iterator[Path]:
    """An interpreter that has the wheel, and our dependencies from this environment."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=False, symlinks=True)
    paths = {"base": str(home), "platbase": str(home)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    # A path in a .pth file brings no .pth files of its own, so the editable install stays out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    yield home / "bin" / "python"
    end_leftovers(NetworkLayout(tmp_path / ".tongban" / "network"))


def test_a_network_comes_up_from_an_installed_wheel(python: Path, tmp_path: Path) -> None:
    where = "import tongban.network; print(tongban.network.__file__)"
    assert str(tmp_path) in run(python, "-c", where, folder=tmp_path)
    port = str(next(on_free_ports(load_profile("two-org")).nodes())[1].port)

    def tongban(*arguments: str) -> str:
        code = "from tongban.network.cli import main; main(prog_name='tongban')"
        return run(python, "-c", code, *arguments, folder=tmp_path)

    tongban("network", "up", "--sample", "--base-port", port)
    tongban("submit", "mychannel", "basic", "CreateAsset", "w1", "red", "1", "Li Na", "1")
    asked = tongban("evaluate", "mychannel", "basic", "ReadAsset", "w1")
    assert '"Owner":"Li Na"' in asked
    tongban("network", "down")
