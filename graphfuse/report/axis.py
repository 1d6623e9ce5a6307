"""A number axis with round ticks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """From ``ticks[0]`` to ``ticks[-1]``."""

    ticks: tuple[float, ...]

    @classmethod
    def over(cls, values: Iterable[float], zero: bool = False, most: float = math.inf) -> "Axis":
        """Round ticks around the finite ones of ``values``, and around zero if asked; none above ``most``."""
        finite = [value for value in values if math.isfinite(value)] + [0.0] * zero or [0.0]
        low, high = min(finite), min(max(finite), most)
        if low == high:
            low, high = (low, low + 1) if low >= 0 else (low - 1, low)
        step = _round_step((high - low) / 4)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        return cls(tuple(round(step * i, 12) for i in range(first, last + 1)))

    def at(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 100 at the high one; values outside are at the ends."""
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return round(100 * min(max(share, 0.0), 1.0), 2)

    @property
    def labels(self) -> tuple[str, ...]:
        """The ticks in words."""
        return tuple(f"{tick:,.10g}".replace("-", "\u2212") for tick in self.ticks)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough * (1 - 1e-9))
