"""What a search may choose: one value out of a list, or a number out of a range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from lutnet.errors import UserError

__all__ = ["Choice", "Dimension", "Range", "Value", "dimension_from", "is_range"]

Value: TypeAlias = "bool | int | float | str"

_RANGE_KEYS = frozenset({"low", "high", "step", "log"})


@dataclass(frozen=True)
class Choice:
    """One value out of a list.

    Attributes:
        values: At least one, none of them twice.
    """

    values: tuple[Value, ...]

    @property
    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        return CategoricalDistribution(self.values)

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values that stand for all: every one."""
        return self.values

    def __contains__(self, value: object) -> bool:
        return any(type(known) is type(value) and known == value for known in self.values)

    def __str__(self) -> str:
        return f"one of {', '.join(map(str, self.values))}"


@dataclass(frozen=True)
class Range:
    """A number from ``low`` to ``high``, both included; whole when both are.

    Attributes:
        low: Least value.
        high: Greatest value.
        step: Distance of the values; 1 for whole numbers, 0 for any real number.
        log: Whether equal ratios are equally likely, for positive ranges without a step.
    """

    low: int | float
    high: int | float
    step: int | float
    log: bool = False

    @property
    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        if isinstance(self.low, int):
            return IntDistribution(self.low, int(self.high), log=self.log, step=int(self.step))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step or None)

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values that stand for all: the least and the greatest."""
        return (self.low, self.high)

    def __contains__(self, value: object) -> bool:
        if type(value) is not type(self.low) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return math.isclose(steps, round(steps), abs_tol=1e-9)

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"


Dimension: TypeAlias = "Choice | Range"


def is_range(data: object) -> bool:
    """Whether a table of a space file says a range, and not a group of dimensions."""
    return isinstance(data, Mapping) and {"low", "high"} <= set(data)


def dimension_from(data: Any, where: str) -> Dimension:
    """A dimension from a space file.

    Args:
        data: A list of values, ``{low, high}`` with ``step`` or ``log``, or a single value.
        where: Place in the file, for messages.

    Raises:
        UserError: It is none of these, or empty.
    """
    if is_range(data):
        return _range_from(data, where)
    values = tuple(data) if isinstance(data, list) else (data,)
    if not values or not all(isinstance(value, (bool, int, float, str)) for value in values):
        raise UserError(f"{where} is a list of values or a range such as {{low = 1, high = 4}}, got {data!r}")
    if len({(type(value), value) for value in values}) != len(values):
        raise UserError(f"{where} has a value twice: {list(values)}; leave one out")
    return Choice(values)


def _range_from(data: Mapping[str, Any], where: str) -> Range:
    unknown = sorted(set(data) - _RANGE_KEYS)
    if unknown:
        raise UserError(f"{where}: a range has low, high, step and log, got '{unknown[0]}'")
    low, high, log = data["low"], data["high"], data.get("log", False)
    if any(type(value) not in (int, float) for value in (low, high)) or not isinstance(log, bool):
        raise UserError(f"{where}: low and high are numbers and log is true or false, got {dict(data)}")
    if isinstance(low, float) or isinstance(high, float):
        low, high = float(low), float(high)
    step = data.get("step", 1 if isinstance(low, int) else 0.0)
    if not math.isfinite(low) or not math.isfinite(high) or low > high or (log and low <= 0):
        raise UserError(f"{where}: low is at most high, and positive with log, got {low} to {high}")
    if type(step) not in (int, float) or step < 0 or (isinstance(low, int) and (type(step) is not int or step < 1)):
        raise UserError(f"{where}: step is a positive number, whole for whole ends, got {step!r}")
    if log and step not in (0.0, 1):
        raise UserError(f"{where}: log and step exclude each other; leave one out")
    if isinstance(low, int):
        high = low + (high - low) // step * step
    return Range(low, high, step, log)
