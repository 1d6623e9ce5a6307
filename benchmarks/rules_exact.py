"""Whether answers are what they claim: none breaks a hard rule, none is less probable than the best, sums are right."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

import graphfuse as gf
from benchmarks.rules_data import said
from benchmarks.rules_peers import ORDERS, AbsentError, CpSat, shield
from benchmarks.rules_rows import OURS, Found, found
from benchmarks.rules_sets import Subject, generated, public, worlds
from graphfuse.core.errors import InputError

ROWS, SETS, MOST = 256, 200, 14
SOLVED = {"ccn emotions", "ccn yeast", "ccn medical", "ccn genbase", "ccn enron", "ccn cal500", "ccn arts",
          "roadr constraints", "roadr requirements", "sushi", "hmc enron_corr"}  # fmt: skip
"""What CP-SAT answers too, and how many rows of each."""
LARGE = 1000
"""Labels from which on an eighth of the rows are answered: one by one, by a minimum cut each."""
FEW = ("ccn yeast", "ccn arts", "roadr constraints", "sushi", "grid")
"""What a quick run looks at."""
EACH, SCALE = 100, 2**20


def measures(seed: int, quick: bool) -> Iterator[Found]:
    """All measures of this module, drawn by one seed."""
    yield from violations(seed, 16 if quick else ROWS, 4 if quick else SETS, quick)
    yield from optima(seed, 4 if quick else EACH, quick)
    yield from enumerated(seed, 4 if quick else SETS)


def logits_of(rules: gf.RuleSet, rows: int, seed: int) -> dict[str, Tensor]:
    """Logits that try answers, ``float64 [rows, L]`` of each kind.

    ``against`` wants of every label the contrary of an allowed answer; ``known`` gives about half of such an answer as
    evidence, and wants the contrary of the rest.
    """
    g = torch.Generator().manual_seed(seed)
    usual = torch.randn(rows, len(rules.labels), generator=g, dtype=torch.float64)
    allowed = 2.0 * rules.answer(torch.randn(usual.shape, generator=g)) - 1
    told = torch.rand(usual.shape, generator=g) < 0.5
    scale = 10 ** (60 * torch.rand(usual.shape, generator=g, dtype=torch.float64) - 30)
    return {
        "usual": usual, "huge": 1e20 * usual, "mixed": scale * usual, "tiny": 1e-30 * usual,
        "ties": usual.round(), "zeros": 0 * usual, "all true": usual.abs() + 9, "all false": -usual.abs() - 9,
        "against": -50 * allowed + usual, "known": (-50 * allowed + usual).where(~told, torch.inf * allowed),
    }  # fmt: skip


def violations(seed: int, rows: int, sets: int, quick: bool) -> Iterator[Found]:
    """Of each public set, and of all made ones together, the answers that break a rule: ours, and PiShield's."""
    for subject in public():
        if not quick or subject.name in FEW:
            yield from _broken(subject.name, [subject], rows, seed)
    for what, clauses in (("expressions", False), ("clauses", True)):
        yield from _broken(f"{sets} generated sets of {what}", generated(seed, sets, MOST, clauses), 16, seed)


def _broken(name: str, subjects: list[Subject], rows: int, seed: int) -> Iterator[Found]:
    method, start = f"violations, {name}", time.perf_counter()
    answered = broken = 0
    theirs: dict[str, list[int]] = {order: [] for order in ORDERS}
    refused = dict[str, int]()
    for subject in subjects:
        try:
            rules = subject.make()
        except InputError as error:
            yield found(method, OURS, f"rows without an answer ({said(error)})", rows)
            return
        many = rows if len(rules.labels) < LARGE else max(1, rows // 8)
        logits = logits_of(rules, many, seed)
        for each in logits.values():
            for typed in (each, each.float()):
                good = subject.holds(rules.answer(typed).numpy())
                answered, broken = answered + len(good), broken + int((~good).sum())
        for order in ORDERS if subject.clauses is not None else ():
            try:
                given = shield(subject.clauses or (), len(rules.labels), order)(logits["usual"].float().sigmoid()) > 0.5
                theirs[order] += (~subject.holds(given.numpy())).tolist()
            except AbsentError as error:
                refused[str(error)] = refused.get(str(error), 0) + many
    more = {"seconds": round(time.perf_counter() - start, 1)}
    yield found(method, OURS, "rows", answered, **more)
    yield found(method, OURS, "share of rows broken", broken / answered, **more)
    for order, own in theirs.items():
        if own:
            yield found(method, f"PiShield ({order})", "share of rows broken", sum(own) / len(own), **more)
    for reason, count in refused.items():
        yield found(method, "PiShield", f"rows without an answer ({reason})", count, **more)


def optima(seed: int, rows: int, quick: bool) -> Iterator[Found]:
    """Answers against CP-SAT's proved optimum, by what both are worth: logits are multiples of 2**-20, sums exact."""
    total, equal, start, names = 0, 0, time.perf_counter(), list[str]()
    for subject in public():
        if subject.name not in SOLVED or subject.clauses is None or (quick and subject.name not in FEW):
            continue
        rules = subject.make()
        g = torch.Generator().manual_seed(seed)
        whole = (SCALE * 2 * torch.randn(rows, len(rules.labels), generator=g, dtype=torch.float64)).round()
        ours = (rules.answer(whole / SCALE) * whole).sum(1).tolist()
        try:
            solver = CpSat(subject.clauses, len(rules.labels))
        except AbsentError as error:
            yield found("MAP", "CP-SAT", f"rows without an answer ({error})", rows)
            return
        best = [float((solver.best(row) * row).sum()) for row in whole.numpy()]
        total, equal = total + rows, equal + sum(a == b for a, b in zip(ours, best))
        names.append(subject.name)
    more = {"seconds": round(time.perf_counter() - start, 1)}
    yield found("MAP", OURS, "sets", len(names), **more)
    yield found("MAP", OURS, "rows", total, **more)
    yield found("MAP", OURS, "share equal to CP-SAT's optimum", equal / total, **more)


def enumerated(seed: int, sets: int) -> Iterator[Found]:
    """The largest difference from enumeration: of ``log Z`` beside 1 or its size, and of marginals."""
    worst = {(what, kind): 0.0 for what in ("log Z", "marginals") for kind in ("float32", "float64")}
    start, half = time.perf_counter(), sets // 2
    for subject in (*generated(seed, half, MOST, False), *generated(seed, sets - half, MOST, True)):
        rules = subject.make()
        every = worlds(len(rules.labels))
        rows = torch.from_numpy(every[subject.holds(every)]).double()  # [W, L]
        drawn = logits_of(rules, 2, seed)
        for kind, typed in (("float32", torch.float32), ("float64", torch.float64)):
            logits = torch.cat([drawn[k] for k in ("usual", "tiny", "ties", "zeros", "all true", "against")]).to(typed)
            logits = torch.cat([logits, 30 * logits[:2]])
            x = logits.double()
            weight = x @ rows.t() + torch.nn.functional.logsigmoid(-x).sum(1, keepdim=True)  # [B, W]
            total = weight.logsumexp(1)
            marginals = (weight - total[:, None]).exp() @ rows
            off = ((rules.log_partition(logits) - total).abs() / total.abs().clamp(min=1)).max()
            worst["log Z", kind] = max(worst["log Z", kind], float(off))
            apart = float((rules.marginals(logits) - marginals).abs().max())
            worst["marginals", kind] = max(worst["marginals", kind], apart)
    more = {"seconds": round(time.perf_counter() - start, 1)}
    yield found("enumeration", OURS, "rule sets", sets, **more)
    for (what, kind), value in worst.items():
        yield found("enumeration", OURS, f"largest difference of {what} in {kind}", value, **more)
