"""The parts that a spec names: an encoder for each kind of nodes, and a fusion, with their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.tables.checked import check_keys, checked, filled, options_of

MAIN = ("name", "dim", "layers", "dropout")  # keys of [fusion] that every fusion has


@dataclass(frozen=True)
class Node:
    """``[nodes.KIND]``: one kind of nodes, the encoder that reads it, and from which columns.

    Attributes:
        kind: Its name, as in the spec.
        encoder: A name in ``gf.ENCODERS``.
        column: The one that is read; ``None`` for a table, which has several.
        numeric: Columns of a table.
        categorical: Columns of a table.
        options: Of the encoder's constructor.
    """

    kind: str
    encoder: str
    column: str | None = None
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that are read."""
        return (*self.numeric, *self.categorical) if self.column is None else (self.column,)

    @property
    def files(self) -> bool:
        """Whether its cells may be paths of files."""
        return self.encoder in ("image", "vector")

    def to_dict(self) -> dict[str, Any]:
        """The keys of its section."""
        table = {"numeric": list(self.numeric), "categorical": list(self.categorical)}
        own = table if self.column is None else {"column": self.column}
        return {"encoder": self.encoder, **own, **self.options}


@dataclass(frozen=True)
class Fusion:
    """``[fusion]``: a name in ``gf.FUSIONS``, the width and depth of the model, and the fusion's own options."""

    name: str = "hgt"
    dim: int = field(default=128, metadata={"low": 1})
    layers: int = field(default=2, metadata={"low": 1})
    dropout: float = field(default=0.1, metadata={"low": 0, "below": 1})
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The keys of its section."""
        return {"name": self.name, "dim": self.dim, "layers": self.layers, "dropout": self.dropout, **self.options}


def node_of(kind: str, values: Any, where: str) -> Node:
    """A kind from its section.

    Raises:
        InputError: The encoder is unknown, a key is none of its options (with the nearest), or a value does not suit.
    """
    from graphfuse.encoders import ENCODERS

    check_keys(values, values, where)
    made = _named(ENCODERS, values.get("encoder", ""), "encoder", where)
    options, _ = options_of(made, skip=("self", "numeric", "categorical"))
    columns = {"numeric": tuple[str, ...], "categorical": tuple[str, ...]} if made.name == "table" else {"column": str}
    hints = {"encoder": str, **columns, **options}
    check_keys(values, hints, where)
    own = {key: checked(value, hints[key], f"{where} {key}") for key, value in values.items()}
    node = Node(kind, made.name, own.get("column"), own.get("numeric", ()), own.get("categorical", ()),
                {key: value for key, value in own.items() if key in options})  # fmt: skip
    if not node.columns or node.columns == ("",):
        raise InputError(f"{where} names no column; {' or '.join(columns)} is needed.")
    if twice := [column for column in node.columns if node.columns.count(column) > 1]:
        raise InputError(f"{where} names the column {twice[0]!r} more than once; once is enough.")
    if own.get("trainable") and not _fits_module(kind):
        raise InputError(f"{where}: a kind whose encoder is trained cannot be called {kind!r}; take letters and "
                         "digits, and no word that a module of torch has already.")  # fmt: skip
    return node


def fusion_of(values: Any, where: str) -> Fusion:
    """The fusion from its section.

    Raises:
        InputError: As ``node_of``.
    """
    from graphfuse.fusion import FUSIONS

    check_keys(values, values, where)
    options, free = options_of(
        _named(FUSIONS, checked(values.get("name", "hgt"), str, f"{where} name"), "fusion", where),
        skip=("self", "dim", "schema", "layers"),
    )
    if not free:
        check_keys(values, [*MAIN, *options], where)
    fusion = filled(Fusion, {key: value for key, value in values.items() if key in MAIN}, where)
    own = {key: checked(value, options.get(key), f"{where} {key}") for key, value in values.items() if key not in MAIN}
    for key, value in own.items():
        if options.get(key) is int and value < 1:
            raise InputError(f"{where} {key} is {value!r}; a number of at least 1 is needed.")
    return Fusion(fusion.name, fusion.dim, fusion.layers, fusion.dropout, own)


def with_fusion(values: Any, name: str) -> dict[str, Any]:
    """The section of a fusion for the fusion ``name``; the options of another one's own are left out."""
    values = values if isinstance(values, Mapping) else {}
    kept = values if values.get("name", Fusion.name) == name else {key: values[key] for key in MAIN if key in values}
    return {**kept, "name": name}


def _named(catalog: Mapping[str, Any], name: Any, what: str, where: str) -> Any:
    try:
        return look_up(catalog, checked(name, str, f"{where} {what}"), what)
    except InputError as error:
        message = str(error)
        raise InputError(message if message.startswith(where) else f"{where} {message}") from None


def _fits_module(kind: str) -> bool:
    from torch.nn import ModuleDict

    return "." not in kind and not hasattr(ModuleDict(), kind)
