"""Where the ``tongban`` command begins."""

import click

from tongban.network.cli.lazy import Lazy, LazyGroup

_CLI = "tongban.network.cli"

COMMANDS = {
    "network": Lazy(f"{_CLI}.network", "network", "Start and stop a network.", "启动和停止网络"),
    "contract": Lazy(
        f"{_CLI}.contract", "contract", "Write, check and deploy contracts.", "编写、检查、部署合约"
    ),
    "channel": Lazy(f"{_CLI}.channel", "channel", "Look at channels.", "查看通道"),
    "rules": Lazy(
        f"{_CLI}.rules",
        "rules",
        "See and agree on rules between contracts.",
        "查看和商定合约间规则",
    ),
    "reactions": Lazy(
        f"{_CLI}.reactions", "reactions", "Run what waits for a department.", "办理暂缓的联动事项"
    ),
    "submit": Lazy(f"{_CLI}.calls", "submit", "Change the ledger through a contract.", "提交交易"),
    "evaluate": Lazy(
        f"{_CLI}.calls", "evaluate", "Ask a contract; nothing is changed.", "查询,不改变账本"
    ),
    "events": Lazy(f"{_CLI}.calls", "events", "Print the events of a contract.", "输出合约事件"),
    "ledger": Lazy(
        f"{_CLI}.offline", "ledger", "Check ledgers, without a network.", "离线检查账本"
    ),
    "node": Lazy(f"{_CLI}.offline", "node", "Run one node.", "运行单个节点"),
    "demo": Lazy(
        f"{_CLI}.demo",
        "demo",
        "Carry a file of property transfers through.",
        "演示：办理一批转移登记",
    ),
    "doctor": Lazy(
        f"{_CLI}.doctor", "doctor", "Say what is wrong here, and what to do.", "诊断问题并给出办法"
    ),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tongban", prog_name="tongban")
def main() -> None:
    """Tongban (通办): a permissioned ledger for public services."""
