"""What the demo prints: progress, the table, three answers with evidence, and the loop that takes questions."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from graphfuse.core.errors import InputError
from graphfuse.core.files import write_all, write_lines
from graphfuse.core.jobs import at_a_time
from graphfuse.core.machine import machine
from graphfuse.demo.atlas import PICTURES, Readers, cases_of, knowledge, read
from graphfuse.demo.attribution import ATTRIBUTION
from graphfuse.demo.build import COPIES, read_with
from graphfuse.demo.facts import Facts, read_facts
from graphfuse.demo.methods import BUDGET, DIM, DROPOUT, EPOCHS, FULL, GRAPH, LAYERS, PLAIN, QUICK
from graphfuse.demo.pictures import read_picture
from graphfuse.demo.questions import Question, split_countries
from graphfuse.demo.run import LEVEL, hidden_scores, model_folder, run_seed
from graphfuse.demo.story import (
    SIZE,
    answers_of,
    cards,
    checked_evidence,
    chosen_cases,
    evidence_path,
    hidden_rows,
    slices,
    write_story,
)
from graphfuse.kg import KnowledgeGraph
from graphfuse.model import FusionModel
from graphfuse.report import Card, EvidencePath, write_report
from graphfuse.training import Comparison
from graphfuse.training.told import RULES

COLUMNS = {
    "unseen": ("country", "unseen"),
    **{form: ("unseen country, given by", form) for form in ("name", "flag", "outline", "both", "clue")},
    "1 step": ("unseen country, steps", "one step"),
    "2 steps": ("unseen country, steps", "two steps"),
    "seen": ("country", "seen"),
}


def demo(out: Path, size: str, language: str, seeds: Iterable[int], jobs: int = 1,
         methods: Sequence[str] | None = None) -> Comparison:  # fmt: skip
    """Runs the demo, ``jobs`` methods at a time, prints what it finds, and writes the folder.

    Compares ``methods``, or if left out those of the size, ``QUICK`` or ``FULL``.

    Raises:
        InputError: The folder cannot be written, or holds other runs.
    """
    write_all({out / ".graphfuse": b""})
    comparison, parts, hidden = Comparison(()), dict[str, dict[str, list[str]]](), list[dict[str, str | float]]()
    evident, best, broken = list[float](), list[str](), list[dict[str, Any]]()
    methods = methods or (QUICK if size == "quick" else FULL)
    shown: tuple[Card, ...] = ()
    for seed in seeds:
        own = run_seed(out, seed, size, language, say, methods, jobs)
        atlas, found = own.atlas, own.found
        comparison += found
        broken += own.broken
        for dimension, sliced in slices({seed: atlas}).items():
            for part, names in sliced.items():
                parts.setdefault(dimension, {}).setdefault(part, []).extend(names)
        hidden += hidden_scores(out, atlas, seed, found, jobs)
        best.append(_best_graph(found))
        model = FusionModel.from_pretrained(model_folder(out, seed, best[-1]))
        evident.append(checked_evidence(model, [case for case in atlas.cases["test"] if not case.question.seen]))
        if not shown:
            run = next(run for run in found.runs if run.method == best[-1])
            right = {name.removeprefix(f"{seed}/"): value for name, value in run.scores.items()}
            shown = cards(model, atlas, chosen_cases(atlas, right))
    write_lines(out / RULES, broken)
    write_story(out, comparison, parts, hidden, shown, _made(size, language, comparison, evident, jobs), language)
    _print(comparison, parts, hidden, shown, f"{', '.join(dict.fromkeys(best))}: {_percent(evident)}")
    say(f"\nThe page: {write_report(out)}")
    return comparison


def _print(comparison: Comparison, parts: Mapping[str, Mapping[str, Sequence[str]]],
           hidden: Sequence[Mapping[str, str | float]], shown: Sequence[Card], evident: str) -> None:  # fmt: skip
    say("\nTest accuracy in percent; in all columns but 'seen' about countries that training never asked about.")
    say(table_of(comparison, parts).to_string(float_format=lambda x: f"{x:.1f}"))
    say("\nWhat a hidden modality costs (test accuracy in percent, seen and unseen countries):")
    for row in hidden_rows(hidden):
        say(f"  {row.method:<18} without {row.hidden:<8} {100 * row.mean:5.1f} ({-100 * row.drop:+.1f})")
    say(
        f"\nAnswers on unseen countries with a connected path of facts from what was linked to the answer, by {evident}"
    )
    with_paths = [card for card in shown if card.paths]
    for card in [c for c in with_paths if c.right][:2] + [c for c in with_paths if not c.right][:1]:
        say(_drawn(card))
    say("")
    for credit in ATTRIBUTION:
        say(credit)


def _percent(shares: Sequence[float]) -> str:
    return f"{100 * sum(shares) / len(shares):.1f} %"


def table_of(comparison: Comparison, parts: Mapping[str, Mapping[str, Sequence[str]]]) -> pd.DataFrame:
    """One row a method: mean accuracy in percent for each column of the demo's table, seconds and parameters."""
    scores = comparison.scores()
    rows = {}
    for method, own in scores.groupby("method", sort=False):
        values = own.set_index("name")["value"]
        row = {
            column: 100 * values[list(parts[dimension][part])].mean()
            for column, (dimension, part) in COLUMNS.items()
            if part in parts.get(dimension, {})
        }
        runs = [run for run in comparison.runs if run.method == method]
        row |= {"seconds": sum(r.seconds for r in runs) / len(runs), "parameters": f"{runs[0].parameters:,}"}
        rows[method] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def ask(out: Path, size: str, language: str) -> None:
    """Takes questions from the terminal, each with a picture of a flag or outline if wanted, until an empty line.

    Raises:
        InputError: There is no finished demo in ``out``.
    """
    facts = read_facts(language)
    kg = knowledge(facts)
    readers = read_with(facts, kg, split_countries(facts, 0)["train"], LEVEL, COPIES[size])
    model = FusionModel.from_pretrained(model_folder(out, 0, PLAIN))
    say("\nAsk about a country: name it, or say 'this country' and give a picture of its flag or outline.\n"
        "An empty line ends.")  # fmt: skip
    while text := _line("question: "):
        try:
            file = _line("picture file (or nothing): ")
            kind = _line("is it a flag or an outline? [flag] ") or "flag" if file else ""
            say(answered(text, file, kind, facts, kg, readers, model))
        except InputError as error:
            say(str(error))


def answered(text: str, file: str, kind: str, facts: Facts, kg: KnowledgeGraph, readers: Readers,
             model: FusionModel) -> str:  # fmt: skip
    """The answer to one question with its evidence, as lines of text.

    Raises:
        InputError: The picture does not open, or there is none and the words name no known entity.
    """
    if kind not in ("", *PICTURES):
        raise InputError(f"A picture shows a flag or an outline, not {kind!r}.")
    question = Question("asked", text, "asked", 1, "asked", "", (), (), None, None, facts.language, "asked", False)
    pictures = {each: [read_picture(Path(file).expanduser()) if each == kind else None] for each in PICTURES}
    cases = cases_of(read([question], pictures, readers), facts, kg, readers)
    if not cases:
        raise InputError(f"{text!r} has no word in it; ask in words, or give a picture.")
    said = answers_of(model, cases)[0]
    lines = [f"  {said.value} ({100 * (said.score or 0):.0f} %)"]
    if cases[0].candidates:
        lines += ["  The picture looks like:", *(f"    {name}" for name, _ in cases[0].candidates[:3])]
    lines += [f"  because {_walked(evidence_path(cases[0], path, said.value))}" for path in said.evidence]
    return "\n".join(lines)


def _walked(path: EvidencePath) -> str:
    """A path as one line; an arrow points the way its fact does."""
    steps = (f" <-{relation}- {end}" if against else f" -{relation}-> {end}" for relation, against, end in path.hops())
    return path.start + "".join(steps)


def _best_graph(found: Comparison) -> str:
    """The graph fusion that is best on validation."""
    valid = {run.method: run.valid[run.metric] for run in found.runs if run.method in GRAPH}
    return max(valid, key=lambda method: valid[method])


def _drawn(card: Card) -> str:
    """A card as lines of text."""
    verdict = f"right: {card.answer}" if card.right else f"wrong: {card.answer} (would be {', '.join(card.truth)})"
    return "\n".join([f"\n{card.text}", f"  {verdict}", *(f"  evidence: {_walked(path)}" for path in card.paths)])


def _made(size: str, language: str, comparison: Comparison, evident: Sequence[float], jobs: int) -> dict[str, str]:
    facts = machine(at_a_time(jobs))
    versions = ", ".join(f"{name} {facts[name]}" for name in ("graphfuse", "torch", "torch-geometric", "transformers"))
    wanted = sorted({run.seed for run in comparison.runs})
    options = ["--quick"] * (size == "quick") + [f"--language {language}"] * (language != "en")
    options += [f"--seeds {len(wanted)}"] * (len(wanted) > 1)
    return {
        "Command": " ".join(["graphfuse demo", *options]),
        SIZE: size,
        "Seeds": ", ".join(map(str, wanted)),
        "Budget of every method": f"{EPOCHS[size]} epochs, {BUDGET['batch_size']} questions a step, width {DIM}, "
        f"dropout {DROPOUT}, 3 layers (" + ", ".join(f"{name} {n}" for name, n in LAYERS.items()) + "), "
        f"learning rate {BUDGET['learning_rate']}; the epoch is chosen on validation",
        "Pictures": f"degradation level {LEVEL}",
        "Evidence": f"{_percent(evident)} of answers on unseen countries have a connected path of facts",
        "Versions": versions,
        "Hardware": f"{facts['system']}, {facts['threads']}, accelerator: {facts['accelerator']}",
    }  # fmt: skip


def _line(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        return ""


def say(text: str) -> None:
    """A line on the terminal, at once."""
    print(text, file=sys.stdout, flush=True)
