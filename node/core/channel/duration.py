"""Durations as the configuration spells them: ``2s``, ``500ms``, ``1m30s`` (Go's time package)."""

import re
from decimal import Decimal

from tongban.node.core.errors import InvalidConfig

_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")

_UNIT_MS = {
    "ns": Decimal("0.000001"),
    "us": Decimal("0.001"),
    "µs": Decimal("0.001"),
    "μs": Decimal("0.001"),
    "ms": Decimal(1),
    "s": Decimal(1000),
    "m": Decimal(60_000),
    "h": Decimal(3_600_000),
}


def parse_duration_ms(text: str, place: str = "/Channel/Orderer/BatchTimeout") -> int:
    """Whole milliseconds, at least one.

    Raises:
        InvalidConfig: it is not a positive duration.
    """
    total = Decimal(0)
    rest = text.removeprefix("+")
    while rest:
        match = _PART.match(rest)
        if match is None:
            break
        total += Decimal(match[1]) * _UNIT_MS[match[2]]
        rest = rest[match.end() :]
    if rest or total <= 0:
        raise InvalidConfig(place, f"expected a positive duration such as 2s, found {text!r}")
    return max(1, int(total))


def format_duration_ms(milliseconds: int) -> str:
    """A spelling that :func:`parse_duration_ms` and Go read back."""
    if milliseconds % 1000 == 0:
        return f"{milliseconds // 1000}s"
    return f"{milliseconds}ms"
