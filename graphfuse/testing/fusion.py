"""Whether a fusion keeps what all fusions promise."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from torch import nn

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.seed import seeded
from graphfuse.model import find_fusion
from graphfuse.testing import cases
from graphfuse.testing.checks import CHECKS
from graphfuse.testing.report import Finding, Report
from graphfuse.testing.subject import Fault, Subject

PACKAGE = Path(__file__).resolve().parent.parent


def check_fusion(fusion: str | Callable[..., nn.Module], *, only: Iterable[str] = (), skip: Iterable[str] = (),
                 dim: int = 8, **options: Any) -> Report:  # fmt: skip
    """Runs the checks of ``CHECKS`` on a fusion, over made-up samples, the same at every call.

    Args:
        fusion: A name in ``gf.FUSIONS``; or your own: a fusion, called ``(dim, schema, layers=.., **options)``, which
            gives ``FusionGraph -> Fused``, or a layer, called ``(dim, schema, **options)``, which gives ``FusionGraph
            -> FusionGraph`` and is stacked.
        only: Names of the checks to run, all if left out.
        skip: Names of those not to run, where your fusion promises less.
        dim: The width that it is made with.
        options: Its further options.

    Returns:
        The findings: ``print(report)`` shows a table, ``report.ok`` says whether all is well, and
        ``report.raise_if_failed()`` is for a test.

    Raises:
        InputError: There is no such fusion or check, or what was given is no fusion: it does not give ``Fused``.
    """
    only, skip = tuple(only), tuple(skip)
    for name in (*only, *skip):
        look_up(CHECKS, name, "check")
    chosen = [name for name in CHECKS if (not only or name in only) and name not in skip]
    subject = Subject(fusion, dim, options)
    with seeded(0):
        _must_fuse(subject)
        findings = tuple(_finding(name, subject) for name in chosen)
    return Report(_called(fusion, options), findings, tuple(name for name in CHECKS if name in skip))


def _must_fuse(subject: Subject) -> None:
    """Raises ``InputError`` where what is checked is no fusion; a fusion that breaks is for the checks to say."""
    make, plan = find_fusion(subject.fusion), cases.schema()
    try:
        result = subject.fused(subject.module(plan), cases.samples(2), plan)
    except Exception:
        return
    if not isinstance(result, Fused):
        raise InputError(f"{_called(make, {})} gives a {type(result).__name__}, expected Fused; a layer that takes "
                         "**options is stacked by hand: partial(gf.Stack, YourLayer).")  # fmt: skip


def _finding(name: str, subject: Subject) -> Finding:
    claim = (CHECKS[name].__doc__ or "").strip()
    try:
        return Finding(name, claim, True, CHECKS[name](subject))
    except Fault as fault:
        return Finding(name, claim, False, str(fault))
    except Exception as error:  # a user's fusion may raise anything
        first = next(iter(str(error).splitlines()), "")
        return Finding(name, claim, False, f"{type(error).__name__}{_place(error)}: {first}")


def _place(error: Exception) -> str:
    """The last line of the user's own code that an error came through."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__)
           if PACKAGE not in Path(frame.filename).parents and "site-packages" not in frame.filename]  # fmt: skip
    return f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""


def _called(fusion: Any, options: dict[str, Any]) -> str:
    made = getattr(fusion, "args", ())  # of a partial: the layer that is stacked
    name = fusion if isinstance(fusion, str) else getattr(made[0] if made else fusion, "__name__", repr(fusion))
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in options.items())})" if options else str(name)
