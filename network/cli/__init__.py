"""The ``tongban`` command."""

from tongban.network.cli.main import main

__all__ = ["main"]
