"""Looking for values that must be nowhere: as they are, in hex, in base64 at any offset."""

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tongban.node.storage.leveldb import LevelDBStore

FORMS_MIN = 12
"""Bytes of a value from which its base64 is telling at every offset."""


def forms(value: str) -> set[bytes]:
    """All the ways in which a value might lie in a file."""
    raw = value.encode()
    escaped = json.dumps(value)[1:-1].encode()
    found = {raw, escaped, raw.hex().encode(), raw.hex().upper().encode()}
    found.add(value.encode("utf-16-le"))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            encoded = encode(b"\0" * offset + raw)
            # Characters that also depend on what stands before or behind are left out.
            start = (offset * 8 + 5) // 6
            whole = (offset + len(raw)) * 8 // 6
            found.add(encoded[start:whole])
    return found


class Canaries:
    """A set of values to look for."""

    def __init__(self, values: Iterable[str]) -> None:
        self._forms = {form: value for value in sorted(set(values)) for form in forms(value)}

    def found_in(self, data: bytes) -> set[str]:
        """Those that lie in the data in any form."""
        return {value for form, value in self._forms.items() if form in data}


def all_bytes(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below, and every key and value of every LevelDB, which compresses its files."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(root)), path.read_bytes()
        if path.name == "CURRENT":
            yield f"{path.parent.relative_to(root)} (entries)", _entries(path.parent)


def _entries(directory: Path) -> bytes:
    store = LevelDBStore(directory)
    try:
        return b"\n".join(key + b"\0" + value for key, value in store.iterate(b"", b""))
    finally:
        store.close()
