"""What the page of the demo tells: slices, hidden modalities, example cards with evidence, and how it was made."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from statistics import mean, stdev

import torch
from PIL import Image

from graphfuse.core.answer import Answer
from graphfuse.demo.atlas import PICTURES, Case
from graphfuse.demo.attribution import ATTRIBUTION
from graphfuse.demo.build import Atlas
from graphfuse.demo.methods import GROUPS, PLAIN
from graphfuse.demo.pictures import Picture as Pixels
from graphfuse.explain import looked_at
from graphfuse.kg import evidence
from graphfuse.model import FusionModel
from graphfuse.report import Card, EvidencePath, Hidden, Looked, Picture, Story
from graphfuse.training import Comparison

TITLE = "Asking an atlas in words and pictures"
LEAD = (
    "Which currencies are used by the neighbours of a country that is named, shown by a bad picture of its flag, by "
    "its outline, by both, or hinted at by a picture and a clue? Each question becomes one graph of words, picture "
    "regions and a part of the knowledge graph. An answer counts as right if it is one of the right entities. "
    "Training neither asks about a country called unseen nor shows or names it; the graph's facts about it are there."
)
SIZE = "Size"
"""What the page calls the size of the demo, by which its questions are drawn again."""
CARDS = 12
PICKED = "Answers of the best graph fusion without rules, first seed, on unseen countries; a quarter is picked wrong."


def slices(atlases: Mapping[int, Atlas]) -> dict[str, dict[str, list[str]]]:
    """dimension -> slice -> names of test questions, over all seeds."""
    out: dict[str, dict[str, list[str]]] = {}
    for seed, atlas in atlases.items():
        for case in atlas.cases["test"]:
            q = case.question
            told = {
                "country": "unseen" if not q.seen else "seen",
                "unseen country, given by": None if q.seen else "name" if q.form == "named" else q.form,
                "unseen country, steps": None if q.seen else "one step" if q.steps == 1 else "two steps",
                "unseen country, question": None if q.seen else q.type.replace("_", " "),
            }
            for dimension, part in told.items():
                if part:
                    out.setdefault(dimension, {}).setdefault(part, []).append(f"{seed}/{q.name}")
    return {dimension: dict(sorted(parts.items())) for dimension, parts in out.items()}


def hidden_rows(rows: Sequence[Mapping[str, str | float]]) -> tuple[Hidden, ...]:
    """One row a method and hidden modality: mean and spread over seeds."""
    grouped: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        key = str(row["method"]), str(row["hidden"])
        grouped.setdefault(key, []).append((float(row["mean"]), float(row["drop"])))
    return tuple(
        Hidden(method, hidden, mean(m for m, _ in own), stdev(m for m, _ in own) if len(own) > 1 else 0.0,
               mean(d for _, d in own))
        for (method, hidden), own in grouped.items()
    )  # fmt: skip


def answers_of(model: FusionModel, cases: Sequence[Case], batch_size: int = 64) -> list[Answer]:
    """A model's answers to cases, as entities with their evidence."""
    out = []
    with model.answering():
        for start in range(0, len(cases), batch_size):
            part = cases[start : start + batch_size]
            batch = model.collate([case.sample for case in part])
            output = model(batch.to(model.device))
            graph, meant = output.fused.graph, output.fused.meant
            shares = torch.zeros(len(graph.x)) if meant is None else meant.cpu()
            own = shares[graph.rows("entity")].split(graph.sizes("entity").tolist())
            for case, said, share in zip(part, model.head.answers(output.scores, batch), own):
                name = case.sub.entities[said.value]
                out.append(Answer(said.name, name, said.score, paths_to(case, name, share.tolist())))
    return out


def paths_to(case: Case, name: str, shares: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """Evidence: the path to an answer from the country that is most likely meant, then from what the words name.

    Each is a tuple of edge ids of the knowledge graph; there is none where the answer is itself all that was linked.
    ``shares``: of each entity of the sub-graph, how likely it is meant.
    """
    linked = sorted(case.sub.seeds, key=lambda entity: -shares[case.sub.index(entity)])
    named = {link.entity for link in case.sub.kg.link(case.question.text)}
    found = [(entity, tuple(path)) for entity in linked if (path := evidence(case.sub, name, [entity]))]
    first = found[:1]
    others = [(entity, path) for entity, path in found[1:] if entity in named and len(path) <= 2]
    return tuple(dict.fromkeys(path for _, path in first + others))


def checked_evidence(model: FusionModel, cases: Sequence[Case]) -> float:
    """Share of answers with evidence, of which every path is connected and leads from what was linked to the answer.

    The edges are those of the knowledge graph by their ids; a path that breaks off raises.
    """
    good = 0
    for case, said in zip(cases, answers_of(model, cases)):
        paths = [evidence_path(case, path, said.value) for path in said.evidence]
        ends = [[end for _, _, end in path.hops()][-1] for path in paths]
        good += bool(paths) and set(ends) == {said.value} and {path.start for path in paths} <= set(case.sub.seeds)
    return good / len(cases)


def chosen_cases(atlas: Atlas, right: Mapping[str, float]) -> list[Case]:
    """A dozen test questions on unseen countries, each way of giving the country in turn; a quarter answered wrong."""
    cases = [case for case in atlas.cases["test"] if not case.question.seen]
    forms = list(dict.fromkeys(case.question.form for case in cases))
    good, bad = ([c for c in cases if bool(right[c.question.name]) is want] for want in (True, False))

    def by_form(own: list[Case]) -> list[Case]:
        lists = [[case for case in own if case.question.form == form] for form in forms]
        return [case for row in zip_longest(*lists) for case in row if case is not None]

    good, bad = by_form(good), by_form(bad)
    wrong = max(CARDS // 4, CARDS - len(good))
    return good[: CARDS - min(wrong, len(bad))] + bad[:wrong]


def cards(model: FusionModel, atlas: Atlas, cases: Sequence[Case]) -> tuple[Card, ...]:
    """A card for each case."""
    every = enumerate(atlas.cases["test"])
    pictures = {c.question.name: {kind: atlas.pictures["test"][kind][p] for kind in PICTURES} for p, c in every}
    out = []
    looked_all = looked_at(model, [case.sample for case in cases])
    for case, looks, said in zip(cases, looked_all, answers_of(model, cases)):
        name = said.value
        shown = pictures[case.question.name]
        truth = case.question.answers
        country = atlas.facts.names[case.question.country]
        looked = tuple(Looked(look.kind, node_name(case, look.kind, look.row), look.share) for look in looks)
        out.append(Card(
            name=case.question.name, text=case.question.text, answer=name, truth=truth, right=name in truth,
            score=said.score, looked=looked,
            pictures=tuple(Picture(f"{k} of {country}, degraded", png(x)) for k, x in shown.items() if x is not None),
            paths=tuple(evidence_path(case, path, name) for path in said.evidence),
        ))  # fmt: skip
    return tuple(out)


def node_name(case: Case, kind: str, row: int) -> str:
    """What a node of a sample is called on the page."""
    if kind == "entity":
        return case.sub.entities[row]
    if kind == "text":
        return f"word piece {row + 1}"
    return "whole picture" if row == 0 else f"region {row}"


def evidence_path(case: Case, edges: Sequence[int], end: str) -> EvidencePath:
    """The path as the page draws it, from what was linked to the answer."""
    triples = case.sub.kg.path_triples(edges)
    here = end
    for head, _, tail in reversed(triples):
        here = head if here == tail else tail
    return EvidencePath(here, tuple(triples))


def png(picture: Pixels) -> bytes:
    """A picture as PNG."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", optimize=True)
    return out.getvalue()


def write_story(folder: Path, comparison: Comparison, parts: Mapping[str, Mapping[str, list[str]]],
                hidden: Sequence[Mapping[str, str | float]], shown: tuple[Card, ...], made: Mapping[str, str],
                language: str) -> None:  # fmt: skip
    """Saves what the page is drawn from."""
    comparison.save(folder)
    told = {dimension: {part: tuple(names) for part, names in own.items()} for dimension, own in parts.items()}
    Story(
        title=TITLE, lead=LEAD, groups=GROUPS, against=("one modality", "concat", "no_messages", "pipeline", PLAIN),
        slices=told, hidden=hidden_rows(hidden), cards=shown, cards_note=PICKED, made=made, credits=ATTRIBUTION,
        language=language,
    ).save(folder)  # fmt: skip
