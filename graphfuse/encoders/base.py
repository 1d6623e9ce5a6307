"""What every encoder is: values of one modality in, node features of one kind out, frozen or trained."""

import json
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from graphfuse.core.progress import progress
from graphfuse.encoders.cache import Cache
from graphfuse.encoders.content import digest


class Encoder(nn.Module):
    """Turns raw values into node features, ``[n, width]`` for each value.

    Frozen: ``encode(values)`` once, cached on disk. Trained with the model (``trainable=True``): ``prepare(values)``
    gives the rows that a sample carries, and the model calls ``forward`` on the rows of a batch. Both ways agree:
    ``encode`` is ``prepare``, then ``forward`` without gradients, on the device that the encoder was moved to.

    A new encoder defines ``width``, ``raw_width``, ``config``, ``prepare`` and ``forward``; one with weights also
    ``load`` and ``weights_id``. It is always in eval mode, ``train()`` included: no dropout, and batch normalisation
    keeps its statistics, so training and prediction see the same features. Only a trainable encoder owns its weights
    as parameters; a frozen one reads them when they are first needed, outside ``state_dict()``.
    """

    name: ClassVar[str]  # its word in the catalog
    version: ClassVar[int] = 1  # raised when the same settings and weights come to give other features
    chunk: ClassVar[int] = 512  # values read, encoded and cached at a time
    width: int  # of a node's features
    raw_width: int  # of a row from ``prepare``
    here: Tensor

    def __init__(self, trainable: bool = False):
        super().__init__()
        self.trainable = trainable
        self.register_buffer("here", torch.empty(0), persistent=False)  # on the device where ``encode`` computes
        self.eval()

    def own_network(self) -> None:
        """Makes the weights of a trainable encoder its parameters: the last line of its constructor."""
        if self.trainable:
            self.network = self.load().eval()

    def config(self) -> dict[str, Any]:
        """The settings as JSON values: ``ENCODERS[name](**config)`` builds this encoder again."""
        raise NotImplementedError

    def prepare(self, values: Sequence[Any], names: Sequence[str] | None = None) -> list[Tensor]:
        """Raw rows of each value, ``[n, raw_width]``; none (``[0, raw_width]``) where the value is lacking.

        Raises:
            InputError: A value cannot be read; the message begins with its name (``value 3`` where names lack).
        """
        raise NotImplementedError

    def forward(self, rows: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Node features of a batch: ``rows [N, raw_width], offsets [B + 1] -> [M, width], offsets [B + 1]``.

        Rows ``offsets[i]`` to ``offsets[i + 1]`` belong to sample ``i``, in what comes in and in what goes out.
        """
        raise NotImplementedError

    def load(self) -> nn.Module:
        """The network with its weights."""
        raise NotImplementedError

    def weights_id(self) -> str:
        """A hash of the weights' content."""
        return ""

    def settings(self) -> dict[str, Any]:
        """The part of ``config`` that, beside the weights, decides the features; no places of files."""
        return self.config()

    def batch_rows(self) -> int:
        """How many raw rows, padding included, ``encode`` gives to ``forward`` at once."""
        return 4096

    def fingerprint(self, value: Any, name: str) -> bytes:
        """The content of one value, for the cache; ``name`` is its name in messages."""
        return str(value).encode()

    @cached_property
    def id(self) -> str:
        """Tells these features from all others by content: code version, settings, weights."""
        content = json.dumps([self.name, self.version, self.settings(), self.weights_id()], sort_keys=True)
        return f"{self.name}-{digest(content.encode()).hex()}"

    def encode(
        self, values: Sequence[Any], names: Sequence[str] | None = None, cache: Cache | bool = True
    ) -> list[Tensor]:
        """Features of each value, ``[n, width]`` float32 on the CPU, without gradient; equal values are encoded once.

        A value's features do not depend on its neighbours (to 1e-5). ``cache``: ``True`` is the user's cache folder,
        ``False`` none. A trainable encoder is never cached, since its weights change.

        Raises:
            InputError: As ``prepare``.
        """
        values = list(values)
        store = (Cache() if cache is True else cache) if cache is not False and not self.trainable else None
        keys = [
            None if is_lacking(value) else digest(self.fingerprint(value, place(names, i)))
            for i, value in enumerate(values)
        ]
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key is not None}
        found = store.get(self.id, first) if store and first else {}
        missing = sorted(i for key, i in first.items() if key not in found)
        with progress(f"{self.name}: encoding", len(missing)) as advance:
            for start in range(0, len(missing), self.chunk):
                part = missing[start : start + self.chunk]
                fresh = self._encode([values[i] for i in part], [place(names, i) for i in part])
                entries = {key: each for i, each in zip(part, fresh) if (key := keys[i])}
                if store:
                    store.put(self.id, entries)
                found |= entries
                advance(len(part))
        empty = torch.empty(0, self.width)
        return [found[key] if key else empty for key in keys]

    def train(self, mode: bool = True) -> "Encoder":
        """Stays in eval mode whatever ``mode`` says."""
        return super().train(False)

    def running_network(self, device: torch.device) -> nn.Module:
        """The network to run: the trained one, or the frozen one moved to ``device``."""
        return self.network if self.trainable else self._frozen.to(device)

    @cached_property
    def _frozen(self) -> nn.Module:  # in __dict__, not among the modules: a frozen encoder has no parameters
        return self.load().eval().requires_grad_(False)

    @torch.no_grad()
    def _encode(self, values: Sequence[Any], names: Sequence[str]) -> list[Tensor]:
        rows = self.prepare(values, names)
        results = [torch.empty(0, self.width)] * len(rows)
        for batch in _batches([len(each) for each in rows], self.batch_rows()):
            raw, begin = lay_rows([rows[i] for i in batch])
            features, offsets = self(raw.to(self.here.device), begin.to(self.here.device))
            for i, each in zip(batch, features.float().cpu().split(offsets.diff().tolist())):
                results[i] = each.clone()
        return results


def lay_rows(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The rows of several values one after another, and where each begins: ``[N, raw_width], [B + 1]``."""
    return torch.cat(list(rows)), torch.tensor([0, *map(len, rows)]).cumsum(0)


def _batches(lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Numbers of values of like length, shortest first; a batch padded to its longest has at most ``limit`` rows."""
    batch: list[int] = []
    for i in sorted((i for i, length in enumerate(lengths) if length), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[i] > limit:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def is_lacking(value: Any) -> bool:
    """Whether a value is absent: ``None``, NaN (an empty cell of a table) or a text of nothing but space."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def place(names: Sequence[str] | None, i: int) -> str:
    """What messages call value ``i``."""
    return names[i] if names is not None else f"value {i}"
