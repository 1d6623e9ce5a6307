"""Modalities that go missing: hidden at random, in training as a regulariser or in an experiment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Sample

Groups = Sequence[Sequence[str]]


def hide(samples: Sequence[Sample], share: float, seed: int, together: Groups = ()) -> list[Sample]:
    """The samples with each of their modalities hidden with probability ``share``, but never all of them.

    Which ones depends on the seed and the sample's name alone: not on the order, and a larger share hides what a
    smaller one does, and more. A hidden kind is absent, exactly as in a sample that came without it.

    Args:
        samples: Any.
        share: 0 to 1.
        seed: Of the draws.
        together: Kinds that come from one source (such as two encodings of one text) and are hidden as one.

    Raises:
        InputError: The share is not between 0 and 1.
    """
    check_share("share", share)
    if not share:
        return list(samples)
    return [thinned(sample, share, rng_of(seed, sample.name), together) for sample in samples]


def thinned(sample: Sample, share: float, rng: torch.Generator, together: Groups = ()) -> Sample:
    """One sample with some of its modalities hidden."""
    sources = _sources(sample, together)
    draws = torch.rand(len(sources), generator=rng)
    hidden = draws < share
    if len(sources) and hidden.all():
        hidden[draws.argmax()] = False
    gone = [kind for kinds, out in zip(sources, hidden.tolist()) if out for kind in kinds]
    return sample.without(*gone) if gone else sample


def check_share(what: str, share: float) -> None:
    """Raises ``InputError`` where a share is not a number from 0 to 1."""
    if not 0 <= share <= 1:
        raise InputError(f"{what} is {share}; it must be from 0 to 1.")


def _sources(sample: Sample, together: Groups) -> list[list[str]]:
    """The kinds that the sample has, those of one source together, in a fixed order."""
    there = sorted(kind for kind, x in sample.nodes.items() if len(x))
    home = {kind: place for place, kinds in enumerate(together) for kind in kinds}
    sources: dict[object, list[str]] = {}
    for kind in there:
        sources.setdefault(home.get(kind, kind), []).append(kind)
    return list(sources.values())


def rng_of(seed: int, name: str) -> torch.Generator:
    """The source of chance of a sample: a function of the seed and the sample's name alone."""
    own = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(own, "little"))
