"""What a node says of itself over HTTP on its operations port."""

import http.client
import json
from dataclasses import dataclass, field
from typing import Any

ANSWER_SECONDS_MAX = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """A node's answer to ``/healthz``."""

    is_ok: bool
    reasons: tuple[str, ...] = ()
    """``component: what is wrong`` for every check that failed."""

    components: dict[str, str] = field(default_factory=dict)
    """What the node says of its parts."""


def find_health(operations_port: int) -> Health | None:
    """None if nothing answers."""
    page = fetch(operations_port, "/healthz")
    if page is None:
        return None
    failed = page.get("failed_checks") or []
    reasons = tuple(f"{check.get('component')}: {check.get('reason')}" for check in failed)
    return Health(page.get("status") == "OK", reasons, dict(page.get("components") or {}))


def is_healthy(operations_port: int) -> bool:
    found = find_health(operations_port)
    return found is not None and found.is_ok


def fetch(operations_port: int, path: str) -> dict[str, Any] | None:
    """A JSON object from a node on this machine, or None if it does not give one."""
    body = fetch_text(operations_port, path)
    try:
        page = json.loads(body or "")
    except ValueError:
        return None
    return page if isinstance(page, dict) else None


def fetch_text(operations_port: int, path: str) -> str | None:
    """A page from a node on this machine, whatever its status; None if nothing answers."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", operations_port, timeout=ANSWER_SECONDS_MAX
    )
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
