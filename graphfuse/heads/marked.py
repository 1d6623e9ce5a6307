"""Labels as a table of marks."""

from collections.abc import Collection, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.lazy import Lazy


class Marked(Lazy[tuple[str, ...]]):
    """Targets that are marks already, ``bool [N, C]``; looked at, each is its labels."""

    def __init__(self, marks: Tensor, labels: Sequence[str]):
        super().__init__(len(marks), lambda row: tuple(labels[at] for at in marks[row].nonzero()[:, 0].tolist()))
        self.marks = marks


def marked(given: Sequence[Collection[str]], labels: Sequence[str]) -> Tensor:
    """Which of the labels each is given: ``bool [len(given), C]``. All at once, as a batch may have many nodes."""
    place = {label: number for number, label in enumerate(labels)}
    columns = np.array([place[label] for label in chain.from_iterable(given)], dtype=np.int64)
    rows = np.arange(len(given)).repeat(np.array(list(map(len, given)), dtype=np.int64))
    marks = np.zeros((len(given), len(labels)), dtype=bool)
    marks[rows, columns] = True
    return torch.from_numpy(marks)
