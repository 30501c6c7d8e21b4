"""``tongban submit``, ``evaluate`` and ``events``: calling contracts from the command line."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from tongban.network.cli.context import as_option, dir_option, json_option
from tongban.network.cli.output import refusals, say, say_json, tell
from tongban.network.cli.reach import open_connections, parse_who
from tongban.network.errors import NetworkError
from tongban.network.language import text


def read_transient(entries: Sequence[str]) -> dict[str, object]:
    """Entries ``NAME=@FILE`` read from files, so that secrets stand in no command line, and
    ``NAME=VALUE``."""
    found: dict[str, object] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals:
            raise click.BadParameter("expected NAME=VALUE or NAME=@FILE", param_hint="--transient")
        try:
            found[name] = Path(value[1:]).read_bytes() if value.startswith("@") else value.encode()
        except OSError as error:
            raise click.BadParameter(
                f"{value[1:]} cannot be read: {error.strerror}", param_hint="--transient"
            ) from None
    return found


@click.command()
@click.argument("channel")
@click.argument("contract")
@click.argument("function")
@click.argument("args", nargs=-1)
@click.option("--transient", multiple=True, help="NAME=VALUE or NAME=@FILE; not on the ledger.")
@click.option("--endorse", multiple=True, metavar="MSP", help="Who must endorse.")
@as_option
@json_option
@dir_option
@refusals
def submit(
    channel: str,
    contract: str,
    function: str,
    args: tuple[str, ...],
    transient: tuple[str, ...],
    endorse: tuple[str, ...],
    who: str | None,
    as_json: bool,
    directory: Path,
) -> None:
    """Change the ledger: call FUNCTION of CONTRACT on CHANNEL and wait for the commit."""
    connections = open_connections(directory)
    connections.find_channel(channel)
    organization, user = parse_who(connections, who)
    with connections.gateway(organization, user) as gateway:
        called = gateway.get_network(channel).get_contract(contract)
        proposal = called.new_proposal(
            function, *args, transient=read_transient(transient), endorsing_organizations=endorse
        )
        transaction = proposal.endorse()
        status = transaction.submit().status()
    if not status.is_valid:
        raise NetworkError(
            text(
                f"transaction {status.transaction_id} is invalid: {status.code_name}",
                f"交易 {status.transaction_id} 无效: {status.code_name}",
            ),
            text(
                "Nothing was changed. A read conflict usually goes away when it is submitted "
                "again.",
                "账本未改变。读冲突通常重新提交即可。",
            ),
        )
    if as_json:
        say_json(
            {
                "transaction_id": status.transaction_id,
                "block": status.block_number,
                "result": _printable(transaction.result),
            }
        )
        return
    if transaction.result:
        say(_printable(transaction.result))
    tell(
        text(
            f"committed: transaction {status.transaction_id} in block {status.block_number}",
            f"已提交: 交易 {status.transaction_id},区块 {status.block_number}",
        )
    )


@click.command()
@click.argument("channel")
@click.argument("contract")
@click.argument("function")
@click.argument("args", nargs=-1)
@click.option("--transient", multiple=True, help="NAME=VALUE or NAME=@FILE.")
@as_option
@dir_option
@refusals
def evaluate(
    channel: str,
    contract: str,
    function: str,
    args: tuple[str, ...],
    transient: tuple[str, ...],
    who: str | None,
    directory: Path,
) -> None:
    """Ask: call FUNCTION of CONTRACT on one peer; nothing is changed."""
    connections = open_connections(directory)
    connections.find_channel(channel)
    organization, user = parse_who(connections, who)
    with connections.gateway(organization, user) as gateway:
        called = gateway.get_network(channel).get_contract(contract)
        say(_printable(called.evaluate(function, *args, transient=read_transient(transient))))


@click.command()
@click.argument("channel")
@click.argument("contract")
@click.option("--from", "start", type=click.IntRange(min=0), help="First block; new ones if not.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many events.")
@as_option
@dir_option
@refusals
def events(
    channel: str,
    contract: str,
    start: int | None,
    count: int | None,
    who: str | None,
    directory: Path,
) -> None:
    """Events of CONTRACT on CHANNEL, a JSON line each, until interrupted."""
    connections = open_connections(directory)
    connections.find_channel(channel)
    organization, user = parse_who(connections, who)
    with connections.gateway(organization, user) as gateway:
        network = gateway.get_network(channel)
        with network.chaincode_events(contract, start_block=start) as stream:
            for number, event in enumerate(stream, 1):
                line = {
                    "block": event.block_number,
                    "transaction_id": event.transaction_id,
                    "name": event.event_name,
                    "payload": _printable(event.payload),
                }
                say(json.dumps(line, ensure_ascii=False))
                if number == count:
                    return


def _printable(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.hex()
