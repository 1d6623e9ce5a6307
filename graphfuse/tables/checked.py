"""Values of a TOML section as a dataclass: every key known, every value of its type and within its bounds."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from functools import partial
from operator import ge, gt, lt
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError

Part = TypeVar("Part")
WORDS = {
    str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number",
    tuple[str, ...]: "a list of texts", tuple[float, ...]: "a list of numbers",
}  # fmt: skip
BOUNDS = {"low": ("of at least", ge), "above": ("above", gt), "below": ("below", lt)}


def filled(cls: type[Part], values: Any, where: str) -> Part:
    """An instance of the dataclass ``cls`` from a section's keys; its defaults where keys are left out.

    A field may say in its metadata what its value must be: ``known`` words, ``low`` (allowed itself), ``above`` and
    ``below`` (not allowed themselves).

    Raises:
        InputError: ``where`` has an unknown key (with the nearest), lacks one, or has a value that does not suit.
    """
    hints, own = get_type_hints(cls), fields(cls)  # type: ignore[arg-type]
    check_keys(values, [field.name for field in own], where)
    made = {key: checked(value, hints[key], f"{where} {key}") for key, value in values.items()}
    for field in own:
        if field.name in made:
            _check_bounds(made[field.name], field.metadata, f"{where} {field.name}")
    try:
        return cls(**made)
    except TypeError:
        raise _lacking(own, values, where) from None


def check_keys(values: Any, known: Collection[str], where: str) -> None:
    """Raises ``InputError`` where ``values`` is no section or has a key that is not ``known``."""
    if not isinstance(values, Mapping):
        raise InputError(f"{where} is {values!r}; a section with keys is needed.")
    for key in values:
        if key not in known:
            raise InputError(f"{where} has no key {key!r}.{did_you_mean(key, known)}")


def checked(value: Any, hint: Any, where: str) -> Any:
    """The value if it is of the type ``hint``; a list as a tuple, a whole number as a float where one is wanted.

    Raises:
        InputError: It is not; says what is needed.
    """
    if get_origin(hint) in (Union, types.UnionType):
        several = [each for each in get_args(hint) if each is not type(None)]
        hint = several[0] if len(several) == 1 else None
    if hint not in WORDS:
        return value
    if isinstance(value, list | tuple) and get_origin(hint) is tuple and all(_is(x, get_args(hint)[0]) for x in value):
        return tuple(value)
    if not _is(value, hint):
        raise InputError(f"{where} is {value!r}; {WORDS[hint]} is needed.")
    return float(value) if hint is float else value


def options_of(part: Callable[..., Any], skip: tuple[str, ...]) -> tuple[dict[str, Any], bool]:
    """The options of a part of a catalog with their types, and whether any other is taken too.

    A ``partial`` of a function over another part (``partial(Stack, HGT)``) has the options of both.
    """
    parts = [part.func, *part.args] if isinstance(part, partial) else [part]
    found: dict[str, Any] = {}
    free = False
    for each in parts:
        called = each.__init__ if inspect.isclass(each) else each
        hints = get_type_hints(called)
        named = inspect.signature(each).parameters.values()
        found |= {p.name: hints.get(p.name) for p in named if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        free = any(p.kind is p.VAR_KEYWORD for p in named)
    return {name: hint for name, hint in found.items() if name not in (*skip, "layer")}, free


def _is(value: Any, hint: Any) -> bool:
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return (
        isinstance(value, hint) and (hint is bool or not isinstance(value, bool)) if isinstance(hint, type) else False
    )


def _check_bounds(value: Any, bounds: Mapping[str, Any], where: str) -> None:
    if value is None:
        return
    if value not in bounds.get("known", (value,)):
        raise InputError(f"{where} is {value!r}.{did_you_mean(str(value), bounds['known'])}")
    for key, (word, suits) in BOUNDS.items():
        if key in bounds and not suits(value, bounds[key]):
            raise InputError(f"{where} is {value!r}; a number {word} {bounds[key]} is needed.")


def _lacking(own: tuple[Any, ...], values: Mapping[str, Any], where: str) -> InputError:
    first = next(field.name for field in own if field.name not in values)
    return InputError(f"{where} lacks the key {first!r}; it cannot be left out.")
