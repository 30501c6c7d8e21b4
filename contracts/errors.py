"""What goes wrong around a contract.

    TongbanError
      ContractError            the contract refuses; reaches the client with code and text
        InvalidArgument        an argument is not what the function's annotation says
      ContractDefinitionError  a contract class cannot be loaded; its author must change it

A ContractError's message is ``CODE: text``, or the text alone if the code is empty. That is all
that official clients show, so it carries everything a person needs. Programs take it apart with
:func:`split_message`.
"""

import re
from collections.abc import Mapping

from tongban.protos.errors import TongbanError

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_MESSAGE = re.compile(r"([A-Z][A-Z0-9_]{0,63})(?:: (.*))?", re.DOTALL)


class ContractError(TongbanError):
    """A contract refuses what the caller asks. Nothing that the function wrote is kept.

    ``code`` is for programs: upper-case words joined by underscores, stable over versions, or
    empty. ``text`` is for people. ``details`` is any JSON-like mapping; it travels in the
    response's payload, which other contracts and direct clients of a peer can read, while a
    gateway passes the message on alone. Every ``status`` from 400 to 599 is an error to Fabric;
    500 is what all its tools expect of a contract, so it is the default.
    """

    def __init__(
        self,
        code: str,
        text: str = "",
        details: Mapping[str, object] | None = None,
        *,
        status: int = 500,
    ) -> None:
        if code and not _CODE.fullmatch(code):
            raise ValueError(f"expected a code of upper-case words like NOT_FOUND, found {code!r}")
        if not 400 <= status <= 599:
            raise ValueError(f"expected a status from 400 to 599, found {status}")
        self.code = code
        self.text = text
        self.details = dict(details or {})
        self.status = status
        super().__init__(f"{code}: {text}" if code and text else code or text)


class InvalidArgument(ContractError):
    """An argument is not what the function's annotation says."""

    def __init__(self, function: str, place: str, reason: str) -> None:
        super().__init__(
            "INVALID_ARGUMENT",
            f"{function}, {place}: {reason}",
            {"function": function, "place": place, "reason": reason},
        )


class ContractDefinitionError(TongbanError):
    """A contract cannot be loaded as it is written. Names the place and the remedy."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


def split_message(message: str) -> tuple[str, str]:
    """Code and text of a ContractError's message; the code is empty if it has none."""
    match = _MESSAGE.fullmatch(message)
    if match is None:
        return "", message
    return match.group(1), match.group(2) or ""
