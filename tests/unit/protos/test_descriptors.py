"""Our messages are Fabric's: every one is held against the official descriptors.

Names, numbers, types, labels, oneofs and enums must be equal once our package prefix is off.
Services must have Fabric's names, methods, messages and streaming.
"""

import importlib
import inspect
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor
from google.protobuf.message import Message

PROTOS = Path(__file__).parents[3] / "protos"
VECTORS = Path(__file__).parents[2] / "vectors"
PREFIX = "tongban.fabric."

OURS_ALONE = {"txmgr"}
"""Packages of Fabric that its public descriptors do not have: the updates of the commit hash."""

TYPE_NAMES = {
    value: name.removeprefix("TYPE_").lower()
    for name, value in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


@cache
def official() -> dict[str, Any]:  # Any: a JSON document
    document: dict[str, Any] = json.loads((VECTORS / "fabric-descriptors.json").read_text())
    return document


def files() -> Iterator[FileDescriptor]:
    for path in sorted(PROTOS.glob("*.proto")):
        module = importlib.import_module(f"tongban.protos.{path.stem}_pb2")
        yield module.DESCRIPTOR


def fabric_messages() -> list[Descriptor]:
    return [
        message
        for file in files()
        if file.package.startswith(PREFIX) and file.package.removeprefix(PREFIX) not in OURS_ALONE
        for message in _with_nested(file.message_types_by_name.values())
    ]


def _with_nested(messages: Any) -> Iterator[Descriptor]:  # Any: a mapping's values, untyped
    for message in messages:
        yield message
        yield from _with_nested(message.nested_types)


def fabric_enums() -> list[EnumDescriptor]:
    found = [enum for message in fabric_messages() for enum in message.enum_types]
    for file in files():
        if file.package.startswith(PREFIX):
            found += file.enum_types_by_name.values()
    return found


def _strip(full_name: str) -> str:
    return full_name.removeprefix(PREFIX)


def _describe(field: FieldDescriptor) -> dict[str, object]:
    described: dict[str, object] = {"number": field.number, "type": TYPE_NAMES[field.type]}
    if field.is_repeated:
        described["repeated"] = True
    if field.message_type is not None:
        described["message"] = _strip(field.message_type.full_name)
    if field.enum_type is not None:
        described["enum"] = _strip(field.enum_type.full_name)
    if field.containing_oneof is not None:
        described["oneof"] = field.containing_oneof.name
    return described


@pytest.mark.parametrize("message", fabric_messages(), ids=lambda one: _strip(one.full_name))
def test_a_message_is_fabrics(message: Descriptor) -> None:
    expected = official()["messages"][_strip(message.full_name)]
    assert {field.name: _describe(field) for field in message.fields} == expected["fields"]
    assert message.GetOptions().map_entry == expected["map_entry"]


@pytest.mark.parametrize("enum", fabric_enums(), ids=lambda one: _strip(one.full_name))
def test_an_enum_is_fabrics(enum: EnumDescriptor) -> None:
    expected = official()["enums"][_strip(enum.full_name)]
    assert {value.name: value.number for value in enum.values} == expected


def test_no_message_of_ours_has_fabrics_own_name() -> None:
    """So that the official protobufs can share a process with ours."""
    for file in files():
        assert file.package.startswith("tongban."), file.name
        assert file.name.startswith("tongban/protos/"), file.name


def test_the_messages_that_the_network_speaks_are_all_here() -> None:
    here = {_strip(message.full_name) for message in fabric_messages()}
    for package in ("common", "gateway", "rwset", "kvrwset", "lifecycle", "msp", "queryresult"):
        wanted = {name for name in official()["messages"] if name.split(".")[0] == package}
        missing = {name for name in wanted - here if name not in _UNUSED}
        assert not missing, package


_UNUSED = {
    "common.CollectionConfig",
    "common.CollectionConfigPackage",
    "common.CollectionPolicyConfig",
    "common.StaticCollectionConfig",
    "msp.IdemixMSPConfig",
    "msp.IdemixMSPSignerConfig",
    "msp.SerializedIdemixIdentity",
}
"""An old copy of messages of package ``protos``, which nobody sends, and anonymous credentials,
which are not X.509."""


class _Recorder:
    """Stands for a channel and for a server; writes down what the generated code registers."""

    def __init__(self) -> None:
        self.calls: dict[str, tuple[bool, bool, type[Message]]] = {}
        self.handlers: dict[str, Any] = {}  # Any: grpc's handler tuples

    def _record(self, streams: tuple[bool, bool]) -> Any:  # Any: takes the place of four methods
        def method(path: str, **how: Any) -> None:
            self.calls[path] = (*streams, how["response_deserializer"].__self__)

        return method

    @property
    def unary_unary(self) -> Any:
        return self._record((False, False))

    @property
    def unary_stream(self) -> Any:
        return self._record((False, True))

    @property
    def stream_unary(self) -> Any:
        return self._record((True, False))

    @property
    def stream_stream(self) -> Any:
        return self._record((True, True))

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """The older form of the next one; registers the same."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        self.handlers.update({f"/{service}/{name}": one for name, one in handlers.items()})


class _AnyServicer:
    def __getattr__(self, name: str) -> object:
        return name


def service_modules() -> list[ModuleType]:
    return [
        importlib.import_module(f"tongban.protos.services.{path.stem}_pb2_grpc")
        for path in sorted((PROTOS / "services").glob("*.proto"))
    ]


@pytest.mark.parametrize("module", service_modules(), ids=lambda one: one.__name__.split(".")[-1])
def test_a_service_is_fabrics_or_under_our_name(module: ModuleType) -> None:
    recorder = _Recorder()
    for name, member in inspect.getmembers(module):
        if name.endswith("Stub"):
            member(recorder)
        if name.startswith("add_") and name.endswith("_to_server"):
            member(_AnyServicer(), recorder)
    assert recorder.calls
    assert recorder.calls.keys() == recorder.handlers.keys()
    for path, (client_streams, server_streams, response) in recorder.calls.items():
        service, _, method = path.removeprefix("/").rpartition("/")
        if service.startswith("tongban."):
            continue
        request = recorder.handlers[path].request_deserializer.__self__
        assert official()["services"][service][method] == {
            "client_streaming": client_streams,
            "server_streaming": server_streams,
            "request": _strip(request.DESCRIPTOR.full_name),
            "response": _strip(response.DESCRIPTOR.full_name),
        }, path
    names = {path.split("/")[1] for path in recorder.calls}
    for service in names & official()["services"].keys():
        methods = {path.rpartition("/")[2] for path in recorder.calls if f"/{service}/" in path}
        assert methods == official()["services"][service].keys()


def test_no_messages_are_generated_for_services() -> None:
    """Such a module would register Fabric's own names in the pool that all share."""
    assert not list((PROTOS / "services").glob("*_pb2.py"))
