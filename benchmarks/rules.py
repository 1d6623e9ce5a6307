"""Rules: that answers are exact, how long they take, and what they add to networks, beside peers in the same run.

The public sets are not part of the repository, see ``benchmarks.rules_data``; the peers are the extra ``peers``, and a
row says where one lacks or refuses. What is exact is drawn by the first seed, times by the first three, in a process of
their own, with memory as the system gives it, and once more with freed memory kept as our command does.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import rules_cite, rules_exact, rules_hmc, rules_learn
from benchmarks.apart import fresh
from benchmarks.rows import read, row, write
from benchmarks.rules_data import rule_folder
from benchmarks.rules_peers import known
from benchmarks.rules_rows import Found, part_of
from benchmarks.run import RULES

DRAWS = 3
Rows = list[dict[str, Any]]


def run(name: str, out: Path, seeds: Iterable[int], quick: bool, command: str, jobs: int = 1,
        parts: Sequence[str] = RULES) -> Rows:  # fmt: skip
    """The rows of all parts; those of a part that is not asked for stay as they were."""
    rule_folder()  # says at once where it is not there
    versions, made = known(), Rows()
    for part in (each for each in RULES if each in parts):
        for found in _measures(part, list(seeds), quick, jobs):
            each: dict[str, Any] = row(task=name, command=command, **{**found, "method": f"{part}: {found['method']}"})
            made.append({**each, "versions": each["versions"] | versions})
            write(name, made, out)  # as it goes: the whole of it takes long
            print(f"{each['method']}; {each['metric']}: {each['mean']:g}", file=sys.stderr, flush=True)
    stay = [] if quick else [each for each in read(name) if part_of(each) not in parts]
    return sorted(made + stay, key=lambda each: RULES.index(part_of(each)))


def _measures(part: str, seeds: list[int], quick: bool, jobs: int) -> Iterator[Found]:
    if part == "speed":
        asked = {"seeds": seeds[:DRAWS], "quick": quick}
        yield from fresh("benchmarks.rules_worker", asked)
        for found in fresh("benchmarks.rules_worker", asked, kept=True) if not quick else ():
            yield {**found, "method": f"{found['method']}, freed memory kept"}
    elif part == "exact":
        yield from rules_exact.measures(seeds[0], quick)
    elif part == "learn":
        yield from rules_learn.measures(seeds, quick, jobs)
    elif part == "relations":
        yield from rules_cite.measures(seeds, quick, jobs)
    else:
        yield from rules_hmc.measures(seeds, quick, jobs)
