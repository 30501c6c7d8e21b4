"""Refusals that any part may raise, and the root of all refusals.

    TongbanError
      MalformedMessage     bytes from outside do not have the form they must have
      InvalidSignature     a signature does not hold
      LimitExceeded        something is larger, deeper or more than we accept

A refusal says what was expected and what was found. Verdicts on transactions are values, not
errors. Faults (a broken invariant, a lying disk) are not in this tree, so that nobody who handles
refusals handles them by accident.
"""


class TongbanError(Exception):
    """We will not do what the caller asks."""


class MalformedMessage(TongbanError):
    """Bytes from outside do not have the form they must have."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.what = what
        self.reason = reason


class InvalidSignature(TongbanError):
    """A signature does not hold over the bytes it was given for."""


class LimitExceeded(TongbanError):
    """Something is larger, deeper or more numerous than we accept."""

    def __init__(self, what: str, limit: int, found: int, unit: str = "bytes") -> None:
        super().__init__(f"{what}: {found} {unit}, at most {limit} are accepted")
        self.what = what
        self.limit = limit
        self.found = found
        self.unit = unit
