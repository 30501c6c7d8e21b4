"""Refusals of the network tools.

TongbanError
  TopologyError     a topology file cannot be used; names the place and the remedy
  NetworkError      a network cannot be started, stopped or asked
  LifecycleError    a step of deploying a contract was refused
"""

from tongban.protos.errors import TongbanError


class TopologyError(TongbanError):
    """A topology file cannot be used. ``problems`` are lines like ``place: what is wrong``."""

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__(f"{source}:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.source = source
        self.problems = problems


class NetworkError(TongbanError):
    """A network cannot be started, stopped or asked; ``remedy`` says what to do."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n{remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class LifecycleError(TongbanError):
    """A step of deploying a contract was refused."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
