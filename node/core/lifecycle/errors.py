"""Refusals of chaincode lifecycle.

LifecycleRefused         a definition or package is not what it must be
  NotDefined             no such definition, or no such package
"""

from tongban.protos.errors import TongbanError


class LifecycleRefused(TongbanError):
    """A definition or package is not what it must be; the text says why in Fabric's words."""


class NotDefined(LifecycleRefused):
    """What is asked for does not exist here."""
