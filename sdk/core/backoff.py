"""How long to wait before opening a broken connection again."""

from ..errors import StatusCode
from .commands import Failure

FIRST_S = 0.05
MAX_S = 2.0

RECONNECT_FOR_S = 300.0
"""How long a broken event stream is tried again without anything coming, unless told otherwise."""

STOOD_AFTER_S = 1.0
"""An event stream that lived this long, or brought something, did stand. One that fails sooner at
the first attempt is a wrong address or a refusal, and is told at once."""

QUIET_BUT_GOOD_S = 30.0
"""An event stream that lived this long was connected, even if nothing came: longer than any attempt
to connect takes."""

_BROKEN = frozenset({StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.INTERNAL})
"""What a lost connection or a stopped gateway looks like."""


class Backoff:
    """Doubles from FIRST_S to MAX_S until something worked."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def next_s(self) -> float:
        now, self._next_s = self._next_s, min(self._next_s * 2, MAX_S)
        return now

    def reset(self) -> None:
        self._next_s = FIRST_S


class Reconnection:
    """Whether and when a broken event stream is opened again."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._backoff = Backoff()
        self._opened_at = 0.0
        self._stood = False
        self._failing_since: float | None = None

    def opened(self, now: float) -> None:
        self._opened_at = now

    def received(self) -> None:
        """Something came, so the connection is good."""
        self._stood = True
        self._failing_since = None
        self._backoff.reset()

    def delay_s(self, failure: Failure, now: float) -> float | None:
        """How long to wait before the next attempt; None to give up."""
        lived_s = now - self._opened_at
        if lived_s >= QUIET_BUT_GOOD_S:
            self.received()
        self._stood = self._stood or lived_s >= STOOD_AFTER_S
        if failure.code not in _BROKEN or not self._stood:
            return None
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since >= self._limit_s:
            return None
        return self._backoff.next_s()
