"""The official gateway client for Node.js, driven from a test (tests/interop/node/driver.js)."""

import base64
import itertools
import json
import os
import queue
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

DRIVER = Path(__file__).parent.parent / "interop" / "node"
ANSWER_SECONDS_MAX = 60.0


class ClientFailure(Exception):
    """What the official client threw."""

    def __init__(self, failure: dict[str, Any]) -> None:
        super().__init__(failure["message"])
        self.name: str = failure["name"]
        self.message: str = failure["message"]
        self.code: int | None = failure.get("code")
        self.transaction_id: str | None = failure.get("transactionId")
        self.details: list[dict[str, str]] = failure.get("details") or []


def install() -> None:
    """The client is installed below tests/interop/node/node_modules."""
    if (DRIVER / "node_modules" / "@hyperledger" / "fabric-gateway").is_dir():
        return
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=DRIVER,
        check=True,
        capture_output=True,
        timeout=300,
    )


class OfficialClient:
    """One Node.js process. Commands may be answered in any order."""

    def __init__(self) -> None:
        install()
        self._process = subprocess.Popen(
            ["node", "driver.js"],
            cwd=DRIVER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NODE_NO_WARNINGS": "1"},
        )
        self._ids = itertools.count(1)
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._reader.join(10)
        self._process.stdout.close()

    def start(self, do: str, **arguments: object) -> int:
        """Send a command; returns its number for :meth:`wait`."""
        number = next(self._ids)
        self._answers[number] = queue.Queue()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return number

    def wait(self, number: int) -> dict[str, Any]:
        """The answer to a command. Raises ClientFailure if the client threw."""
        answer = self._answers[number].get(timeout=ANSWER_SECONDS_MAX)
        del self._answers[number]
        if "failed" in answer:
            raise ClientFailure(answer["failed"])
        found: dict[str, Any] = answer["ok"]
        return found

    def do(self, verb: str, **arguments: object) -> dict[str, Any]:
        return self.wait(self.start(verb, **arguments))

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            self._answers[answer["id"]].put(answer)


def encode(value: str | bytes) -> str:
    data = value.encode() if isinstance(value, str) else value
    return base64.b64encode(data).decode()


def decode(value: str) -> bytes:
    return base64.b64decode(value)
