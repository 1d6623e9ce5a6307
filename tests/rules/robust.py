"""What must be true of any text and any bytes that are given as rules; the tests and the fuzz target share it."""

import random
import re
import tempfile
import warnings
from pathlib import Path

import made
import torch

import graphfuse as gf
from graphfuse.rules import Label, RuleSet
from graphfuse.rules.diagram import Budget
from graphfuse.rules.language import parse

PIECES = (
    "hard ", "soft ", "soft 2.5 ", "soft learn ", "soft 1e999 ", "r: ", "q: ", "a", "b", " 发烧 ", '"two words"', " & ",
    " | ", "~", " -> ", " <-> ", "(", ")", ", ", "at_most(1, ", "at_least(2, ", "exactly_one(", "\n", "\r\n", "\r", '"',
    "\\", "#", "1.5", "007", "é", "\x00", "\t", "\ufeff", "\u2028", "\ud800", ":", ".", "forall x. ", "exists y, z. ",
    "[t in g]", "cites(x, y)", "t(x)", " >= 39", " != ", "<", "-", "٣", "²",
)  # fmt: skip
LABELS = ("a", "b", "c", "发烧", "two words")
PLACE = re.compile(r"Line (\d+), column (\d+): .")


def is_read_or_refused(text: str) -> None:
    """A text is a list of rules that read back, or is refused with a place that is in it."""
    try:
        rules, refused = parse(text), ""
    except gf.InputError as error:
        rules, refused = [], str(error)
    if refused:
        said = PLACE.match(refused)
        assert said, f"no place in {refused}"
        lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert 1 <= int(said[2]) <= len(lines[int(said[1]) - 1]) + 1
        assert len(refused.encode()) < 5000, "an error is one sentence, and can be written down"
    once = parse("\n".join(map(str, rules)))
    assert [(r.name, r.says, r.hard, r.weight) for r in once] == [(r.name, r.says, r.hard, r.weight) for r in rules]


def is_answered_rightly(text: str) -> None:
    """Rules over a few labels that are read are answered as every assignment, one by one, says."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rules = RuleSet(LABELS, tuple(parse(text, LABELS)), budget=Budget(2_000, 5.0))
    except gf.InputError:
        return
    if not all(isinstance(atom, Label) and not atom.of for rule in rules.rules for atom in rule.says.atoms()):
        return  # of more than the labels of a row
    worlds, hard = made.worlds(len(LABELS)), [rule.says for rule in rules.rules if rule.hard]
    good = torch.tensor([all(made.holds(says, row, LABELS) for says in hard) for row in worlds.tolist()])
    row = torch.tensor([1.0, -0.5, 0.25, -2.0, 3.0], dtype=torch.double)
    answer, score = rules.answer(row[None])[0], worlds.double() @ row
    assert rules.allowed() == int(good.sum())
    assert torch.isclose(answer.double() @ row, score[good].max())
    assert rules.explain(row).answer == tuple(label for label, true in zip(LABELS, answer.tolist()) if true)


def check(data: bytes) -> None:
    """All that must be true of bytes as rules: as text, and as a file in every form."""
    text = data.decode("utf-8", "surrogateescape")
    is_read_or_refused(text)
    is_answered_rightly(text)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "rules"
        path.write_bytes(data)
        for form in ("text", "dimacs", "heads", "hierarchy"):
            try:
                RuleSet.read(path, LABELS, form)
            except gf.InputError:
                continue


def mutated(rng: random.Random) -> str:
    """A text that is nearly rules: printed ones, with pieces put in, left out or moved."""
    rules = [f"{rng.choice(PIECES[:4])}r{i}: {made.expression(rng, LABELS)}" for i in range(rng.randint(0, 3))]
    text = "\n".join(rules)
    for _ in range(rng.randint(0, 4)):
        at, end = sorted(rng.randint(0, len(text)) for _ in range(2))
        text = rng.choice([
            text[:at] + rng.choice(PIECES) + text[at:], text[:at] + text[min(end, at + 3) :],
            text[:at] + text[at:end] * 2 + text[end:], text[:at],
        ])  # fmt: skip
    return text
