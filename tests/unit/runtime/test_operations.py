"""The operations pages, and a server that bears bad clients."""

import asyncio
import json
from http import HTTPStatus

import pytest

from tongban.node.runtime.log import LogSpec
from tongban.node.runtime.metrics import Metrics
from tongban.node.runtime.operations import HEAD_BYTES_MAX, ListenFailed, Operations


def operations() -> Operations:
    return Operations(Metrics(), LogSpec(), {"Version": "1.2"})


def answer(
    method: str, path: str, body: bytes = b"", subject: Operations | None = None
) -> tuple[HTTPStatus, object]:
    reply = asyncio.run((subject or operations()).answer(method, path, body))
    return reply.status, json.loads(reply.body) if reply.body else None


def test_health_names_what_fails() -> None:
    subject = operations()
    trouble: list[str] = []

    async def check() -> str | None:
        return trouble[0] if trouble else None

    subject.add_check("ordering", check)
    assert answer("GET", "/healthz", subject=subject)[0] == HTTPStatus.OK
    trouble.append("no orderer")
    status, page = answer("GET", "/healthz", subject=subject)
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert isinstance(page, dict)
    assert page["failed_checks"] == [{"component": "ordering", "reason": "no orderer"}]


def test_pages_methods_and_unknown_paths() -> None:
    assert answer("GET", "/version") == (HTTPStatus.OK, {"Version": "1.2"})
    assert answer("DELETE", "/version")[0] == HTTPStatus.METHOD_NOT_ALLOWED
    assert answer("GET", "/secret")[0] == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"spec": 3}', b'{"spec": "loud"}', b"\xff"])
def test_a_bad_log_specification_is_refused_and_changes_nothing(body: bytes) -> None:
    subject = operations()
    status, page = answer("PUT", "/logspec", body, subject)
    assert status == HTTPStatus.BAD_REQUEST
    assert isinstance(page, dict) and page["error"]
    assert answer("GET", "/logspec", subject=subject) == (HTTPStatus.OK, {"spec": "info"})


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /version HTTP/1.1\r\n\r\n", b"200"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n", b"431"),
        (b"PUT /logspec HTTP/1.1\r\nContent-Length: 999999\r\n\r\n", b"413"),
        (b"PUT /logspec HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"413"),
        (b"PUT /logspec HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc", b"400"),
        (b"GET /version", b"400"),
    ],
)
def test_any_request_gets_an_answer_and_the_server_goes_on(
    request_bytes: bytes, status: bytes
) -> None:
    async def ask(address: str, data: bytes) -> bytes:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        writer.write_eof()
        reply = await reader.read()
        writer.close()
        return reply

    async def work() -> None:
        subject = operations()
        address = await subject.start("127.0.0.1:0")
        async with asyncio.timeout(10):
            assert (await ask(address, request_bytes)).split(b" ")[1] == status
            assert (await ask(address, b"GET /version HTTP/1.1\r\n\r\n")).split(b" ")[1] == b"200"
            with pytest.raises(ListenFailed, match="port taken"):
                await operations().start(address)
        await subject.close()

    asyncio.run(work())


def test_metrics_are_read_when_asked() -> None:
    metrics = Metrics()
    heights = {"a": 1.0}
    metrics.watch("block_height", "Number of blocks", "channel", lambda: heights)
    heights["a"] = 7.0
    text = metrics.expose().decode()
    assert 'tongban_block_height{channel="a"} 7.0' in text
    assert "process_resident_memory_bytes" in text
