"""What the rules of a model of the demo change in its answer to a question of the demo."""

from __future__ import annotations

import re
from pathlib import Path

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.demo import asks
from graphfuse.demo.atlas import PICTURES, Case, cases_of, knowledge, picture_of, read
from graphfuse.demo.build import COPIES, read_with
from graphfuse.demo.facts import read_facts
from graphfuse.demo.pictures import draw_flag
from graphfuse.demo.questions import make_questions, split_countries
from graphfuse.demo.run import LEVEL, model_folder
from graphfuse.demo.story import SIZE
from graphfuse.explain import under_rules
from graphfuse.model import FusionModel, Ruled
from graphfuse.report import Story
from graphfuse.rules import Explanation, JointExplanation


def is_of_demo(run: Path) -> bool:
    """Whether a folder looks like that of a model of the demo: ``OUT/atlas-0/METHOD/seed-0``."""
    seed = re.fullmatch(r"atlas-(\d+)", run.resolve().parent.parent.name)
    return seed is not None and run.resolve().name == f"seed-{seed[1]}"


def explain(run: Path, name: str) -> tuple[Explanation | JointExplanation, str, str]:
    """What the rules of a model make of its scores for a question, with the entities by name.

    The demo keeps no samples, so the question is read again, by the size and language that its page tells.

    Args:
        run: The folder of a model that was trained with rules, ``OUT/atlas-0/METHOD/seed-0``.
        name: Of a question, as the page has it.

    Returns:
        The explanation, how the model uses its rules (its ``rule_mode``), and the question.

    Raises:
        InputError: The model has no rules, the demo was not finished, or no question has the name (with the nearest).
    """
    model = FusionModel.from_pretrained(run)
    if not isinstance(model.head, Ruled):
        raise InputError(f"{run}: this model was trained without rules; those of the demo whose name ends with "
                         "'+ rules, exact' were trained with some.")  # fmt: skip
    case = case_of(run.resolve().parents[2], int(run.resolve().name.removeprefix("seed-")), name)
    return under_rules(model, case.sample, "name"), model.head.mode, case.question.text


def case_of(out: Path, seed: int, name: str) -> Case:
    """A question of a finished demo as its models get it; raises ``InputError`` as :func:`explain`."""
    story = Story.open(out)
    size = story.made.get(SIZE, "")
    if size not in COPIES:
        raise InputError(f"{out}: its page does not tell the size of the demo; it was made before rules "
                         "could be explained; run `graphfuse demo` into a new folder.")  # fmt: skip
    facts = read_facts(story.language)
    asked = {question.name: question for own in make_questions(facts, seed, size).values() for question in own}
    if name not in asked:
        raise InputError(f"{out}: no question of seed {seed} is called {name!r}.{did_you_mean(name, asked)}")
    kg, question = knowledge(facts), asked[name]
    readers = read_with(facts, kg, split_countries(facts, seed)["train"], LEVEL, COPIES[size])
    flags = {code: draw_flag(flag) for code, flag in facts.flags.items() if code == question.country}
    pictures = {kind: [picture_of(question, facts, flags, kind, LEVEL)] for kind in PICTURES}
    teller = FusionModel.from_pretrained(model_folder(out, seed, asks.FOLDER))
    (case,) = cases_of(asks.told(teller, read([question], pictures, readers)), facts, kg, readers)
    return case
