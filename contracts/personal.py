"""Values of people that a contract compares but never keeps: keyed hashes and masked forms.

A personal value reaches a contract in transient data only. What may be kept is an HMAC-SHA256 of
it under a key that the entitled departments share, and a form for screens. The key itself travels
in transient data too; the ledger has a commitment to it, so that a wrong or another key is refused
instead of giving references that fit nothing. Without the key nobody can try names or numbers out.

Hashes of different kinds of values differ, so a name is never mistaken for a number.
"""

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from tongban.contracts.context import Context
from tongban.contracts.errors import ContractError
from tongban.contracts.types import ResidentId
from tongban.contracts.values import from_json

KEY_ENTRY: Final = "subject-key"
"""Name of the transient entry that holds the key."""

COMMITMENT_KEY: Final = "subject-key-commitment"
"""State key of the commitment, in each contract that needs the key."""

KEY_BYTES: Final = 32
_HEX_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Person:
    """A person as transient data names them. Never stored, never returned."""

    name: str
    number: ResidentId
    phone: str = ""

    def __repr__(self) -> str:
        return f"Person({self.number.mask()})"


@dataclass(frozen=True, slots=True)
class Party:
    """A person as the ledger knows them: references under the key, and forms for screens."""

    ref: str
    """Keyed hash of the identity number: who it is."""
    name_ref: str
    """Keyed hash of the name."""
    name: str
    """Masked: the first character, then stars."""
    number: str
    """Masked."""
    phone: str = ""
    """Masked."""

    def is_same_person(self, other: "Party") -> bool:
        """Number and name are the same."""
        return self.ref == other.ref and self.name_ref == other.name_ref


class SubjectKey:
    """The key of one channel's entitled departments."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def reference(self, kind: str, value: str) -> str:
        """The keyed hash of a value: equal for equal kinds and values, 64 hex digits."""
        message = f"{kind}\0{normalise(value)}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()

    def seal(self, person: Person) -> Party:
        """What may be kept of a person."""
        return Party(
            self.reference("resident-id", str(person.number)),
            self.reference("name", person.name),
            mask_name(person.name),
            person.number.mask(),
            mask_phone(person.phone),
        )


def commitment(key: bytes) -> str:
    """What the ledger holds of a key: 64 hex digits that only the key gives."""
    return hashlib.sha256(b"tongban subject key v1\0" + key).hexdigest()


def commit_key(ctx: Context, value: str) -> None:
    """The contract accepts the key of this commitment, and no other for ever.

    Raises:
        ContractError: KEY_IS_COMMITTED, there is another already; INVALID_COMMITMENT.
    """
    if not _HEX_DIGEST.fullmatch(value):
        raise ContractError("INVALID_COMMITMENT", "expected 64 hex digits（应为 64 位十六进制）")
    existing = ctx.stub.get_state(COMMITMENT_KEY)
    if existing and existing != value.encode():
        raise ContractError("KEY_IS_COMMITTED", "another key is in use（已使用另一密钥）")
    ctx.stub.put_state(COMMITMENT_KEY, value.encode())


def open_key(ctx: Context) -> SubjectKey:
    """The key in the transient data, after it was compared with the commitment.

    Raises:
        ContractError: KEY_NEEDED, there is none; WRONG_KEY, it is not the committed one.
    """
    key = ctx.stub.transient.get(KEY_ENTRY, b"")
    if len(key) != KEY_BYTES:
        raise ContractError(
            "KEY_NEEDED",
            f"expected the departments' key of {KEY_BYTES} bytes in transient entry "
            f"{KEY_ENTRY!r}（应在瞬态数据中提供部门密钥）",
        )
    committed = ctx.stub.get_state(COMMITMENT_KEY)
    if not committed or not hmac.compare_digest(committed, commitment(key).encode()):
        raise ContractError(
            "WRONG_KEY", "not the key that this ledger has a commitment to（密钥与账本承诺不符）"
        )
    return SubjectKey(key)


def read_person(ctx: Context, entry: str = "person") -> Person:
    """The person in a transient entry.

    Raises:
        ContractError: TRANSIENT_NEEDED, there is no such entry; INVALID_VALUE.
    """
    return from_json(Person, read_transient(ctx, entry))


def read_persons(ctx: Context, entry: str) -> list[Person]:
    """The people in a transient entry, a JSON list."""
    found: list[Person] = from_json(list[Person], read_transient(ctx, entry))
    return found


def read_transient(ctx: Context, entry: str) -> bytes:
    """A transient entry, which must be there."""
    value = ctx.stub.transient.get(entry, b"")
    if not value:
        raise ContractError(
            "TRANSIENT_NEEDED", f"expected transient entry {entry!r}（缺少瞬态数据 {entry}）"
        )
    return value


def normalise(value: str) -> str:
    """One spelling for what people write in several: width, and blanks around and within."""
    return "".join(unicodedata.normalize("NFKC", value).split())


def mask_name(name: str) -> str:
    """``张*``, ``欧**``: the first character; a single one is hidden."""
    plain = normalise(name)
    return plain[:1] + "*" * (len(plain) - 1) if len(plain) > 1 else "*"


def mask_phone(phone: str) -> str:
    """``138****5678``; a shorter one is hidden, none stays empty."""
    plain = normalise(phone)
    if len(plain) < 11:
        return "*" * len(plain)
    return f"{plain[:3]}{'*' * (len(plain) - 7)}{plain[-4:]}"
