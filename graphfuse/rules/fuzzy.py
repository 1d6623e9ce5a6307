"""How true a rule is in fuzzy logic.

Source: van Krieken, Acar & van Harmelen 2022, "Analyzing differentiable fuzzy logic operators", table 1 (implications
are ``not a, or b``). How many are true has no connective there: at least ``k`` is as true as the ``k``-th truest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from graphfuse.rules.normal import Tree


class Logic(NamedTuple):
    """What joins truths, ``[n, G] -> [G]``."""

    both: Callable[[Tensor], Tensor]
    either: Callable[[Tensor], Tensor]


LOGICS = {
    "goedel": Logic(lambda x: x.amin(0), lambda x: x.amax(0)),
    "lukasiewicz": Logic(lambda x: (x.sum(0) - (len(x) - 1)).clamp(min=0), lambda x: x.sum(0).clamp(max=1)),
    "product": Logic(lambda x: x.prod(0), lambda x: 1 - (1 - x).prod(0)),
}


def truth(tree: Tree, values: Tensor, logic: Logic) -> Tensor:
    """How true a tree is, by the truth of each atom, ``[S, G] -> [G]`` between 0 and 1."""
    if isinstance(tree, bool):
        return values.new_full(values.shape[1:], float(tree))
    if isinstance(tree, int):
        return values[tree - 1] if tree > 0 else 1 - values[-tree - 1]
    kind = tree[0]
    parts = torch.stack([truth(part, values, logic) for part in tree[1]])
    if kind == "not":
        return 1 - parts[0]
    if kind == "iff":
        one, other = parts
        return logic.both(torch.stack([logic.either(torch.stack([1 - one, other])),
                                       logic.either(torch.stack([one, 1 - other]))]))  # fmt: skip
    if kind != "count":
        return logic.both(parts) if kind == "and" else logic.either(parts)
    low, high = tree[2:]
    order = parts.sort(0, descending=True).values
    least = order[low - 1] if low > 0 else torch.ones_like(order[0])
    return torch.minimum(least, 1 - order[high]) if high < len(order) else least
