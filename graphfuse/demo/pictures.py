"""Flags and outlines as pictures, and what a bad photograph makes of them.

A picture is an array of bytes [height, width, 3]. Flags are drawn from OpenMoji's SVG (CC BY-SA 4.0), outlines from
countryinfo's polygons (MIT). How bad: level 0 changes nothing, 1.0 is mild, 1.5 hard; the generator decides the rest.
"""

import io
from math import cos, radians, sin
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from graphfuse.core.errors import InputError
from graphfuse.demo.extra import require
from graphfuse.demo.facts import Polygon

Picture = NDArray[np.uint8]  # [height, width, 3]
Points = NDArray[np.float64]  # [n, 2], x to the right and y down

FLAG_SIZE = (128, 78)  # width and height, in the proportion of OpenMoji's flags
OUTLINE_SIZE = 128
PAPER, INK = 255, 60
ZOOM = 3  # drawn this much larger than needed, then reduced

# The most that level 1 does; other levels in proportion. The parts are of the width or height of the picture.
CUT, TURN, FADE = 0.38, 12.0, 0.4  # part of each side cut away, degrees, part of the colour lost
TINT, LIGHT = 0.15, 20.0  # spread of the gain of each colour (log) and of the brightness
BLUR, GRAIN = 3.5, 35.0  # radius in pixels, spread of the noise
SHIFT, WOBBLE, HIDDEN = 0.13, 0.01, 0.3  # of outlines: pushed out of the picture, corners moved, part covered


def draw_flag(svg: str) -> Picture:
    """The flag of an OpenMoji drawing on white, without the empty margin around it."""
    png = require("resvg_py").svg_to_bytes(svg_string=svg, zoom=ZOOM, skip_system_fonts=True)
    drawing = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    flag = drawing.crop(drawing.getchannel("A").getbbox())
    return np.array(_on_paper(flag).resize(FLAG_SIZE, Image.Resampling.BOX))


def degrade(flag: Picture, level: float, rng: np.random.Generator) -> Picture:
    """``flag`` as a bad photograph of it: a part, turned, in another light, blurred and noisy; of the same size."""
    size = flag.shape[1], flag.shape[0]
    kept = 1 - level * rng.uniform(0, CUT, 2)  # of the width, of the height
    middle = (0.5 + rng.uniform(-0.5, 0.5, 2) * (1 - kept)) * size
    to_flag = _turn(rng, level) * kept  # columns: one pixel right, one down
    start = middle - to_flag @ size / 2
    matrix = (*to_flag[0], start[0], *to_flag[1], start[1])
    wall = tuple(map(int, rng.integers(60, 220, 3)))
    photograph = Image.fromarray(flag).transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=wall
    )
    return _exposed(_relit(_blurred(photograph, level, rng), level, rng), level, rng)


def draw_outline(outline: tuple[Polygon, ...]) -> Picture:
    """The filled outline, north up, as large as the picture allows: its size tells nothing."""
    return np.array(_filled(_fitted(outline)).convert("RGB"))


def degrade_outline(outline: tuple[Polygon, ...], level: float, rng: np.random.Generator) -> Picture:
    """``outline`` drawn by an unsteady hand: turned, partly out of the picture or covered, wobbly, blurred, noisy."""
    turn, scale = _turn(rng, level), np.exp(level * rng.uniform(-SHIFT, SHIFT, 2))
    shift = level * rng.uniform(-SHIFT, SHIFT, 2)
    moved = [
        [(ring * scale) @ turn.T + shift + level * WOBBLE * rng.standard_normal(ring.shape) for ring in polygon]
        for polygon in _fitted(outline)
    ]
    sketch = np.array(_filled(moved))
    side = int(level * rng.uniform(0, HIDDEN) * OUTLINE_SIZE)
    left, top = rng.integers(0, OUTLINE_SIZE - side, 2)
    sketch[top : top + side, left : left + side] = PAPER
    photograph = _blurred(Image.fromarray(sketch).convert("RGB"), level, rng)
    return _exposed(np.asarray(photograph, np.float32), level, rng)


def read_picture(path: str | Path) -> Picture:
    """The picture in the file ``path``, upright, on white, its longer side as long as that of a flag.

    Raises:
        InputError: There is no such file, or Pillow opens no picture from it.
    """
    try:
        with Image.open(path) as file:
            picture = _on_paper(ImageOps.exif_transpose(file).convert("RGBA"))
            return np.array(ImageOps.contain(picture, (FLAG_SIZE[0], FLAG_SIZE[0]), Image.Resampling.BOX))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a picture that opens ({error}); a PNG or JPEG file would be right.") from error


def _on_paper(picture: Image.Image) -> Image.Image:
    paper = Image.new("RGBA", picture.size, (PAPER, PAPER, PAPER, 255))
    paper.alpha_composite(picture)
    return paper.convert("RGB")


def _fitted(outline: tuple[Polygon, ...]) -> list[list[Points]]:
    """The rings in true proportion around (0, 0), the longer side of all together 1.

    A country across the 180th meridian stays in one piece.
    """
    rings = [[np.array(ring) for ring in polygon] for polygon in outline]
    points = np.concatenate([ring for polygon in rings for ring in polygon])
    if np.ptp(points[:, 0]) > 180:
        rings = [[ring + (360, 0) * (ring[:, :1] < 0) for ring in polygon] for polygon in rings]
        points = np.concatenate([ring for polygon in rings for ring in polygon])
    low, high = points.min(0), points.max(0)
    middle = (low + high) / 2
    true = np.array([cos(radians(middle[1])), -1.0])
    longer = np.max((high - low) * np.abs(true))
    return [[(ring - middle) * true / longer for ring in polygon] for polygon in rings]


def _filled(rings: list[list[Points]]) -> Image.Image:
    side = OUTLINE_SIZE * ZOOM
    sketch = Image.new("L", (side, side), PAPER)
    pen = ImageDraw.Draw(sketch)
    for polygon in rings:
        for ring, colour in zip(polygon, [INK] + [PAPER] * (len(polygon) - 1), strict=True):
            pen.polygon((ring * 0.9 * side + side / 2).ravel().tolist(), fill=colour)
    return sketch.reduce(ZOOM)


def _turn(rng: np.random.Generator, level: float) -> NDArray[np.float64]:
    angle = radians(level * rng.uniform(-TURN, TURN))
    return np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])


def _blurred(picture: Image.Image, level: float, rng: np.random.Generator) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(level * rng.uniform(0, BLUR)))


def _relit(picture: Image.Image, level: float, rng: np.random.Generator) -> NDArray[np.float32]:
    pixels = np.asarray(picture, np.float32)
    grey = pixels.mean(2, keepdims=True)
    colour = np.float32(1 - level * rng.uniform(0, FADE))
    gain = np.exp(level * rng.normal(0, TINT, 3)).astype(np.float32)
    return (grey + (pixels - grey) * colour) * gain + np.float32(level * rng.normal(0, LIGHT))


def _exposed(pixels: NDArray[np.float32], level: float, rng: np.random.Generator) -> Picture:
    grain = rng.standard_normal((*pixels.shape[:2], 1), np.float32) * np.float32(level * rng.uniform(0, GRAIN))
    return np.clip(np.rint(pixels + grain), 0, 255).astype(np.uint8)
