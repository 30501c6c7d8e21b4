"""Reading another contract's response: its payload, or its refusal raised again."""

import contextlib
from collections.abc import Mapping

from tongban.contracts import canonical
from tongban.contracts.canonical import NotCanonical
from tongban.contracts.errors import ContractError, split_message
from tongban.contracts.runtime.bridge import Response


def payload_of(response: Response) -> bytes:
    """The payload of a response below status 400.

    Raises:
        ContractError: the refusal, with the code, text, details and status that it came with.
    """
    if response.status < 400:
        return response.payload
    code, text = split_message(response.message)
    details: Mapping[str, object] = {}
    with contextlib.suppress(NotCanonical, UnicodeDecodeError, KeyError, TypeError):
        found = canonical.decode(response.payload.decode("utf-8"))["details"]
        details = found if isinstance(found, dict) else {}
    raise ContractError(code, text, details, status=min(response.status, 599))
