"""Nodes and relations: their order, and relations of every sort."""

from __future__ import annotations

from dataclasses import replace

import torch

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Sample
from graphfuse.core.schema import Schema
from graphfuse.edges import AllPairs, Hub, Linked
from graphfuse.testing import cases
from graphfuse.testing.subject import Subject, close, close_fused, finite, furthest, learns


def permuted_nodes_permute_their_rows(subject: Subject) -> str:
    """Permuting the nodes of a kind permutes their rows and changes no vector."""
    samples, plan = cases.samples(), cases.schema(ordered=False)
    module = subject.module(plan)
    moved = [cases.permuted(one, seed) for seed, one in enumerate(samples)]
    before, after = (subject.fused(module, made, plan) for made in (samples, [one for one, _ in moved]))
    offs = [close("vector", after.vector, before.vector)]
    for kind, first in zip(plan.all_kinds, before.graph.offsets.tolist()):
        for place, (_, order) in enumerate(moved):
            rows = torch.arange(first[place], first[place + 1])
            came_from = rows[order[kind]] if kind in order else rows
            what = f"{kind} nodes of sample {place}"
            offs.append(close(what, after.graph.x[rows], before.graph.x[came_from]))
    return furthest(offs)


def the_order_of_links_never_matters(subject: Subject) -> str:
    """Links in another order, their weights with them, change nothing."""
    plan, samples = cases.schema(), cases.samples()
    again = [cases.relinked(one, seed) for seed, one in enumerate(samples)]
    return furthest([close_fused("links moved", subject.fused(subject.module(plan), again, plan), subject.usual)])


def dense_and_listed_agree(subject: Subject) -> str:
    """A dense relation gives the same as the same pairs listed."""
    samples = cases.samples()
    names = [("text", "all_pairs", "image"), ("image", "all_pairs", "image"), ("entity", "all_pairs", "entity")]
    given = [Linked(*cases.NEXT), Linked(*cases.MENTIONS), Linked(*cases.RESEMBLES, weighted=True)]
    dense = Schema(cases.KINDS, [*(AllPairs(source, target) for source, _, target in names), *given])
    listed = Schema(cases.KINDS, [*(Linked(*name) for name in names), *given])

    def complete(one: Sample) -> Sample:
        rows = {kind: torch.arange(len(one.nodes.get(kind, ()))) for kind in cases.KINDS}
        pairs = {name: torch.cartesian_prod(rows[name[0]], rows[name[2]]).t() for name in names}
        return replace(one, links={**one.links, **{name: own for name, own in pairs.items() if own.numel()}})

    expected = subject.fused(subject.module(dense), samples, dense)
    found = subject.fused(subject.module(listed), [complete(one) for one in samples], listed)
    return furthest([close_fused("listed", found, expected)])


def weighted_links_stay_finite(subject: Subject) -> str:
    """Links of weight zero, and of large weight, give finite results and gradients."""
    plan = Schema(cases.KINDS, [Linked(*cases.RESEMBLES, direction="both", weighted=True)])
    module = subject.module(plan)
    for weight in (0.0, 100.0):
        samples = [replace(one, links={r: pairs for r, pairs in one.links.items() if r == cases.RESEMBLES},
                           weights={r: torch.full_like(own, weight) for r, own in one.weights.items()})
                   for one in cases.samples()]  # fmt: skip
        learns(f"weights of {weight:g}", module, samples, plan, subject.dim)
    return "weights of 0 and 100"


def hubs_belong_to_one_sample(subject: Subject) -> str:
    """Samples whose nodes meet through hubs alone are fused alike alone and in company."""
    plan = Schema(cases.KINDS, [Hub("text", direction="both"), Hub("image", direction="both"), Hub("entity")])
    samples = [cases.without_links(one) for one in cases.samples(4)]
    module = subject.module(plan)
    together, offs = subject.fused(module, samples, plan), []
    for place, one in enumerate(samples):
        alone = subject.fused(module, [one], plan)
        offs.append(close(f"sample {place}", alone.graph.x, together.graph.x[together.graph.owners == place]))
    return furthest(offs)


def without_relations(subject: Subject) -> str:
    """A schema without relations works."""
    return _works(subject, Schema(cases.KINDS), [cases.without_links(one) for one in cases.samples()])


def a_relation_without_any_edge(subject: Subject) -> str:
    """A schema whose only relation has no edge works."""
    plan = Schema(cases.KINDS, [Linked(*cases.NEXT)])
    return _works(subject, plan, [cases.without_links(one) for one in cases.samples()])


def a_schema_of_one_kind(subject: Subject) -> str:
    """A schema of one kind works."""
    plan = Schema({"text": 6}, [AllPairs("text", "text")])
    rows = torch.arange(24.0).view(4, 6) / 24
    return _works(subject, plan, [Sample("one", {"text": rows[:1]}), Sample("two", {"text": rows[1:]})])


def one_layer(subject: Subject) -> str:
    """One layer works."""
    return _works(subject, cases.schema(), cases.samples(), layers=1)


def no_layers_are_refused_or_work(subject: Subject) -> str:
    """``layers=0`` is refused with a sentence, or works."""
    try:
        return _works(subject, cases.schema(), cases.samples(), layers=0)
    except InputError as error:
        return f"refused: {error}"


def _works(subject: Subject, plan: Schema, samples: list[Sample], layers: int = 2) -> str:
    module = subject.module(plan, layers)
    learns("training", module.train(), samples, plan, subject.dim)
    finite("prediction", subject.fused(module.eval(), samples, plan))
    return "finite results and gradients"
