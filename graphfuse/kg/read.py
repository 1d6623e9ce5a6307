"""Triples out of files and networkx graphs, and back."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphfuse.core.errors import InputError

if TYPE_CHECKING:
    from graphfuse.kg.graph import KnowledgeGraph

Triple = tuple[str, str, str]
Names = str | Sequence[str]
FIELDS = ("head", "relation", "tail")


def checked_triples(triples: Iterable[Sequence[str]]) -> Iterator[Triple]:
    """The triples as tuples; raises ``InputError`` at the first that is not three filled texts."""
    for number, triple in enumerate(triples):
        if len(triple) != 3 or not all(map(_is_filled, triple)):
            raise InputError(f"Triple {number} is {triple!r}; expected three filled texts: {', '.join(FIELDS)}.")
        head, relation, tail = triple
        yield head, relation, tail


def checked_names(names: Iterable[str]) -> list[str]:
    """The names as a list; raises ``InputError`` if one is not a filled text."""
    listed = list(names)
    for place, name in enumerate(listed):
        if not _is_filled(name):
            raise InputError(f"Name {place} is {name!r}; expected a filled text.")
    return listed


def checked_aliases(aliases: Mapping[str, Names]) -> dict[str, tuple[str, ...]]:
    """The aliases of each entity as a tuple; raises ``InputError`` if one is not a filled text."""
    names = {entity: (given,) if isinstance(given, str) else tuple(given) for entity, given in aliases.items()}
    for entity, given in names.items():
        if not all(map(_is_filled, given)):
            raise InputError(f"The aliases of {entity!r} are {list(given)}; expected filled texts.")
    return names


def _is_filled(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip())


def read_tsv(path: str | os.PathLike[str]) -> list[Triple]:
    """The triples of a UTF-8 file with lines ``head <tab> relation <tab> tail``.

    Blank lines, a byte order mark and Windows line ends do no harm; spaces around a field are dropped.

    Raises:
        InputError: The file cannot be read, is not UTF-8, holds no triple, or a line has not three filled fields.
    """
    path = Path(path)
    triples = []
    for number, line in enumerate(_text(path).replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != 3:
            raise InputError(
                f"{path}:{number}: found {len(fields)} field{'s' * (len(fields) != 1)}, expected 3 separated by tabs: "
                f"{', '.join(FIELDS)}. The line is {_short(line)!r}."
            )
        if "" in fields:
            raise InputError(f"{path}:{number}: the {FIELDS[fields.index('')]} is empty in {_short(line)!r}; name it.")
        triples.append((fields[0], fields[1], fields[2]))
    if not triples:
        raise InputError(f"{path}: holds no triple; expected lines of {', '.join(FIELDS)}, separated by tabs.")
    return triples


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8."
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the path of a file of triples.") from error


def _short(line: str) -> str:
    return line if len(line) <= 80 else line[:77] + "..."


def networkx_nodes(graph: Any) -> dict[Any, str]:
    """The nodes of a networkx graph and their names as text.

    Raises:
        InputError: ``graph`` is not a networkx graph, or two of its nodes read alike (``1`` and ``"1"``).
    """
    if not hasattr(graph, "nodes") or not hasattr(graph, "edges"):
        raise InputError(f"Got {type(graph).__name__} {graph!r}; expected the path of a TSV file or a networkx graph.")
    names: dict[Any, str] = {}
    taken: dict[str, Any] = {}
    for node in graph.nodes:
        name = names[node] = str(node)
        if name in taken:
            raise InputError(f"The nodes {taken[name]!r} and {node!r} are both called {name!r}; rename one.")
        taken[name] = node
    return names


def networkx_triples(graph: Any, names: dict[Any, str], relation: str) -> list[Triple]:
    """One triple for each edge; its relation is the edge's attribute ``relation``, or else its key if that is text.

    Raises:
        InputError: An edge has neither.
    """
    edges = graph.edges(keys=True, data=True) if graph.is_multigraph() else graph.edges(data=True)
    triples = []
    for head, tail, *key, data in edges:
        label = data.get(relation, key[0] if key and isinstance(key[0], str) else None)
        if label is None:
            raise InputError(
                f"The edge {(head, tail)} has no attribute {relation!r}, only {sorted(map(str, data))}; "
                "say which one holds the relation: from_networkx(graph, relation=...)."
            )
        triples.append((names[head], str(label), names[tail]))
    return triples


def to_networkx(kg: "KnowledgeGraph") -> Any:
    """``kg`` as a ``networkx.MultiDiGraph``; see ``KnowledgeGraph.to_networkx``."""
    import networkx

    graph = networkx.MultiDiGraph()
    graph.add_nodes_from(kg.entities)
    graph.add_edges_from((head, tail, label, {"relation": label}) for head, label, tail in kg.triples)
    for name, aliases in kg.aliases.items():
        graph.nodes[name]["aliases"] = list(aliases)
    for name, picture in kg.pictures.items():
        graph.nodes[name]["picture"] = picture
    return graph
