"""The documents say what is there: links lead somewhere, commands exist, parts have one form."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from tests.unit.house.source import ROOT
from tongban.network.cli import main
from tongban.network.topology import parse_topology

DOCUMENTS = sorted(
    path for pattern in ("*.md", "docs/*.md", "docs/adr/*.md") for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
CODE = re.compile(r"`([^`\n]+)`|```console\n(.*?)```", re.DOTALL)

PARTS = ("channel", "gateway", "identity-and-policy", "network", "ordering")
HEADINGS = ("Purpose", "Keeps on disk", "Limits", "Failure and recovery", "Tests")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    broken = [
        link for link in LINK.findall(path.read_text("utf-8")) if not (path.parent / link).exists()
    ]
    assert broken == []


@pytest.mark.parametrize("name", PARTS)
def test_a_parts_page_has_the_headings_of_all_parts(name: str) -> None:
    text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    found = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [heading for heading in HEADINGS if heading not in found] == []
    assert "Takes" in found or "Takes and gives" in found


def commands_named() -> Iterator[tuple[str, list[str]]]:
    for path in DOCUMENTS:
        for inline, block in CODE.findall(path.read_text("utf-8")):
            for line in (inline or block).splitlines():
                for part in re.split(r"&&|;", line):
                    words = part.replace("\\|", "|").split()
                    if words[:1] == ["tongban"] and len(words) > 1:
                        yield path.name, words[1:]


def test_every_command_that_a_document_names_exists() -> None:
    wrong = [
        f"{name}: tongban {' '.join(words)}"
        for name, words in commands_named()
        if not all(exists(alternatives) for alternatives in spread(words))
    ]
    assert wrong == []


def spread(words: list[str]) -> Iterator[list[str]]:
    """``network up|down`` is two commands."""
    first = words[0].split("|")
    second = words[1].split("|") if len(words) > 1 else [""]
    for one in first:
        for two in second:
            yield [one, two]


def exists(words: list[str]) -> bool:
    name, following = words
    if name.startswith("-"):
        return True
    context = click.Context(main)
    command = main.get_command(context, name)
    if command is None:
        return False
    if not isinstance(command, click.Group) or not following.isalpha():
        return True
    return command.get_command(context, following) is not None


def test_the_topology_of_the_network_page_is_well_formed() -> None:
    text = (ROOT / "docs" / "network.md").read_text("utf-8")
    (document,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    topology = parse_topology(yaml.safe_load(document), "docs/network.md")
    assert topology.channels[0].contracts[0].source == "samples/asset_transfer"


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    context = click.Context(main)
    missing = [name for name in main.list_commands(context) if not re.search(rf"\b{name}\b", text)]
    assert missing == []
