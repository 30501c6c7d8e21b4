"""Conversations with a state machine, written down: ``>>`` for what happens, ``<<`` for what must
come out. The first difference fails with the conversation so far.

    playbook = Playbook(machine)
    playbook >> Connected() << Sent("hello")
    playbook >> Received("hello") << Sent("request") >> TimedOut() << Told("late")
    playbook.is_over()

A machine is a function from one event to what it does about it, in order. Every event must have
been answered for by as many ``<<`` as there were outputs before the next ``>>``.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Self


class Playbook:
    """One conversation."""

    def __init__(self, machine: Callable[[object], Iterable[object]]) -> None:
        self._machine = machine
        self._outputs: deque[object] = deque()
        self._transcript: list[str] = []

    def __rshift__(self, event: object) -> Self:
        self._expect_nothing(f"before >> {event!r}")
        self._transcript.append(f">> {event!r}")
        self._outputs.extend(self._machine(event))
        return self

    def __lshift__(self, expected: object) -> Self:
        if not self._outputs:
            self._fail(f"expected << {expected!r}, nothing came out")
        found = self._outputs.popleft()
        if found != expected:
            self._fail(f"expected << {expected!r}\n  found    << {found!r}")
        self._transcript.append(f"<< {found!r}")
        return self

    def is_over(self) -> None:
        """Nothing else came out."""
        self._expect_nothing("at the end")

    def _expect_nothing(self, when: str) -> None:
        if self._outputs:
            rest = "\n".join(f"  << {output!r}" for output in self._outputs)
            self._fail(f"unexpected {when}:\n{rest}")

    def _fail(self, difference: str) -> None:
        raise AssertionError("\n".join([*self._transcript, "--", difference]))
