"""Markdown and YAML around texts that come from users: nothing in them is markup, and none of them ends early."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from graphfuse.report.unit import NOTHING

MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!&$@])")
UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
LONE = re.compile("[\ud800-\udfff]")  # halves of a pair, which UTF-8 cannot hold


def text(value: Any) -> str:
    """What shows ``value`` as it is, within a line or table cell; not at the start of a line."""
    return MARKUP.sub(r"\\\1", " ".join(LONE.sub("\ufffd", str(value)).split())) or NOTHING


def number(value: Any) -> str:
    """Four significant digits or so, without an exponent; thousands apart."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return text(value)
    if not math.isfinite(value):
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{Decimal(f'{value:.4g}'):,f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def code(lines: str, language: str = "") -> str:
    """A block of code, fenced by more backticks than there are within."""
    lines = LONE.sub("\ufffd", lines)
    longest = max(map(len, re.findall("`+", lines)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{lines.rstrip()}\n{fence}"


def yaml(value: Any, indent: int = 0) -> str:
    """Plain mappings, lists, texts and numbers as YAML; a text is written as in JSON, which is YAML."""
    pad = "  " * indent
    if isinstance(value, dict):
        return "".join(f"{pad}{key}:{_below(each, indent)}" for key, each in value.items())
    if isinstance(value, list):
        return "".join(f"{pad}- {yaml(each, indent + 1).lstrip()}" if isinstance(each, dict)
                       else f"{pad}-{_below(each, indent)}" for each in value)  # fmt: skip
    return f"{pad}{_scalar(value)}\n"


def _below(value: Any, indent: int) -> str:
    return "\n" + yaml(value, indent + 1) if isinstance(value, dict | list) else f" {_scalar(value)}\n"


def _scalar(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{Decimal(f'{value:.6g}'):f}"  # an exponent without a point would be read as a text
    if isinstance(value, bool | int):
        return json.dumps(value)
    quoted = json.dumps(LONE.sub("\ufffd", str(value)), ensure_ascii=False)
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
