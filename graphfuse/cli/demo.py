"""``graphfuse demo``: the main job on real data that comes with packages."""

from pathlib import Path
from typing import Annotated

import typer

from graphfuse.core.catalog import look_up

QUICK = "Fewer questions, nine of the twelve methods: about two minutes."
ASK = "Afterwards, answer your own questions, with a picture or without."
LANGUAGE = "Of questions and answers: en or zh."
SEEDS = "Draws of countries, questions, pictures and weights."
JOBS = "Methods at a time, each in a process of one thread; as many as there are cores if left out."
OUT = "Folder for models and results; runs/demo-SIZE-LANGUAGE if left out."


def demo(
    quick: Annotated[bool, typer.Option("--quick", help=QUICK)] = False,
    ask: Annotated[bool, typer.Option("--ask", help=ASK)] = False,
    language: Annotated[str, typer.Option(help=LANGUAGE)] = "en",
    seeds: Annotated[int, typer.Option(min=1, help=SEEDS)] = 1,
    jobs: Annotated[int | None, typer.Option(min=1, help=JOBS)] = None,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
) -> None:
    """Ask an atlas in words and pictures, and compare ways of fusing them.

    Questions name a country, show its flag or outline (badly photographed), or hint at it; answers lie one or two steps
    away in a knowledge graph. Twelve methods are compared under one budget, two of them under rules, and tested on
    countries that training never asked about. Ends with a table, three answers with their evidence, and report.html.
    Run again, it takes up what is finished.
    """
    language = look_up({"en": "en", "zh": "zh"}, language, "language of the demo")
    import torch

    from graphfuse.demo import show

    size = "quick" if quick else "full"
    folder = out if out is not None else Path("runs") / f"demo-{size}-{language}"
    show.demo(folder, size, language, range(seeds), jobs or torch.get_num_threads())
    if ask:
        show.ask(folder, size, language)
