"""Seconds that answers, sums and their gradients take, medians and least of runs in turn, beside those of peers.

They are of the processor, one thread: what passes where nothing else runs, however many share the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from time import process_time

import torch
from torch import Tensor

import graphfuse as gf
from benchmarks.clock import in_turn
from benchmarks.rules_data import heads_clauses, roadr_path, roadr_rules
from benchmarks.rules_peers import ORDERS, AbsentError, Layer, shield
from benchmarks.rules_rows import OURS, Found, found

BATCH, REPEATS = 256, 20
COUNTS = {"exactly_one over 1,000 labels": "exactly_one({})", "at_most(3) over 200 labels": "at_most(3, {})"}


def measures(seeds: Sequence[int], quick: bool) -> Iterator[Found]:
    """All measures of this module; each seed draws its own logits."""
    repeats = 1 if quick else REPEATS
    yield from roadr(seeds, repeats)
    for name, says in COUNTS.items():
        labels = [f"l{k}" for k in range(1000 if "1,000" in name else 200)]
        rules = gf.RuleSet.parse(f"hard r: {says.format(', '.join(labels))}", labels)
        yield from timed(f"{name}, batch {BATCH}", rules, seeds, repeats)


def roadr(seeds: Sequence[int], repeats: int) -> Iterator[Found]:
    """Making 243 requirements ready, and batches of answers, beside both of PiShield's ways with the quickest order."""
    clauses = heads_clauses(roadr_path("constraints"))
    rules, more = roadr_rules("constraints"), dict[str, Layer]()
    count = len(rules.labels)
    ways: dict[str, Callable[[], object]] = {OURS: lambda: roadr_rules("constraints")}
    try:
        x = torch.randn(BATCH, count, generator=torch.Generator().manual_seed(0)).sigmoid()
        for at_once, called in ((False, "rule by rule"), (True, "all at once")):
            layers = {order: shield(clauses, count, order, at_once) for order in ORDERS}
            tried = in_turn([lambda own=own: own(x) for own in layers.values()], 3, timer=process_time)
            order, _ = min(zip(layers, tried), key=lambda each: min(each[1]))
            more[f"PiShield ({called}, {order})"] = layers[order]
            ways[f"PiShield ({order})"] = partial(shield, clauses, count, order)
    except AbsentError as error:
        yield found("roadr, compile", "PiShield", f"measures without it ({error})", 1)
    yield from turns("roadr, compile", [ways for _ in seeds[:1]], seeds[:1], max(1, repeats // 4))
    yield from timed(f"roadr, batch {BATCH}", rules, seeds, repeats, peers=more)


def timed(name: str, rules: gf.RuleSet, seeds: Sequence[int], repeats: int, batch: int = BATCH,
          peers: Mapping[str, Layer] | None = None) -> Iterator[Found]:  # fmt: skip
    """``answer``, beside peers from the same logits; and ``log_partition`` forward and backward."""
    drawn = [torch.randn(batch, len(rules.labels), generator=torch.Generator().manual_seed(seed)) for seed in seeds]

    def answers(x: Tensor) -> dict[str, Callable[[], object]]:
        theirs = {who: (lambda layer=layer: layer(x.sigmoid()) > 0.5) for who, layer in (peers or {}).items()}
        return {OURS: lambda: rules.answer(x), **theirs}

    def total(x: Tensor) -> dict[str, Callable[[], object]]:
        leaf = x.clone().requires_grad_()
        return {OURS: lambda: rules.log_partition(leaf).sum().backward()}

    with torch.no_grad():
        yield from turns(f"{name}, MAP", [answers(x) for x in drawn], seeds, repeats)
    yield from turns(f"{name}, log Z forward + backward", [total(x) for x in drawn], seeds, repeats)


def turns(name: str, ways: Sequence[Mapping[str, Callable[[], object]]], seeds: Sequence[int],
           repeats: int) -> Iterator[Found]:  # fmt: skip
    """Milliseconds of each way, and how many times quicker ours is: a run in turn for each seed."""
    seconds = [dict(zip(own, in_turn(list(own.values()), repeats, timer=process_time))) for own in ways]
    for who in ways[0]:
        for metric, of in (("milliseconds", median), ("least milliseconds", min)):
            yield found(name, who, metric, [1000 * of(own[who]) for own in seconds], seeds)
    for who in list(ways[0])[1:]:
        yield found(name, OURS, f"times faster than {who}",
                    [median(own[who]) / median(own[OURS]) for own in seconds], seeds)  # fmt: skip
