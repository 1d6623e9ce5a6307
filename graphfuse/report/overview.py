"""The main chart as a PNG, for a README."""

import io
from pathlib import Path

from graphfuse.core.files import write_bytes
from graphfuse.report.figures import Bars
from graphfuse.report.numbers import Row
from graphfuse.report.page import read
from graphfuse.report.unit import NOTHING, Unit

# Okabe and Ito's colours, told apart by colour-blind readers; the page has the same ones.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
HATCHES = ("", "///", "...", "---", "xxx", "|||", "\\\\\\")
FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "WenQuanYi Micro Hei", "PingFang SC",
         "Microsoft YaHei")  # fmt: skip
LONGEST = 34  # characters of a method's name


def overview_picture(folder: str | Path, path: str | Path) -> Path:
    """Draws the methods of a folder's comparison, by group, with error bars; the chosen one has a star.

    Raises:
        InputError: A file is missing or damaged, or ``path`` cannot be written.
    """
    from matplotlib.figure import Figure

    numbers, _ = read(folder)
    bars, path = Bars.of(numbers), Path(path)
    heights = _heights(bars)
    figure = Figure(figsize=(8.0, 1.1 + 0.34 * (len(heights) + 0.6 * len(bars.groups))), dpi=150, layout="constrained")
    axes, fonts = figure.add_subplot(), _fonts()
    for i, (group, rows) in enumerate(bars.groups.items()):
        colour, hatch = COLOURS[i % len(COLOURS)], HATCHES[i % len(HATCHES)]
        for row in rows:
            axes.barh(heights[row.method], row.value.mean, 0.72, color=colour, hatch=hatch, edgecolor="#1b1f24",
                      linewidth=1.8 if row.chosen else 0.6, xerr=row.value.error, capsize=3,
                      error_kw={"elinewidth": 1.2})  # fmt: skip
        if group:
            axes.text(0, heights[rows[0].method] - 0.78, group, transform=axes.get_yaxis_transform(), weight="bold",
                      fontsize=9, va="center", parse_math=False, family=fonts)  # fmt: skip
    for row in numbers.rows:
        end = max(row.value.mean + row.value.error, 0.0)
        text = numbers.unit.spread(row.value)
        axes.annotate(text, (end if text != NOTHING else 0.0, heights[row.method]), (6, 0), fontsize=9, va="center",
                      textcoords="offset points", weight="bold" if row.chosen else "normal")  # fmt: skip
    axes.set_yticks([heights[row.method] for row in numbers.rows], [_name(row) for row in numbers.rows],
                    parse_math=False, family=fonts)  # fmt: skip
    axes.set_xticks(bars.axis.ticks, bars.axis.labels)
    span = bars.axis.ticks[-1] - bars.axis.ticks[0]
    axes.set_xlim(bars.axis.ticks[0], bars.axis.ticks[-1] + 0.2 * span)
    axes.set_ylim(max(heights.values()) + 0.6, -1.2 if any(bars.groups) else -0.6)
    axes.set_xlabel(_caption(numbers.unit), parse_math=False, family=fonts)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#d8dee4", linewidth=0.6)
    axes.set_axisbelow(True)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    write_bytes(path, drawn.getvalue())
    return path


def _heights(bars: Bars) -> dict[str, float]:
    """Where each method stands; a group with a heading starts one line lower."""
    heights, here = {}, 0.0
    for i, (group, rows) in enumerate(bars.groups.items()):
        here += 1.1 if group and i else 0.0
        for row in rows:
            heights[row.method] = here
            here += 1
    return heights


def _name(row: Row) -> str:
    name = row.method if len(row.method) <= LONGEST else f"{row.method[:18]}…{row.method[18 - LONGEST + 1 :]}"
    return ("★ " if row.chosen else "") + name


def _caption(unit: Unit) -> str:
    return f"test {unit.label}; ★ chosen on the validation split"


def _fonts() -> list[str]:
    from matplotlib import font_manager

    known = set(font_manager.get_font_names())
    return [name for name in FONTS if name in known]
