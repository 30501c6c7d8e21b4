"""The operations endpoint: a few pages over HTTP, for people and their monitoring.

    GET /healthz    200 or 503 with the checks that fail      GET /metrics   Prometheus' text format
    GET /version    the version                               GET, PUT /logspec   levels of the log

Forms are those of Fabric's nodes (fabric-lib-go healthz, fabric common/flogging/httpadmin,
fabric core/operations). It listens on loopback unless told otherwise, and is HTTP/1.1 of the
smallest kind: one request a connection, everything bounded.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from tongban.node.runtime.log import InvalidLogSpec, LogSpec
from tongban.node.runtime.metrics import Metrics
from tongban.protos.errors import TongbanError

HEAD_BYTES_MAX: Final = 8 * 1024
BODY_BYTES_MAX: Final = 64 * 1024
REQUEST_SECONDS_MAX: Final = 5.0
CONNECTIONS_MAX: Final = 64
"""More are closed at once; monitoring uses one or two."""

_JSON = "application/json"

HealthCheck = Callable[[], Awaitable[str | None]]
"""What is wrong with a component, or None."""

Describe = Callable[[], str]
"""What there is to say of a component, healthy or not."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: HTTPStatus
    body: bytes = b""
    content_type: str = _JSON


class ListenFailed(TongbanError):
    """An address cannot be listened on."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"cannot listen on {address}: {reason}. Is the port taken by another process, or the "
            "address not one of this machine?"
        )
        self.address = address


class _BadRequest(Exception):
    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class Operations:
    """The pages of one node."""

    def __init__(self, metrics: Metrics, log_spec: LogSpec, version: Mapping[str, str]) -> None:
        self._metrics = metrics
        self._log_spec = log_spec
        self._version = dict(version)
        self._checks: dict[str, HealthCheck] = {}
        self._descriptions: dict[str, Describe] = {}
        self._connections = 0
        self._server: asyncio.Server | None = None

    def add_check(self, component: str, check: HealthCheck) -> None:
        self._checks[component] = check

    def describe(self, component: str, read: Describe) -> None:
        """Show the state of a component on the page of health, beside Fabric's fields."""
        self._descriptions[component] = read

    async def start(self, address: str) -> str:
        """Serve at HOST:PORT, and return it with the port that was taken for 0.

        Raises:
            ListenFailed: the address is taken or not ours.
        """
        host, _, port = address.rpartition(":")
        try:
            self._server = await asyncio.start_server(
                self._serve, host, int(port), limit=HEAD_BYTES_MAX, backlog=CONNECTIONS_MAX
            )
        except OSError as error:
            raise ListenFailed(address, str(error)) from None
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def answer(self, method: str, path: str, body: bytes) -> Reply:
        """The page for a request."""
        match method, path.partition("?")[0]:
            case "GET", "/healthz":
                return await self._health()
            case "GET", "/metrics":
                return Reply(HTTPStatus.OK, self._metrics.expose(), "text/plain; version=0.0.4")
            case "GET", "/version":
                return _json(HTTPStatus.OK, self._version)
            case "GET", "/logspec":
                return _json(HTTPStatus.OK, {"spec": self._log_spec.text})
            case "PUT", "/logspec":
                return self._set_log_spec(body)
            case _, "/healthz" | "/metrics" | "/version" | "/logspec":
                return _json(HTTPStatus.METHOD_NOT_ALLOWED, {"error": f"invalid method {method}"})
        return _json(HTTPStatus.NOT_FOUND, {"error": f"no such page: {path}"})

    async def _health(self) -> Reply:
        failed = []
        for component, check in self._checks.items():
            if (reason := await check()) is not None:
                failed.append({"component": component, "reason": reason})
        now = datetime.now(UTC).isoformat()
        components = {name: read() for name, read in self._descriptions.items()}
        if failed:
            page = {"status": "Service Unavailable", "time": now, "failed_checks": failed}
            status = HTTPStatus.SERVICE_UNAVAILABLE
        else:
            page, status = {"status": "OK", "time": now}, HTTPStatus.OK
        return _json(status, {**page, "components": components} if components else page)

    def _set_log_spec(self, body: bytes) -> Reply:
        try:
            spec = json.loads(body)["spec"]
            if not isinstance(spec, str):
                raise InvalidLogSpec("spec must be a string")
            self._log_spec.activate(spec)
        except InvalidLogSpec as error:
            return _json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except (ValueError, KeyError, TypeError):
            return _json(HTTPStatus.BAD_REQUEST, {"error": 'expected {"spec": "LEVELS"}'})
        return Reply(HTTPStatus.NO_CONTENT)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS_MAX:
                async with asyncio.timeout(REQUEST_SECONDS_MAX):
                    writer.write(_encode(await self._reply(reader)))
                    await writer.drain()
        except (TimeoutError, OSError):
            pass  # the client was too slow or has gone
        finally:
            self._connections -= 1
            writer.close()

    async def _reply(self, reader: asyncio.StreamReader) -> Reply:
        try:
            method, path, body = await _read_request(reader)
        except _BadRequest as error:
            return _json(error.status, {"error": str(error)})
        return await self.answer(method, path, body)


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise _BadRequest(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {HEAD_BYTES_MAX} bytes of head"
        ) from None
    except asyncio.IncompleteReadError:
        raise _BadRequest(HTTPStatus.BAD_REQUEST, "the request ends early") from None
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _BadRequest(HTTPStatus.BAD_REQUEST, "expected METHOD PATH HTTP/1.1")
    length = "0"
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-length":
            length = value.strip()
    if not length.isascii() or not length.isdigit() or int(length) > BODY_BYTES_MAX:
        raise _BadRequest(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {BODY_BYTES_MAX} bytes of body"
        )
    try:
        body = await reader.readexactly(int(length))
    except asyncio.IncompleteReadError:
        raise _BadRequest(HTTPStatus.BAD_REQUEST, "the body ends early") from None
    return parts[0], parts[1], body


def _json(status: HTTPStatus, page: object) -> Reply:
    return Reply(status, json.dumps(page, ensure_ascii=False).encode())


def _encode(reply: Reply) -> bytes:
    head = (
        f"HTTP/1.1 {reply.status.value} {reply.status.phrase}\r\n"
        f"Content-Type: {reply.content_type}; charset=utf-8\r\n"
        f"Content-Length: {len(reply.body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + reply.body
