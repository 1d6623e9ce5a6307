"""What the demo prints: progress, the table, three answers with evidence, and the loop that takes questions."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from graphfuse.core.errors import InputError
from graphfuse.core.files import write_json
from graphfuse.core.machine import machine
from graphfuse.demo.atlas import PICTURES, Readers, cases_of, knowledge, read
from graphfuse.demo.attribution import ATTRIBUTION
from graphfuse.demo.build import COPIES, read_with
from graphfuse.demo.facts import Facts, read_facts
from graphfuse.demo.methods import BUDGET, DIM, DROPOUT, EPOCHS, METHODS, OURS, QUICK
from graphfuse.demo.pictures import read_picture
from graphfuse.demo.questions import Question, split_countries
from graphfuse.demo.run import LEVEL, hidden_scores, model_folder, run_seed
from graphfuse.demo.story import answers_of, cards, checked_evidence, chosen_cases, slices, write_story
from graphfuse.kg import KnowledgeGraph
from graphfuse.model import FusionModel
from graphfuse.report import Card, write_report
from graphfuse.training import Comparison

COLUMNS = {
    "all": ("country", "unseen"),
    **{form: ("unseen country, given by", form) for form in ("name", "flag", "outline", "both", "clue")},
    "1 step": ("unseen country, steps", "one step"),
    "2 steps": ("unseen country, steps", "two steps"),
    "seen": ("country", "seen"),
}


def demo(out: Path, size: str, language: str, seeds: Iterable[int]) -> Comparison:
    """Runs the demo, prints what it finds, and writes the folder."""
    comparison, parts, hidden = Comparison(()), dict[str, dict[str, list[str]]](), list[dict[str, str | float]]()
    evident, best = list[float](), ""
    shown: tuple[Card, ...] = ()
    for seed in seeds:
        atlas, found = run_seed(out, seed, size, language, say, QUICK if size == "quick" else METHODS)
        comparison += found
        for dimension, own in slices({seed: atlas}).items():
            for part, names in own.items():
                parts.setdefault(dimension, {}).setdefault(part, []).extend(names)
        hidden += hidden_scores(out, atlas, seed)
        best = _best_graph(found)
        model = FusionModel.from_pretrained(model_folder(out, seed, best))
        unseen = [case for case in atlas.cases["test"] if not case.question.seen]
        evident.append(checked_evidence(model, unseen))
        if not shown:
            run = next(run for run in found.runs if run.method == best)
            right = {name.removeprefix(f"{seed}/"): value for name, value in run.scores.items()}
            shown = cards(model, atlas, chosen_cases(atlas, right))
    write_json(out / "hidden.json", hidden)
    made = _made(size, language, [run.seed for run in comparison.runs], evident)
    write_story(out, comparison, parts, hidden, shown, made, language)
    table = table_of(comparison, parts)
    say("\nTest accuracy in percent, questions about unseen countries unless said; spread over seeds is in the report.")
    say(table.to_string(float_format=lambda x: f"{x:.1f}"))
    share = f"{100 * sum(evident) / len(evident):.1f} %"
    say(f"\nEvidence of {best}: {share} of answers have a path whose edges all exist in the graph.")
    for card in [card for card in shown if card.paths][:3]:
        say(_drawn(card))
    for credit in ATTRIBUTION:
        say(credit)
    say(f"\nThe page: {write_report(out)}")
    return comparison


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
    model = FusionModel.from_pretrained(model_folder(out, 0, "relation_gate"))
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
    pictures = {each: [read_picture(file) if each == kind else None] for each in PICTURES}
    case = cases_of(read([question], pictures, readers), facts, kg, readers)[0]
    said = answers_of(model, [case])[0]
    found = "".join(f"\n  {entity} ({value:.1f})" for entity, value in case.candidates[:3])
    seen = f"\n  The picture looks like:{found}" if found else ""
    paths = [_path_words(kg, path) for path in said.evidence]
    return f"  {said.value} ({100 * (said.score or 0):.0f} %){seen}" + "".join(f"\n  because {path}" for path in paths)


def _path_words(kg: KnowledgeGraph, edges: Sequence[int]) -> str:
    return "; ".join(f"{head} - {relation} - {tail}" for head, relation, tail in kg.path_triples(edges))


def _best_graph(found: Comparison) -> str:
    """The graph fusion that is best on validation."""
    valid = {run.method: run.valid[run.metric] for run in found.runs if run.method in OURS}
    return max(valid, key=lambda method: valid[method])


def _drawn(card: Card) -> str:
    """A card as lines of text."""
    verdict = f"right: {card.answer}" if card.right else f"wrong: {card.answer} (would be {', '.join(card.truth)})"
    lines = [f"\n{card.text}", f"  {verdict}"]
    for path in card.paths:
        steps = "".join(f" <-{r}- {end}" if against else f" -{r}-> {end}" for r, against, end in path.hops())
        lines.append(f"  evidence: {path.start}{steps}")
    return "\n".join(lines)


def _made(size: str, language: str, seeds: Sequence[int], evident: Sequence[float]) -> dict[str, str]:
    facts = machine()
    versions = ", ".join(f"{name} {facts[name]}" for name in ("graphfuse", "torch", "torch-geometric", "transformers"))
    wanted = sorted(set(seeds))
    options = ["--quick"] * (size == "quick") + [f"--language {language}"] * (language != "en")
    options += [f"--seeds {len(wanted)}"] * (len(wanted) > 1)
    return {
        "Command": " ".join(["graphfuse demo", *options]),
        "Seeds": ", ".join(map(str, wanted)),
        "Budget of every method": f"{EPOCHS[size]} epochs, {BUDGET['batch_size']} questions a step, width {DIM}, "
        f"dropout {DROPOUT}, learning rate {BUDGET['learning_rate']}; the epoch is chosen on validation",
        "Pictures": f"degradation level {LEVEL}",
        "Evidence": f"{100 * sum(evident) / len(evident):.1f} % of answers on unseen countries have a path that exists",
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
