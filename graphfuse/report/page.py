"""The page: read from the folder of a comparison, drawn, written whole or not at all."""

import base64
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from graphfuse.core.errors import InputError
from graphfuse.core.files import write_text
from graphfuse.report.figures import SHOWN, Bars, Costs, Curves, Slices
from graphfuse.report.finding import finding, rivals
from graphfuse.report.numbers import Numbers, p_text
from graphfuse.report.outcome_figures import Outcomes
from graphfuse.report.story import FILE, Picture, Story
from graphfuse.training.comparison import FILE as ROWS
from graphfuse.training.comparison import Comparison

PAGE = "report.html"


def write_report(folder: str | Path) -> Path:
    """Draws ``report.html`` from ``comparison.json`` and, where there are any, the other files of the folder.

    These are ``report.json`` (a story), ``answers.jsonl``, ``missing.jsonl``, ``metrics.jsonl`` and ``rules.jsonl``
    (:mod:`.rows`).

    Raises:
        InputError: A file is missing or damaged, or names what the comparison does not have; the page that stood there
            is kept.
    """
    numbers, story = read(folder)
    outcomes = Outcomes.open(folder, numbers)
    path = Path(folder) / PAGE
    try:
        page = render(numbers, story, outcomes)
    except InputError as error:
        raise InputError(f"{Path(folder) / FILE}: {error}") from None
    write_text(path, page)
    return path


def read(folder: str | Path) -> tuple[Numbers, Story]:
    """The numbers of a folder and its story, an empty one if there is none."""
    folder = Path(folder)
    comparison = Comparison.open(folder)
    story = Story.open(folder) if (folder / FILE).exists() else Story()
    try:
        return Numbers(comparison, dict(story.groups)), story
    except InputError as error:
        raise InputError(f"{folder / ROWS}: {error}") from None


def render(numbers: Numbers, story: Story, outcomes: Outcomes) -> str:
    """The page as HTML; every text that came from outside is escaped, and there are no scripts."""
    against = rivals(numbers, story)
    drawn = [numbers.chosen, *dict.fromkeys(rival.row.method for rival in against)][:SHOWN]
    slices = [Slices.of(numbers, name, each, drawn) for name, each in story.slices.items()]
    env = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
                      trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    env.filters |= {"data_uri": data_uri, "p": p_text}
    return env.get_template("page.html.j2").render(
        numbers=numbers,
        unit=numbers.unit,
        story=story,
        title=story.title or f"{len(numbers.rows)} {'method' if len(numbers.rows) == 1 else 'methods'} compared",
        chosen=numbers.by_method[numbers.chosen],
        finding=finding(numbers, story),
        counts=counts(numbers),
        bars=Bars.of(numbers),
        group_ids={group: i for i, group in enumerate(numbers.groups)},
        slices=[each for each in slices if each.values],
        curves=Curves.of(numbers),
        costs=Costs.of(numbers, story.hidden),
        outcomes=outcomes,
        kind_ids={kind: i for i, kind in enumerate(dict.fromkeys(x.kind for c in story.cards for x in c.looked))},
        made=made(numbers, story.made),
    )


def counts(numbers: Numbers) -> str:
    """How many methods, seeds and test samples, in words."""
    runs, total = numbers.comparison.runs, len(numbers.names)
    largest = max(len(run.scores) for run in runs)
    drawn = "" if total == largest else f" (up to {largest:,} with one seed)"
    return (f"{_many(len(numbers.rows), 'method')}, {_many(len(numbers.seeds), 'seed')}, "
            f"{_many(total, 'test sample')}{drawn}.")  # fmt: skip


def made(numbers: Numbers, told: Mapping[str, str]) -> dict[str, str]:
    """How it was made: as told, then what the runs say."""
    runs = numbers.comparison.runs
    known = {
        "Methods": str(len(numbers.rows)),
        "Seeds": ", ".join(map(str, numbers.seeds)),
        "Test samples": f"{len(numbers.names):,}",
        "Runs": f"{len(runs)}, {sum(run.seconds for run in runs):,.0f} seconds of training in all",
        "Chosen by": f"mean validation {numbers.comparison.decides[0]} over seeds; the test split has no say",
    }
    lower = {key.casefold() for key in told}
    return {**told, **{key: value for key, value in known.items() if key.casefold() not in lower}}


def data_uri(picture: Picture) -> str:
    """The picture within the page."""
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'s' * (count != 1)}"
