"""Runs a list of ledger operations given as JSON, and answers what each found.

Every chaincode of the recorded channel in ``tests/vectors/fabric-channel`` runs such a program;
its ``PROGRAM.md`` is the language. It takes the arguments as they come, so it is a Chaincode.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from tongban.contracts import (
    Chaincode,
    Context,
    ContractError,
    Page,
    Response,
    Row,
    Rows,
    StateRefused,
    Stub,
)

Operation = Mapping[str, Any]  # fields of JSON


class Program(Chaincode):
    """Runs ``run`` with one program; refuses everything else."""

    def invoke(self, ctx: Context) -> Response:
        args = ctx.stub.args
        operations = _operations_of(args[1]) if len(args) == 2 and args[0] == b"run" else None
        if operations is None:
            return Response(500, "want run, program")
        lines: list[str] = []
        for index, operation in enumerate(operations):
            name = operation.get("op", "")
            if name == "return":
                lines.append(f"{index} return")
                return Response(operation["st"], operation.get("msg", ""), _payload(lines))
            if name not in OPERATIONS:
                return Response(500, f"op {index} {name}: unknown operation")
            try:
                result = OPERATIONS[name](ctx.stub, operation)
            except ContractError as error:
                return Response(500, f"op {index} {name}: {error.text}")
            except StateRefused as error:
                return Response(500, f"op {index} {name}: {error}")
            except KeyError as error:
                return Response(500, f"op {index} {name}: missing {error}")
            lines.append(f"{index} {name} {result}" if result else f"{index} {name}")
        return Response(200, "", _payload(lines))


def _operations_of(program: bytes) -> list[Operation] | None:
    try:
        document = json.loads(program)
    except (ValueError, RecursionError):
        return None
    operations = document.get("ops") or [] if isinstance(document, dict) else None
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        return None
    return operations


def _payload(lines: Iterable[str]) -> bytes:
    return "\n".join(lines).encode("utf-8")


def _key(stub: Stub, key: Any) -> str:
    if isinstance(key, dict):
        return stub.create_composite_key(key["ot"], key.get("at") or [])
    return str(key)


def _value(stub: Stub, operation: Operation) -> bytes:
    if "b" in operation:
        value = base64.b64decode(operation["b"])
    elif "t" in operation:
        value = stub.transient.get(operation["t"], b"")
    else:
        value = str(operation.get("v", "")).encode("utf-8")
    repetitions: int = operation.get("rep", 1)
    return value * max(repetitions, 1)


def _shown(data: bytes | str) -> str:
    raw = data.encode("utf-8") if isinstance(data, str) else data
    return raw.hex() or "-"


def _summary(rows: Iterable[Row]) -> str:
    digest, count = hashlib.sha256(), 0
    for row in rows:
        digest.update(row.key.encode("utf-8") + b"\x00" + row.value + b"\x00")
        count += 1
    return f"{count} {digest.hexdigest()}"


def _page_summary(page: Page) -> str:
    return f"{_summary(page.rows)} {page.fetched} {_shown(page.bookmark)}"


def _get(stub: Stub, operation: Operation) -> str:
    key, collection = _key(stub, operation["k"]), operation.get("c")
    return _shown(stub.get_private_data(collection, key) if collection else stub.get_state(key))


def _mget(stub: Stub, operation: Operation) -> str:
    keys, collection = [_key(stub, key) for key in operation["ks"]], operation.get("c")
    if collection:
        values = stub.get_multiple_private_data(collection, keys)
    else:
        values = stub.get_multiple(keys)
    return " ".join(_shown(value) for value in values)


def _put(stub: Stub, operation: Operation) -> None:
    key, value, collection = _key(stub, operation["k"]), _value(stub, operation), operation.get("c")
    if collection:
        stub.put_private_data(collection, key, value)
    else:
        stub.put_state(key, value)


def _del(stub: Stub, operation: Operation) -> None:
    key, collection = _key(stub, operation["k"]), operation.get("c")
    if collection:
        stub.delete_private_data(collection, key)
    else:
        stub.delete_state(key)


def _fill(stub: Stub, operation: Operation) -> None:
    for number in range(operation["from"], operation["to"]):
        stub.put_state(operation["fmt"] % number, _value(stub, operation))


def _purge(stub: Stub, operation: Operation) -> None:
    stub.purge_private_data(operation["c"], _key(stub, operation["k"]))


def _hash(stub: Stub, operation: Operation) -> str:
    return _shown(stub.get_private_data_hash(operation["c"], _key(stub, operation["k"])))


def _setvp(stub: Stub, operation: Operation) -> None:
    key, policy, collection = (
        _key(stub, operation["k"]),
        _value(stub, operation),
        operation.get("c"),
    )
    if collection:
        stub.set_private_data_validation_parameter(collection, key, policy)
    else:
        stub.set_state_validation_parameter(key, policy)


def _getvp(stub: Stub, operation: Operation) -> str:
    key, collection = _key(stub, operation["k"]), operation.get("c")
    if collection:
        return _shown(stub.get_private_data_validation_parameter(collection, key))
    return _shown(stub.get_state_validation_parameter(key))


def _range(stub: Stub, operation: Operation) -> str:
    start, end, limit = operation.get("s", ""), operation.get("e", ""), operation.get("n", 0)
    collection = operation.get("c")
    if collection:
        rows = stub.get_private_data_by_range(collection, start, end)
    else:
        rows = stub.get_state_by_range(start, end)
    return _scan(rows, limit)


def _scan(rows: Rows, limit: int) -> str:
    with rows:
        summary = _summary(islice(rows, limit) if limit > 0 else rows)
        # Fabric's library for Go fetches a page as soon as the last row of the one before is
        # taken (fabric-chaincode-go shim/stub.go, nextResult), which the read set shows; one more
        # row does the same.
        next(rows, None)
        return summary


def _open_close_range(stub: Stub, operation: Operation) -> None:
    stub.get_state_by_range(operation.get("s", ""), operation.get("e", "")).close()


def _page(stub: Stub, operation: Operation) -> str:
    page = stub.get_state_by_range_with_pagination(
        operation.get("s", ""), operation.get("e", ""), operation["n"], operation.get("mark", "")
    )
    return _page_summary(page)


def _partial(stub: Stub, operation: Operation) -> str:
    rows = stub.get_state_by_partial_composite_key(operation["ot"], operation.get("at") or [])
    return _scan(rows, operation.get("n", 0))


def _partial_page(stub: Stub, operation: Operation) -> str:
    page = stub.get_state_by_partial_composite_key_with_pagination(
        operation["ot"], operation.get("at") or [], operation["n"], operation.get("mark", "")
    )
    return _page_summary(page)


def _history(stub: Stub, operation: Operation) -> str:
    limit = operation.get("n", 0)
    shown = []
    entries = stub.get_history_for_key(_key(stub, operation["k"]))
    for entry in islice(entries, limit) if limit > 0 else entries:
        is_delete = "true" if entry.is_delete else "false"
        shown.append(f"{entry.tx_id}:{_shown(entry.value)}:{is_delete}")
    return " ".join(shown)


def _event(stub: Stub, operation: Operation) -> None:
    stub.set_event(operation["name"], _value(stub, operation))


def _invoke(stub: Stub, operation: Operation) -> str:
    program = json.dumps(operation["prog"]) if "prog" in operation else ""
    response = stub.invoke_chaincode(operation["cc"], ["run", program], operation.get("ch", ""))
    return f"{response.status} {_shown(response.payload)}"


def _ts(stub: Stub, operation: Operation) -> str:
    seconds, nanos = stub.timestamp_parts
    return f"{seconds}.{nanos:09d}"


def _ids(stub: Stub, operation: Operation) -> str:
    creator = hashlib.sha256(stub.creator).hexdigest()
    return f"{stub.channel_id} {stub.tx_id} {creator} {stub.binding.hex()}"


OPERATIONS: Mapping[str, Callable[[Stub, Operation], str | None]] = {
    "get": _get,
    "mget": _mget,
    "put": _put,
    "del": _del,
    "fill": _fill,
    "purge": _purge,
    "hash": _hash,
    "setvp": _setvp,
    "getvp": _getvp,
    "range": _range,
    "opencloserange": _open_close_range,
    "page": _page,
    "partial": _partial,
    "partialpage": _partial_page,
    "history": _history,
    "event": _event,
    "invoke": _invoke,
    "ts": _ts,
    "ids": _ids,
}
