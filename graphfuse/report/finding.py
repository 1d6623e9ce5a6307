"""The key finding in words, computed from the numbers."""

from dataclasses import dataclass

from graphfuse.core.catalog import look_up
from graphfuse.report.numbers import Numbers, Row, p_text
from graphfuse.report.story import Story


@dataclass(frozen=True)
class Rival:
    """A method that the chosen one is held against, and the group that it is the best of, if so."""

    row: Row
    group: str | None


def rivals(numbers: Numbers, story: Story) -> list[Rival]:
    """Those the story names; else the best of each other group; without groups, the best other method."""
    others = [row for row in numbers.rows if not row.chosen]
    best = {group: next((row for row in rows if not row.chosen), None) for group, rows in numbers.groups.items()}
    if story.against:
        known = {**best, **numbers.by_method}
        found = [
            (look_up(known, name, "method or group"), None if name in numbers.by_method else name)
            for name in story.against
        ]
    elif len(best) > 1:
        own = numbers.by_method[numbers.chosen].group
        found = [(row, group) for group, row in best.items() if group != own]
    else:
        found = [(row, None) for row in others[:1]]
    return [Rival(row, group) for row, group in found if row is not None and not row.chosen]


def finding(numbers: Numbers, story: Story) -> list[str]:
    """Sentences: the chosen method, its margin over each rival, and what the test would have preferred."""
    unit, row = numbers.unit, numbers.by_method[numbers.chosen]
    over = f"mean and standard deviation over {row.seeds} seeds" if row.seeds > 1 else "one seed, ± standard error"
    only = len(numbers.rows) == 1
    metric, decides = (name.replace("_", " ") for name in (unit.metric, numbers.comparison.decides[0]))
    by = "" if decides == metric else f" by its {decides}"
    how = "the only method compared, reaches" if only else f"the method chosen on the validation split{by}, reaches"
    said = [f"{row.method}, {how} a test {metric} of {unit.spread(row.value)}{unit.sign} ({over})."]
    said += [_margin(numbers, rival) for rival in rivals(numbers, story)]
    top = numbers.rows[0]
    if numbers.rank(top.value.mean) < numbers.rank(row.value.mean):
        said.append(f"On the test split {top.method} has the better mean ({unit.spread(top.value)}{unit.sign}); "
                    "the choice was made without looking at it.")  # fmt: skip
    return said


def _margin(numbers: Numbers, rival: Rival) -> str:
    unit, other = numbers.unit, rival.row
    gap = other.difference if unit.lower else -other.difference  # above zero: the chosen method is better
    points = " points" if unit.percent else ""
    size = unit.number(abs(gap))
    margin = "As good as" if gap == 0 else f"{'Better' if gap > 0 else 'Worse'} by {size}{points} than"
    of = f", the best of “{rival.group}”" if rival.group else ""
    return f"{margin} {other.method}{of} ({unit.spread(other.value)}{unit.sign}; {p_text(other.p)})."
