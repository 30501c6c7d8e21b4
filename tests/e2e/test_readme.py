"""What the README says to type works, typed in its order in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.networks import on_free_ports
from tongban.network.layout import NetworkLayout
from tongban.network.leftovers import end_leftovers
from tongban.network.topology import load_profile

README = Path(__file__).parents[2] / "README.md"
SECONDS_MAX = 120.0


def typed() -> list[tuple[str, str]]:
    """Kind and text of every block that is typed, in order."""
    found = re.findall(r"```(console|python)\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    return [
        (kind, block) for kind, block in found if kind == "console" or "Gateway.connect" in block
    ]


def run(command: list[str], folder: Path) -> str:
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_what_the_readme_says_works_as_it_is_typed(tmp_path: Path) -> None:
    port = str(next(on_free_ports(load_profile("two-org")).nodes())[1].port)
    outputs: dict[str, str] = {}
    try:
        for kind, block in typed():
            if kind == "python":
                outputs["client"] = run([sys.executable, "-c", block], tmp_path)
                continue
            for line in block.splitlines():
                if line.startswith(("make setup", "export PATH")):
                    continue
                text = line.replace("network up", f"network up --base-port {port}")
                outputs[line] = run(["bash", "-c", text], tmp_path)
    finally:
        run([str(Path(sys.executable).parent / "tongban"), "doctor", "--json"], tmp_path)
        end_leftovers(NetworkLayout(tmp_path / ".tongban" / "network"))
    assert '"Owner":"Li Na"' in outputs["tongban evaluate mychannel basic ReadAsset a1"]
    assert '"owner":"Wang Wei"' in outputs["tongban evaluate mychannel shop read r1"]
    assert '"Owner":"Zhang San"' in outputs["client"]
    assert "registered" in outputs["tongban events mychannel shop --from 0 --count 1"]
    assert not (tmp_path / ".tongban" / "network").exists()
