"""``graphfuse report``: a page from a folder of saved results."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="A folder that holds comparison.json, such as that of a demo.")],
) -> None:
    """Draw report.html again from the saved results of a comparison."""
    from graphfuse.report import write_report

    print(write_report(folder))
