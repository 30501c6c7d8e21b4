"""Arguments and results by annotation: compiled once when a contract is loaded, checked always.

``str`` stands as itself. Everything else is canonical JSON: Decimal as text, bytes in base64, dates
and times in ISO 8601 (times in UTC, with Z), enums by value, dataclasses as objects whose fields
must all be known and present (a field with a default may be missing). Where the JSON form is a
string, an argument may also come without its quotation marks.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

from tongban.contracts import canonical
from tongban.contracts.canonical import NotCanonical
from tongban.contracts.errors import ContractDefinitionError, ContractError
from tongban.contracts.limits import ARGUMENT_BYTES_MAX, RESULT_BYTES_MAX
from tongban.contracts.scalars import (
    SCALARS,
    Conversion,
    Form,
    Mismatch,
    mismatch,
    of_enum,
    of_literal,
    of_value_type,
)
from tongban.protos.errors import TongbanError

SUPPORTED = (
    "str, int, bool, float, Decimal, bytes, date, datetime, enums, Literal, list, dict, tuple, "
    "dataclasses, Optional, and classes with parse() and __str__()"
)


class Codec:
    """One annotation as a whole argument or result."""

    def __init__(self, conversion: Conversion) -> None:
        self.conversion = conversion
        self.schema = conversion.schema

    def decode(self, data: bytes) -> Any:
        """The value of an argument.

        Raises:
            Mismatch: it is not what the annotation says.
        """
        if len(data) > ARGUMENT_BYTES_MAX:
            raise Mismatch(f"expected at most {ARGUMENT_BYTES_MAX} bytes, found {len(data)}")
        try:
            text = data.decode("utf-8")
            form = self.conversion.form
            if form is Form.TEXT:
                return text
            if form is Form.STRING and not text.startswith('"'):
                raw = None if text == "null" and self.conversion.is_optional else text
                return self.conversion.read(raw)
            return self.conversion.read(canonical.decode(text))
        except UnicodeDecodeError:
            raise Mismatch("expected UTF-8 text") from None
        except NotCanonical as error:
            raise Mismatch(str(error)) from None

    def decode_result(self, data: bytes) -> Any:
        """The value that :meth:`encode` made these bytes of.

        Raises:
            Mismatch: it made no such bytes.
        """
        if self.conversion.form is Form.NOTHING:
            return None if not data else self.conversion.read(data)
        return self.decode(data)

    def encode(self, value: Any) -> bytes:
        """The bytes of a value.

        Raises:
            Mismatch: the value is not what the annotation says.
        """
        plain = self.conversion.write(value)
        form = self.conversion.form
        try:
            if form is Form.NOTHING:
                return b""
            data = plain.encode("utf-8") if form is Form.TEXT else canonical.encode(plain)
        except UnicodeEncodeError:
            raise Mismatch("text contains half a surrogate pair, which has no UTF-8") from None
        except NotCanonical as error:
            raise Mismatch(str(error)) from None
        if len(data) > RESULT_BYTES_MAX:
            raise Mismatch(f"expected at most {RESULT_BYTES_MAX} bytes, found {len(data)}")
        return bytes(data)


class Compiler:
    """Compiles annotations; collects the dataclasses it meets as named schemas."""

    def __init__(self) -> None:
        self.schemas: dict[str, dict[str, Any]] = {}
        self._objects: dict[type, Conversion] = {}

    def compile(self, annotation: Any, place: str) -> Conversion:
        """The conversion of one annotation.

        Raises:
            ContractDefinitionError: it has no JSON form; ``place`` says where it stands.
        """
        annotation = _bare(annotation)
        if isinstance(annotation, Hashable) and annotation in SCALARS:
            return SCALARS[annotation]
        compiled = self._compile_generic(annotation, place)
        if compiled is None and isinstance(annotation, type):
            compiled = self._compile_class(annotation, place)
        if compiled is None:
            raise ContractDefinitionError(
                place, f"{_name(annotation)} has no JSON form; use {SUPPORTED}"
            )
        return compiled

    def _compile_generic(self, annotation: Any, place: str) -> Conversion | None:
        origin, args = get_origin(annotation), get_args(annotation)
        if origin in (Union, types.UnionType):
            return self._compile_optional(args, place)
        if origin is Literal:
            return of_literal(args)
        if origin in (list, Sequence) and len(args) == 1:
            return _list_of(self.compile(args[0], place), list)
        if origin in (dict, Mapping) and len(args) == 2:
            return self._compile_mapping(args, place)
        if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
            return _list_of(self.compile(args[0], place), tuple)
        if origin is tuple and args:
            return _tuple_of([self.compile(arg, place) for arg in args])
        return None

    def _compile_optional(self, args: tuple[Any, ...], place: str) -> Conversion:
        others = [arg for arg in args if arg is not type(None)]
        if len(others) != 1 or len(args) != 2:
            raise ContractDefinitionError(
                place, "a union of several types has no one JSON form; only `X | None` is supported"
            )
        return _optional(self.compile(others[0], place))

    def _compile_mapping(self, args: tuple[Any, ...], place: str) -> Conversion:
        keys = self.compile(args[0], place)
        if keys.form not in (Form.TEXT, Form.STRING) or keys.is_optional:
            raise ContractDefinitionError(
                place, f"{_name(args[0])} cannot be the key of a dict; its JSON must be a string"
            )
        return _mapping_of(keys, self.compile(args[1], place))

    def _compile_class(self, kind: type, place: str) -> Conversion | None:
        if issubclass(kind, Enum):
            return of_enum(kind)
        if callable(getattr(kind, "parse", None)) and kind.__str__ is not object.__str__:
            return of_value_type(kind)
        if dataclasses.is_dataclass(kind):
            return self._compile_dataclass(kind, place)
        return None

    def _compile_dataclass(self, kind: type, place: str) -> Conversion:
        known = self._objects.get(kind)
        if known is not None:
            return known
        name = kind.__name__
        if name in self.schemas:
            raise ContractDefinitionError(
                place, f"two dataclasses are called {name}; their schemas would be confused"
            )
        record = _Record(kind)
        conversion = Conversion(
            {"$ref": f"#/components/schemas/{name}"}, record.read, record.write, Form.JSON
        )
        # Known before its fields are compiled, so that a field may hold the same type again.
        self._objects[kind] = conversion
        self.schemas[name] = {}
        hints = resolve_hints(kind, place)
        for field in dataclasses.fields(kind):
            inner = f"{place}, {name}.{field.name}"
            if not field.init:
                raise ContractDefinitionError(inner, "a field must be a parameter of __init__")
            required = (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            )
            record.add(field.name, self.compile(hints[field.name], inner), required)
        self.schemas[name] = record.to_schema()
        return conversion


class _Record:
    """Reads and writes one dataclass."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._fields: dict[str, Conversion] = {}
        self._required: list[str] = []

    def add(self, name: str, conversion: Conversion, required: bool) -> None:
        self._fields[name] = conversion
        if required:
            self._required.append(name)

    def to_schema(self) -> dict[str, Any]:
        return {
            "$id": self._kind.__name__,
            "type": "object",
            "additionalProperties": False,
            "properties": {name: field.schema for name, field in self._fields.items()},
            "required": list(self._required),
        }

    def read(self, value: Any) -> Any:
        name = self._kind.__name__
        if not isinstance(value, dict):
            raise mismatch(f"an object ({name})", value)
        for key in value:
            if key not in self._fields:
                raise Mismatch(f"unexpected field {key[:60]!r}; {name} has no such field")
        for key in self._required:
            if key not in value:
                raise Mismatch(f"missing field {key!r} of {name}")
        arguments = {}
        for key, item in value.items():
            try:
                arguments[key] = self._fields[key].read(item)
            except Mismatch as error:
                raise error.inside(f".{key}") from None
        try:
            return self._kind(**arguments)
        except ContractError:
            raise
        except (ValueError, TongbanError) as error:
            raise Mismatch(f"not a valid {name}: {error}") from None

    def write(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, self._kind):
            raise mismatch(f"a {self._kind.__name__}", value)
        plain = {}
        for key, field in self._fields.items():
            try:
                plain[key] = field.write(getattr(value, key))
            except Mismatch as error:
                raise error.inside(f".{key}") from None
        return plain


def resolve_hints(subject: Any, place: str) -> dict[str, Any]:
    """The annotations of a function or class as objects.

    Raises:
        ContractDefinitionError: one names something that does not exist when the module runs.
    """
    try:
        return typing.get_type_hints(subject, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise ContractDefinitionError(
            place,
            f"an annotation cannot be resolved ({error}); import what it names at module level, "
            "not under TYPE_CHECKING",
        ) from None


def _bare(annotation: Any) -> Any:
    while True:
        if annotation is None:
            return type(None)
        if isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        else:
            return annotation


def _name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _optional(inner: Conversion) -> Conversion:
    def read(value: Any) -> Any:
        return None if value is None else inner.read(value)

    def write(value: Any) -> Any:
        return None if value is None else inner.write(value)

    form = Form.STRING if inner.form in (Form.TEXT, Form.STRING) else Form.JSON
    return Conversion(_nullable(inner.schema), read, write, form, is_optional=True)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    # Fabric's contract schema has no anyOf, so an object loses its fields here.
    if "$ref" in schema:
        return {"type": ["object", "null"], "description": f"{schema['$ref']} or null"}
    kind = schema.get("type")
    if kind is None or isinstance(kind, list):
        return schema
    nullable = schema | {"type": [kind, "null"]}
    if "enum" in schema:
        nullable["enum"] = [*schema["enum"], None]
    return nullable


def _list_of(item: Conversion, kind: Callable[[Any], Any]) -> Conversion:
    def convert(value: Any, each: Callable[[Any], Any]) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise mismatch("a list", value)
        converted = []
        for index, one in enumerate(value):
            try:
                converted.append(each(one))
            except Mismatch as error:
                raise error.inside(f"[{index}]") from None
        return converted

    schema = {"type": "array", "items": item.schema}
    return Conversion(
        schema,
        lambda value: kind(convert(value, item.read)),
        lambda value: convert(value, item.write),
        Form.JSON,
    )


def _tuple_of(items: list[Conversion]) -> Conversion:
    count = len(items)

    def convert(value: Any, write: bool) -> list[Any]:
        if not isinstance(value, list | tuple) or len(value) != count:
            raise mismatch(f"a list of {count}", value)
        converted = []
        for index, (item, one) in enumerate(zip(items, value, strict=True)):
            try:
                converted.append((item.write if write else item.read)(one))
            except Mismatch as error:
                raise error.inside(f"[{index}]") from None
        return converted

    schema = {
        "type": "array",
        "items": [item.schema for item in items],
        "minItems": count,
        "maxItems": count,
    }
    return Conversion(
        schema,
        lambda value: tuple(convert(value, write=False)),
        lambda value: convert(value, write=True),
        Form.JSON,
    )


def _mapping_of(keys: Conversion, values: Conversion) -> Conversion:
    def convert(value: Any, key_of: Callable[[Any], Any], value_of: Callable[[Any], Any]) -> Any:
        if not isinstance(value, Mapping):
            raise mismatch("an object", value)
        converted = {}
        for key, item in value.items():
            try:
                converted[key_of(key)] = value_of(item)
            except Mismatch as error:
                raise error.inside(f"[{str(key)[:3]}…]") from None
        if len(converted) != len(value):
            raise Mismatch("two keys of an object mean the same")
        return converted

    schema = {"type": "object", "additionalProperties": values.schema}
    return Conversion(
        schema,
        lambda value: convert(value, keys.read, values.read),
        lambda value: convert(value, keys.write, values.write),
        Form.JSON,
    )
