"""Labels as a table of marks."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def marked(given: Sequence[Iterable[str]], labels: Sequence[str]) -> Tensor:
    """Which of the labels each is given: ``bool [len(given), C]``. All at once, as a batch may have many nodes."""
    place = {label: number for number, label in enumerate(labels)}
    pairs = [(row, place[label]) for row, own in enumerate(given) for label in own]
    marks = torch.zeros(len(given), len(labels), dtype=torch.bool)
    rows, columns = torch.tensor(pairs, dtype=torch.long).view(-1, 2).unbind(1)
    return marks.index_put_((rows, columns), torch.tensor(True))
