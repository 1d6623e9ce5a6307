"""Frozen dataclasses as plain JSON values and back, with the place of whatever does not fit."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError

EXPECTED = {str: "text", bool: "true or false", float: "a number", int: "a whole number"}


def to_plain(value: Any) -> Any:
    """What JSON can hold: dataclasses and mappings as objects, tuples as lists, bytes as base64 text."""
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.item() if hasattr(value, "item") else value  # a number of numpy or torch


def from_plain(kind: Any, value: Any, place: str) -> Any:
    """The value of type ``kind`` that :func:`to_plain` turned into ``value``.

    Raises:
        InputError: It does not fit; says where below ``place``, what came and what would be right.
    """
    if type(value) is kind and kind in EXPECTED:  # most values: files may have many thousand rows
        return value
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _record(kind, value, place)
    if origin is UnionType:
        return None if value is None else from_plain(args[0], value, place)
    if origin is tuple:
        each = args[:1] * len(_is(list, value, place, "a list")) if args[-1] is Ellipsis else args
        if len(value) != len(each):
            raise InputError(f"{place}: has {len(value)} parts; expected {len(each)}.")
        return tuple(from_plain(one, part, f"{place}[{i}]") for i, (one, part) in enumerate(zip(each, value)))
    if origin is Mapping:
        entries = _is(dict, value, place, "an object").items()
        return {key: from_plain(args[1], part, f"{place}[{key!r}]") for key, part in entries}
    if kind is bytes:
        return _bytes(value, place)
    if kind in (int, float) and isinstance(value, bool):
        raise InputError(f"{place}: expected {EXPECTED[kind]}, got {value!r}.")
    if kind is float and isinstance(value, int):
        return float(value)
    return _is(kind, value, place, EXPECTED[kind])


def _record(kind: Any, value: Any, place: str) -> Any:
    _is(dict, value, place, "an object")
    hints, known = _fields_of(kind)
    for name in value:
        if name not in known:
            raise InputError(f"{place}: there is no field {name!r}.{did_you_mean(name, known)}")
    for name, field in known.items():
        if name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"{place}: lacks the field {name!r}.")
    parts = {name: from_plain(hints[name], part, f"{place}.{name}") for name, part in value.items()}
    try:
        return kind(**parts)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


@cache
def _fields_of(kind: Any) -> tuple[dict[str, Any], dict[str, Field]]:
    """The type and the field of each name; looked up once, since files may have many thousand records."""
    return get_type_hints(kind), {field.name: field for field in fields(kind)}


def _bytes(value: Any, place: str) -> bytes:
    try:
        return base64.b64decode(_is(str, value, place, "base64 text"), validate=True)
    except binascii.Error as error:
        raise InputError(f"{place}: is not base64 text ({error}).") from None


def _is(kind: type, value: Any, place: str, expected: str) -> Any:
    if not isinstance(value, kind):
        raise InputError(f"{place}: expected {expected}, got {value!r:.60}.")
    return value
