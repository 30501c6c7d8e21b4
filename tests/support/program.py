"""Runs the programs of the recorded channel directly on a simulation.

The language is that of ``tests/vectors/fabric-channel/PROGRAM.md``. It stands beside the sample
contract that speaks the same language through the contract library: two implementations that must
agree. Where Fabric's chaincode library checks or changes a request, so does this.
"""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from tongban.node.runtime.contract_host import (
    ContractCall,
    ContractEvent,
    ContractResult,
    Response,
    StateCallRefused,
    StateCalls,
    StateRow,
    StateWrite,
    WriteKind,
)

Operation = Mapping[str, Any]  # Any: a JSON object

VALIDATION_PARAMETER = "VALIDATION_PARAMETER"
MAX_RUNE = "\U0010ffff"


class _Stop(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


async def run_program(call: ContractCall, state: StateCalls) -> ContractResult:
    """The contract: ``run`` and a program."""
    if len(call.args) != 2 or call.args[0] != b"run":
        return ContractResult(Response(500, "want run, program"))
    program = Program(call, state)
    lines: list[str] = []
    for index, operation in enumerate(json.loads(call.args[1])["ops"]):
        name = operation["op"]
        if name == "return":
            lines.append(f"{index} return")
            payload = "\n".join(lines).encode()
            response = Response(operation["st"], operation.get("msg", ""), payload)
            return ContractResult(response, program.event)
        try:
            text = await program.operations[name](operation)
        except (_Stop, StateCallRefused) as error:
            return ContractResult(Response(500, f"op {index} {name}: {error}"))
        lines.append(f"{index} {name}" + (f" {text}" if text else ""))
    return ContractResult(Response(200, "", "\n".join(lines).encode()), program.event)


class Program:
    """The operations."""

    def __init__(self, call: ContractCall, state: StateCalls) -> None:
        self._call = call
        self._state = state
        self.event: ContractEvent | None = None
        self.operations: dict[str, Callable[[Operation], Awaitable[str]]] = {
            "get": self._get,
            "mget": self._mget,
            "put": self._put,
            "del": self._delete,
            "fill": self._fill,
            "purge": self._purge,
            "hash": self._hash,
            "setvp": self._set_policy,
            "getvp": self._get_policy,
            "range": self._range,
            "opencloserange": self._open_close_range,
            "page": self._page,
            "partial": self._partial,
            "partialpage": self._partial_page,
            "history": self._history,
            "event": self._event,
            "invoke": self._invoke,
            "ts": self._timestamp,
            "ids": self._ids,
        }

    async def _get(self, op: Operation) -> str:
        return show(self._state.get_state(key_of(op["k"]), op.get("c", "")))

    async def _mget(self, op: Operation) -> str:
        return " ".join(map(show, self._state.get_states(op["ks"], op.get("c", ""))))

    async def _put(self, op: Operation) -> str:
        self._write(WriteKind.PUT, key_of(op["k"]), op.get("c", ""), self._value(op))
        return ""

    async def _delete(self, op: Operation) -> str:
        self._write(WriteKind.DELETE, key_of(op["k"]), op.get("c", ""))
        return ""

    async def _fill(self, op: Operation) -> str:
        for number in range(op["from"], op["to"]):
            self._write(WriteKind.PUT, op["fmt"] % number, "", self._value(op))
        return ""

    async def _purge(self, op: Operation) -> str:
        self._write(WriteKind.PURGE, key_of(op["k"]), op["c"])
        return ""

    async def _hash(self, op: Operation) -> str:
        return show(self._state.get_private_data_hash(key_of(op["k"]), op["c"]))

    async def _set_policy(self, op: Operation) -> str:
        write = StateWrite(
            WriteKind.PUT_METADATA,
            key_of(op["k"]),
            self._value(op),
            op.get("c", ""),
            VALIDATION_PARAMETER,
        )
        self._state.apply_writes([write])
        return ""

    async def _get_policy(self, op: Operation) -> str:
        entries = self._state.get_metadata(key_of(op["k"]), op.get("c", ""))
        return show(entries.get(VALIDATION_PARAMETER))

    async def _range(self, op: Operation) -> str:
        start = op.get("s", "") or "\x01"
        return self._scan(start, op.get("e", ""), op.get("n", 0), op.get("c", ""))

    async def _open_close_range(self, op: Operation) -> str:
        page = self._state.range(op.get("s", "") or "\x01", op.get("e", ""))
        self._state.close_query(page.query_id)
        return ""

    async def _page(self, op: Operation) -> str:
        start = op.get("s", "") or "\x01"
        return self._paginated(start, op.get("e", ""), op["n"], op.get("mark", ""))

    async def _partial(self, op: Operation) -> str:
        prefix = composite_key(op["ot"], op.get("at", []))
        return self._scan(prefix, prefix + MAX_RUNE, op.get("n", 0), "")

    async def _partial_page(self, op: Operation) -> str:
        prefix = composite_key(op["ot"], op.get("at", []))
        return self._paginated(prefix, prefix + MAX_RUNE, op["n"], op.get("mark", ""))

    async def _history(self, op: Operation) -> str:
        page = self._state.history(key_of(op["k"]))
        rows = list(page.rows)
        while page.has_more:
            page = self._state.next_history_page(page.query_id)
            rows += page.rows
        rows = rows[: op["n"]] if op.get("n") else rows
        return " ".join(
            f"{row.tx_id}:{show(row.value)}:{'true' if row.is_delete else 'false'}" for row in rows
        )

    async def _event(self, op: Operation) -> str:
        self.event = ContractEvent(op["name"], self._value(op))
        return ""

    async def _invoke(self, op: Operation) -> str:
        args = [b"run", json.dumps(op["prog"]).encode()]
        response = await self._state.invoke_chaincode(op["cc"], op.get("ch", ""), args)
        return f"{response.status} {show(response.payload)}"

    async def _timestamp(self, op: Operation) -> str:
        seconds, nanos = self._call.timestamp
        return f"{seconds}.{nanos:09d}"

    async def _ids(self, op: Operation) -> str:
        call = self._call
        binding = hashlib.sha256(call.nonce + call.creator + bytes(8)).hexdigest()
        creator = hashlib.sha256(call.creator).hexdigest()
        return f"{call.channel_id} {call.tx_id} {creator} {binding}"

    def _write(self, kind: WriteKind, key: str, collection: str, value: bytes = b"") -> None:
        if not key:
            raise _Stop("key must not be an empty string")
        self._state.apply_writes([StateWrite(kind, key, value, collection)])

    def _value(self, op: Operation) -> bytes:
        if "b" in op:
            value: bytes = base64.b64decode(op["b"])
        elif "t" in op:
            value = self._call.transient[op["t"]]
        else:
            value = str(op.get("v", "")).encode()
        return value * max(1, int(op.get("rep", 1)))

    def _scan(self, start: str, end: str, limit: int, collection: str) -> str:
        page = self._state.range(start, end, collection=collection)
        rows: list[StateRow] = list(page.rows)
        # Fabric's library for Go fetches the next page as soon as the last row of one is taken.
        while page.has_more and not (limit and len(rows) > limit):
            page = self._state.next_state_page(page.query_id)
            rows += page.rows
        self._state.close_query(page.query_id)
        return digest_of(rows[:limit] if limit else rows)

    def _paginated(self, start: str, end: str, size: int, bookmark: str) -> str:
        page = self._state.range(start, end, size, bookmark)
        return f"{digest_of(page.rows)} {page.fetched_count} {show(page.bookmark.encode())}"


def key_of(key: str | Mapping[str, Any]) -> str:
    return key if isinstance(key, str) else composite_key(key["ot"], key.get("at", []))


def composite_key(kind: str, attributes: Iterable[str]) -> str:
    return "\x00" + "".join(part + "\x00" for part in (kind, *attributes))


def show(value: bytes | None) -> str:
    return value.hex() if value else "-"


def digest_of(rows: Iterable[StateRow]) -> str:
    digest, count = hashlib.sha256(), 0
    for row in rows:
        digest.update(row.key.encode() + b"\x00" + row.value + b"\x00")
        count += 1
    return f"{count} {digest.hexdigest()}"
