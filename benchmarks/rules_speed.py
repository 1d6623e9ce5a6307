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
    yield from grounded(seeds, repeats, quick)
    for name, says in COUNTS.items():
        labels = [f"l{k}" for k in range(1000 if "1,000" in name else 200)]
        rules = gf.RuleSet.parse(f"hard r: {says.format(', '.join(labels))}", labels)
        yield from timed(f"{name}, batch {BATCH}", rules, seeds, repeats)


def grounded(seeds: Sequence[int], repeats: int, quick: bool) -> Iterator[Found]:
    """The loss of a rule over all pairs of a relation, and of one over twice as many."""
    rules = gf.RuleSet.parse("soft r: forall x, y. cites(x, y) & a(x) -> a(y)", list("abcdef"), relations=["cites"])
    for many in (6_000, 12_000) if quick else (600_000, 1_200_000):
        ways = []
        for seed in seeds:
            g = torch.Generator().manual_seed(seed)
            ways.append({OURS: partial(_loss, rules, *_pairs(many, g))})
        yield from turns(f"{many:,} groundings, loss forward + backward", ways, seeds, repeats)


def _pairs(many: int, generator: torch.Generator) -> tuple[Tensor, gf.rules.Facts]:
    """Logits of things, and so many different pairs of them that are two things."""
    things = many // 6
    step = torch.arange(1, 7).repeat_interleave(things)  # each thing cites the six that follow it
    source = torch.arange(things).repeat(6)
    order = torch.randperm(things, generator=generator)  # which stand anywhere
    pairs = torch.stack([order[source], order[(source + step) % things]])
    return torch.randn(things, 6, generator=generator).requires_grad_(), gf.rules.Facts({"cites": pairs})


def _loss(rules: gf.RuleSet, logits: Tensor, facts: gf.rules.Facts) -> None:
    rules.loss(logits, facts).backward()


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
