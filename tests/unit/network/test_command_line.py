"""The command is quick to say what it can do, and says it in the reader's language."""

import subprocess
import sys

import click
import pytest

from tongban.network.cli import main
from tongban.network.cli.lazy import LazyGroup
from tongban.network.cli.output import refuse
from tongban.network.language import is_chinese
from tongban.sdk import EndorseError, ErrorDetail, StatusCode

HEAVY = ("grpc", "pydantic", "cryptography", "rich", "tongban.sdk")


def test_help_imports_nothing_that_takes_long() -> None:
    code = (
        "import sys; from tongban.network.cli import main;"
        "from click.testing import CliRunner;"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0;"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60
    )
    assert done.stdout.split() == []


def groups(group: click.Group, path: str = "tongban") -> list[tuple[str, click.Group]]:
    found = [(path, group)]
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found += groups(command, f"{path} {name}")
    return found


def test_every_command_can_be_loaded_has_its_name_and_a_help_text() -> None:
    for path, group in groups(main):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None, f"{path} {name}"
            assert command.name == name, f"{path} {name}"
            assert command.help, f"{path} {name}"


def test_groups_list_their_commands_in_the_readers_language(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(main, LazyGroup)
    for locale, word in (("en_US.UTF-8", "Start and stop"), ("zh_CN.UTF-8", "启动和停止网络")):
        monkeypatch.setenv("LC_ALL", locale)
        assert word in main.get_help(click.Context(main))


@pytest.mark.parametrize(
    ("variables", "chinese"),
    [
        ({}, False),
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, False),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_TW"}, True),
        ({"LANG": "en_US.UTF-8"}, False),
    ],
)
def test_the_first_locale_that_is_set_decides(
    variables: dict[str, str], chinese: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_chinese() is chinese


def test_what_each_node_said_stands_on_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    details = [
        ErrorDetail("peer0:7051", "Org1MSP", "no"),
        ErrorDetail("peer1:7051", "Org2MSP", "a; b"),
    ]
    message = "failed to endorse transaction, see attached details for more info"
    with pytest.raises(SystemExit) as caught:
        refuse(EndorseError("ab12", StatusCode.ABORTED, message, details))
    assert caught.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        "refused: transaction ab12: failed to endorse transaction",
        "  Org1MSP peer0:7051: no",
        "  Org2MSP peer1:7051: a; b",
    ]


def test_an_unreachable_network_is_followed_by_what_to_look_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    with pytest.raises(SystemExit):
        refuse(EndorseError("ab12", StatusCode.UNAVAILABLE, "connection refused"))
    assert "tongban network status" in capsys.readouterr().err
