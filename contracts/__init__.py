"""What a contract author imports.

    from tongban.contracts import Context, Contract, ContractError, evaluate, submit

    class Greeter(Contract):
        @evaluate
        def greet(self, ctx: Context, name: str) -> str:
            return f"你好，{name}"

Guide: ``docs/contracts.md``. Identifiers with check digits: ``tongban.contracts.types``. Tests:
``tongban.contracts.testing``.
"""

from tongban.contracts import values
from tongban.contracts.client import ClientIdentity
from tongban.contracts.context import Context
from tongban.contracts.contract import Chaincode, Contract, evaluate, submit
from tongban.contracts.declarations import emits, on
from tongban.contracts.endorsement import KeyEndorsement, Role
from tongban.contracts.errors import (
    ContractDefinitionError,
    ContractError,
    InvalidArgument,
    split_message,
)
from tongban.contracts.rules import ReactionContext, ReactionOutcome
from tongban.contracts.runtime.bridge import Page, Response, Row, StateRefused
from tongban.contracts.stub import HistoryEntry, Rows, Stub
from tongban.contracts.values import from_json, to_json

__all__ = [
    "Chaincode",
    "ClientIdentity",
    "Context",
    "Contract",
    "ContractDefinitionError",
    "ContractError",
    "HistoryEntry",
    "InvalidArgument",
    "KeyEndorsement",
    "Page",
    "ReactionContext",
    "ReactionOutcome",
    "Response",
    "Role",
    "Row",
    "Rows",
    "StateRefused",
    "Stub",
    "emits",
    "evaluate",
    "from_json",
    "on",
    "split_message",
    "submit",
    "to_json",
    "values",
]
