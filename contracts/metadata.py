"""The metadata of a package: what it offers, as JSON that Fabric's tools understand
(fabric-chaincode-node apis/fabric-contract-api/schema/contract-schema.json)."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from tongban.contracts.function import Function

SYSTEM_CONTRACT = "org.hyperledger.fabric"
METADATA_FUNCTION = "GetMetadata"

SCHEMA_URL = "https://hyperledger.github.io/fabric-chaincode-node/main/api/contract-schema.json"


class ContractDescription(NamedTuple):
    """What the metadata tells of one contract."""

    functions: Mapping[str, Function]
    text: str
    """The class's docstring."""
    version: str
    department: str = ""
    """MSP id of who answers for it."""


def build_metadata(
    title: str,
    version: str,
    contracts: Mapping[str, ContractDescription],
    default: str,
    schemas: Mapping[str, object],
) -> dict[str, Any]:
    """The metadata document; ``contracts`` by name, one of them the ``default``."""
    described = {
        name: _describe_contract(name, description, version, name == default)
        for name, description in contracts.items()
    }
    described[SYSTEM_CONTRACT] = {
        "name": SYSTEM_CONTRACT,
        "info": {"title": SYSTEM_CONTRACT, "version": version},
        "transactions": [
            {
                "name": METADATA_FUNCTION,
                "tag": ["evaluate", "EVALUATE"],
                "parameters": [],
                "returns": {"type": "string"},
            }
        ],
    }
    return {
        "$schema": SCHEMA_URL,
        "info": {"title": title, "version": version},
        "contracts": described,
        "components": {"schemas": dict(schemas)},
    }


def _describe_contract(
    name: str, description: ContractDescription, version: str, is_default: bool
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": name,
        "default": is_default,
        "info": {
            "title": name,
            "version": description.version or version,
            "description": description.text,
        },
        "transactions": [
            _describe_function(function) for _, function in sorted(description.functions.items())
        ],
    }
    if description.department:
        described["department"] = description.department
    return described


def _describe_function(function: Function) -> dict[str, Any]:
    tag = ["submit", "SUBMIT"] if function.is_submit else ["evaluate", "EVALUATE"]
    described: dict[str, Any] = {
        "name": function.name,
        "tag": tag,
        "parameters": [
            {
                "name": parameter.name,
                "required": parameter.is_required,
                "schema": parameter.codec.schema,
            }
            for parameter in function.parameters
        ],
    }
    if function.reactions:
        described["reactions"] = [asdict(reaction) for reaction in function.reactions]
    if function.emits:
        described["emits"] = list(function.emits)
    if function.doc:
        described["description"] = function.doc
    if function.result is not None and function.result.schema != {"type": "null"}:
        described["returns"] = function.result.schema
    return described
