"""Whether a network that is running works: its nodes, their heights, versions and clocks."""

import datetime as dt
import re
import time
from collections.abc import Iterator, Mapping

from tongban.network.control import Control, NodeStatus
from tongban.network.errors import NetworkError
from tongban.network.findings import Finding, ok, problem, warning
from tongban.network.health import fetch, fetch_text, find_health
from tongban.network.language import text
from tongban.network.layout import NetworkLayout
from tongban.network.leftovers import find_leftovers
from tongban.network.preflight import port_problems
from tongban.network.topology import Node, Topology

CLOCK_SECONDS_MAX = 2.0
"""Further apart, signatures and deadlines begin to be refused."""

HEIGHT_SECONDS_MAX = 3.0
"""Heights that still differ after this are not just those of a busy network."""

STARTS_MAX = 3

_HEIGHT = re.compile(r'^tongban_block_height\{channel="([^"]+)"\} ([0-9.e+]+)$', re.MULTILINE)


def examine_network(layout: NetworkLayout, topology: Topology) -> Iterator[Finding]:
    """The network of a directory, running or not."""
    try:
        statuses = Control(layout).status()
    except NetworkError:
        yield from _examine_stopped(layout, topology)
        return
    yield ok(
        text("network", "网络"), text(f"{topology.name} is running", f"{topology.name} 运行中")
    )
    nodes = dict(topology.nodes())
    for status in statuses:
        yield from _examine_node(status, nodes[status.name])
    yield from _versions(nodes)
    yield from _heights(nodes)
    known = {status.pid for status in statuses}
    for leftover in find_leftovers(layout):
        if leftover.pid not in known:
            yield problem(
                leftover.name,
                text(
                    f"process {leftover.pid} runs beside the one that is supervised",
                    f"进程 {leftover.pid} 不受监督",
                ),
                text(f"End it: kill {leftover.pid}", f"请结束: kill {leftover.pid}"),
            )


def _examine_stopped(layout: NetworkLayout, topology: Topology) -> Iterator[Finding]:
    subject = text("network", "网络")
    leftovers = find_leftovers(layout)
    for leftover in leftovers:
        yield problem(
            leftover.name,
            text(
                f"process {leftover.pid} runs without its supervisor, which has gone",
                f"监督进程已消失,进程 {leftover.pid} 仍在运行",
            ),
            text("End what is left: tongban network down", "清理: tongban network down"),
        )
    if leftovers:
        return
    stopped = text(f"{topology.name} is not running", f"{topology.name} 未运行")
    taken = list(port_problems(topology))
    for explanation, remedy in taken:
        yield problem(subject, explanation, remedy)
    if not taken:
        free = text(f"{stopped}; its ports are free", f"{stopped};端口空闲")
        yield ok(subject, free)


def _examine_node(status: NodeStatus, node: Node) -> Iterator[Finding]:
    logs = f"tongban network logs {status.name}"
    if status.pid is None:
        yield problem(
            status.name,
            status.state,
            text(
                f"Its log says why: {logs}; then: tongban network start {status.name}",
                f"原因见日志: {logs};然后: tongban network start {status.name}",
            ),
        )
        return
    found = find_health(node.operations_port)
    if found is None:
        yield problem(
            status.name,
            text("does not answer", "没有应答"),
            text(
                f"See {logs}; if it hangs: tongban network kill {status.name}",
                f"参见 {logs};若已挂起: tongban network kill {status.name}",
            ),
        )
        return
    for reason in found.reasons:
        yield problem(status.name, reason, text(f"See {logs}", f"参见 {logs}"))
    if found.is_ok:
        state = "; ".join(f"{name}: {value}" for name, value in found.components.items())
        yield ok(status.name, state or text("healthy", "正常"))
    if status.starts > STARTS_MAX:
        yield warning(
            status.name,
            text(f"was started {status.starts} times", f"已启动 {status.starts} 次"),
            text(f"Its log says why: {logs}", f"原因见日志: {logs}"),
        )
    yield from _clock(status.name, node)


def _clock(name: str, node: Node) -> Iterator[Finding]:
    page = fetch(node.operations_port, "/healthz") or {}
    try:
        told = dt.datetime.fromisoformat(str(page.get("time")))
        apart = abs((dt.datetime.now(dt.UTC) - told).total_seconds())
    except (ValueError, TypeError):
        return
    if apart > CLOCK_SECONDS_MAX:
        yield warning(
            name,
            text(f"its clock is {apart:.0f} s off", f"时钟相差 {apart:.0f} 秒"),
            text("Synchronize the clocks (chrony, ntpd).", "请同步时钟(chrony、ntpd)。"),
        )


def _versions(nodes: Mapping[str, Node]) -> Iterator[Finding]:
    found = {}
    for name, node in nodes.items():
        page = fetch(node.operations_port, "/version")
        if page is not None:
            found[name] = str(page.get("Version"))
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{name} {version}" for name, version in found.items())
        yield warning(
            text("versions", "版本"),
            listed,
            text(
                "Start all nodes with one release: tongban network down && tongban network up",
                "请用同一版本重启: tongban network down && tongban network up",
            ),
        )


def _heights(nodes: Mapping[str, Node]) -> Iterator[Finding]:
    deadline = time.monotonic() + HEIGHT_SECONDS_MAX
    while True:
        found = read_heights(nodes)
        apart = [channel for channel, of in found.items() if len(set(of.values())) > 1]
        if not apart or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    for channel, heights in found.items():
        listed = ", ".join(f"{name} {height}" for name, height in heights.items())
        subject = text(f"channel {channel}", f"通道 {channel}")
        if channel in apart:
            yield warning(
                subject,
                text(f"heights differ: {listed}", f"高度不一致: {listed}"),
                text(
                    "Those behind are catching up, or get no blocks: look again in a minute, then "
                    "at their logs.",
                    "落后的节点正在追赶,或收不到区块: 一分钟后再看,然后查日志。",
                ),
            )
        else:
            height = next(iter(heights.values()))
            yield ok(subject, text(f"height {height} everywhere", f"各节点高度均为 {height}"))


def read_heights(nodes: Mapping[str, Node]) -> dict[str, dict[str, int]]:
    """For each channel the height at each node that answers."""
    found: dict[str, dict[str, int]] = {}
    for name, node in nodes.items():
        for channel, height in _HEIGHT.findall(fetch_text(node.operations_port, "/metrics") or ""):
            found.setdefault(channel, {})[name] = int(float(height))
    return found
