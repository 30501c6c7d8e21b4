"""Refusals of a simulation.

    SimulationRefused      the simulated transaction asks for something it may not have

The text is what Fabric's peer says in the same case, word for word, including its misspellings:
it reaches contracts and clients, and some of them look at it.
"""

from tongban.protos.errors import TongbanError


class SimulationRefused(TongbanError):
    """A simulated transaction asks for something it may not have; nothing was recorded."""
