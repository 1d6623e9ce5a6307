"""Whether what is said is true of answers."""

from __future__ import annotations

import torch
from torch import Tensor

from graphfuse.rules.normal import Tree


def truth(tree: Tree, answers: Tensor) -> Tensor:
    """Whether a tree is true, ``bool [B, L] -> bool [B]``."""
    if isinstance(tree, bool):
        return answers.new_full((len(answers),), tree)
    if isinstance(tree, int):
        return answers[:, tree - 1] if tree > 0 else ~answers[:, -tree - 1]
    if tree[0] == "count" and all(type(part) is int for part in tree[1]):
        literals = torch.tensor(tree[1], device=answers.device)
        weight = torch.zeros(answers.shape[1], device=answers.device)
        weight.index_add_(0, literals.abs() - 1, literals.sign().float())
        many = answers.float() @ weight + (literals < 0).sum()  # whole numbers, which are exact
        return (many >= tree[2]) & (many <= tree[3])
    parts = torch.stack([truth(part, answers) for part in tree[1]])
    if tree[0] == "count":
        many = parts.sum(0)
        return (many >= tree[2]) & (many <= tree[3])
    if tree[0] == "iff":
        return parts[0] == parts[1]
    return ~parts[0] if tree[0] == "not" else parts.all(0) if tree[0] == "and" else parts.any(0)
