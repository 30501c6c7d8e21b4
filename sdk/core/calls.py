"""Calls of contract functions: where they go, and what they carry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .arguments import encode_argument
from .proposal import Invocation

IDEMPOTENCY_KEY = "idempotency-key"
"""Transient entry that names the business operation. It is the same in every retry, never reaches
the ledger by itself, and a contract may keep (a hash of) it to refuse the operation the second
time."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of ``submit_many``."""

    function: str
    args: tuple[object, ...] = ()
    transient: Mapping[str, object] = field(default_factory=dict)
    endorsing_organizations: Sequence[str] = ()
    retries: int = 0
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class ContractAddress:
    """A contract on a channel."""

    channel_id: str
    chaincode_name: str
    contract_name: str | None = None
    """Of several contracts in one chaincode; None is the default one."""

    def invocation(self, call: Call) -> Invocation:
        """The call in bytes.

        Raises:
            TypeError, ValueError: an argument has no form in bytes.
        """
        transient = {name: encode_argument(value) for name, value in call.transient.items()}
        if call.idempotency_key is not None:
            transient[IDEMPOTENCY_KEY] = call.idempotency_key.encode()
        return Invocation(
            channel_id=self.channel_id,
            chaincode_name=self.chaincode_name,
            args=(self._qualified(call.function), *map(encode_argument, call.args)),
            transient=transient,
            organizations=tuple(call.endorsing_organizations),
        )

    def _qualified(self, function: str) -> bytes:
        if self.contract_name is None:
            return function.encode()
        return f"{self.contract_name}:{function}".encode()


def to_call(item: Call | Sequence[object]) -> Call:
    """A call as it is, or from a sequence of the function's name and its arguments.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(item, Call):
        return item
    if isinstance(item, str) or not item or not isinstance(item[0], str):
        raise TypeError(f"expected a Call or (function, arguments…), found {item!r}")
    return Call(item[0], tuple(item[1:]))
