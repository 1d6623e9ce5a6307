"""What rules change in the atlas: rule by rule, and where few answers are known.

A share of the training and of the validation questions is drawn once a seed, a smaller one inside a larger; the test is
whole. Epochs are those of the whole divided by the root of the share, which was tuned on nothing. What a question asks
is then told by a model that learned from the same few.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from graphfuse.demo import asks
from graphfuse.demo.atlas import facts_of
from graphfuse.demo.build import SPLITS, Atlas
from graphfuse.demo.methods import AFTER, EPOCHS, EXACT, PLAIN, RULES
from graphfuse.demo.run import model_folder, run_method, under_rules
from graphfuse.model import FusionModel, Ruled
from graphfuse.rules import RuleSet
from graphfuse.training import Measured, scored

SHARES = (0.5, 0.25, 0.1, 0.05)
ASKED = "what is asked"
SAME = "accuracy in the runs of rules"
"""Of the fusion without rules: its own rows may have more seeds."""
Found = Iterator[tuple[str, str, float]]


def each_rule(out: Path, atlas: Atlas, seed: int) -> Found:
    """Method, metric and value on unseen countries: what answering under each rule alone adds to accuracy, how many
    answers break a rule, and to how many questions rules leave no answer."""
    model = FusionModel.from_pretrained(model_folder(out, seed, PLAIN))
    unseen = [case for case in atlas.cases["test"] if not case.question.seen]
    raw = scored(model, [case.sample for case in unseen])
    rules = RuleSet.read(RULES, model.head.labels)
    every = Measured(Ruled.of(model.head, rules), raw.scored)
    yield PLAIN, "answers that break a rule", every.metrics["rules_broken_before"]
    yield AFTER, "questions without an answer", fmean(answer.value is None for answer in every.answers)
    before = raw.values["accuracy"]
    for rule in rules.rules:
        own = Measured(Ruled.of(model.head, replace(rules, rules=(rule,))), raw.scored)
        yield AFTER, f"gain of one: {rule.name}", float((own.values["accuracy"] - before).mean())
    known, right = asks.right([reading for reading in atlas.readings["test"] if not reading.question.seen])
    yield ASKED, "told", known
    yield ASKED, "right where told", right


def few_labels(out: Path, atlas: Atlas, seed: int, size: str) -> Found:
    """Method, metric and value on unseen countries, for each share of the training and validation labels."""
    unseen = {f"{seed}/{case.question.name}" for case in atlas.cases["test"] if not case.question.seen}
    for share in SHARES:
        folder, of = out / f"share-{share:g}", f"{share:.0%} of labels"
        some = fewer(atlas, share, seed, model_folder(folder, seed, asks.FOLDER))
        plain, _ = run_method(folder, some, PLAIN, seed, round(EPOCHS[size] / share**0.5))
        exact, _ = run_method(folder, some, EXACT, seed, round(EPOCHS[size] / share**0.5))
        after, _ = under_rules(folder, some, plain)
        for run in (plain, after, exact):
            yield run.method, f"accuracy with {of}", fmean(run.scores[name] for name in unseen)
        known, right = asks.right([reading for reading in some.readings["test"] if not reading.question.seen])
        yield ASKED, f"told with {of}", known
        yield ASKED, f"right where told with {of}", right


def fewer(atlas: Atlas, share: float, seed: int, folder: Path | None = None) -> Atlas:
    """The atlas with a share of its training and validation questions, what is asked told from these alone."""
    places = {split: range(len(atlas.readings[split])) for split in SPLITS}
    kept = {split: drawn(len(places[split]), share, f"{seed} {split}") for split in ("train", "valid")}
    kept["test"] = list(places["test"])
    readings = {split: [atlas.readings[split][place] for place in kept[split]] for split in SPLITS}
    teller = asks.learned(readings, seed, folder)
    readings = {split: asks.told(teller, readings[split]) for split in SPLITS}
    cases = {
        split: [
            replace(case, sample=replace(case.sample, facts=facts_of(reading)))
            for case, reading in zip((atlas.cases[split][place] for place in kept[split]), readings[split])
        ]
        for split in SPLITS
    }
    return replace(atlas, readings=readings, cases=cases)


def drawn(count: int, share: float, draw: str) -> list[int]:
    """Which of ``count`` things are kept, in their order; a smaller share of the same draw lies inside a larger."""
    order = random.Random(draw).sample(range(count), count)
    return sorted(order[: max(1, round(share * count))])
