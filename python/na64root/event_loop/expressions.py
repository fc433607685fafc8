"""What an event loop computes of an event: functions of the core with typed arguments.

The compiled library takes their names and numbers as they are; only for Cling they become text, and on arrays
of NumPy the core's bindings compute the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import na64root._core as _core


@dataclass(frozen=True)
class Number:
    """A number in each run period, or one for all; `whole`: an `int` in C++."""

    values: tuple[float, ...]
    whole: bool = False

    @property
    def expression(self) -> str:
        """A C++ expression of exactly this number in the event's run period."""
        if len(self.numbers) == 1:
            return f"{int(self.values[0])}" if self.whole else literal(self.values[0])
        *others, expression = map(literal, self.values)
        for i, value in reversed(list(enumerate(others))):
            expression = f"na64_period == {i} ? {value} : {expression}"
        return f"static_cast<int>(({expression}))" if self.whole else f"({expression})"

    @property
    def numbers(self) -> tuple[float, ...]:
        """One where it is the same in all run periods, or one for each."""
        return self.values[:1] if len(set(self.values)) == 1 else self.values

    def of_periods(self, period: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """The number of each event, from the index of its run period; of shape (events,) or one for all."""
        values = np.array(self.values, dtype=np.int32 if self.whole else np.float64)
        return np.asarray(values[0] if len(self.numbers) == 1 else values[period])


@dataclass(frozen=True)
class Rows:
    """A table of whole numbers: a `std::array` of `type`, each made of the numbers of a row."""

    type: str
    rows: tuple[tuple[int, ...], ...]

    @property
    def expression(self) -> str:
        """A C++ expression of the table."""
        rows = ", ".join(f"na64root::{self.type}{{{', '.join(f'{n}u' for n in row)}}}" for row in self.rows)
        return f"std::array<na64root::{self.type}, {len(self.rows)}>{{{rows}}}"

    @property
    def numbers(self) -> tuple[float, ...]:
        """Row by row."""
        return tuple(float(n) for row in self.rows for n in row)


@dataclass(frozen=True)
class Call:
    """A function of `selection.hpp`, of columns and then of numbers; `text`: what Cling is given instead."""

    function: str
    columns: tuple[str, ...] = ()
    parameters: tuple[Number | Rows, ...] = ()
    text: str = ""

    @property
    def expression(self) -> str:
        """The call in C++."""
        if self.text:
            return self.text
        arguments = [*self.columns, *(parameter.expression for parameter in self.parameters)]
        return f"na64root::{self.function}({', '.join(arguments)})"

    @property
    def numbers(self) -> tuple[float, ...]:
        """For the compiled library: of one call, or of one for each run period after another."""
        periods = max((len(p.numbers) for p in self.parameters if isinstance(p, Number)), default=1)
        return tuple(
            number
            for i in range(periods)
            for parameter in self.parameters
            for number in (
                parameter.numbers
                if isinstance(parameter, Rows) or len(parameter.numbers) == 1
                else parameter.numbers[i : i + 1]
            )
        )

    def of(self, columns: Mapping[str, NDArray[Any]], period: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """The function of arrays whose first axis counts the events.

        Args:
            columns: by the names of the columns.
            period: index of each event's run period, shape (events,).
        """
        numbers = [p.of_periods(period) for p in self.parameters if isinstance(p, Number)]
        function = getattr(_core, self.function)
        return np.asarray(function(*(columns[name] for name in self.columns), *numbers))


@dataclass(frozen=True)
class Column:
    """A column as it is."""

    name: str

    function = "sum"
    numbers = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Itself."""
        return (self.name,)

    @property
    def expression(self) -> str:
        """Its name, in C++ too."""
        return self.name


@dataclass(frozen=True)
class Sum:
    """Columns, or elements of arrays, added in double precision."""

    columns: tuple[str, ...]

    function = "sum"
    numbers = ()

    @property
    def expression(self) -> str:
        """The sum in C++."""
        first, *others = self.columns
        return " + ".join([f"static_cast<double>({first})", *others])


@dataclass(frozen=True)
class Constant:
    """The same number for each event."""

    value: float

    function = "constant"
    columns = ()

    @property
    def expression(self) -> str:
        """The number in C++, exactly."""
        return literal(self.value)

    @property
    def numbers(self) -> tuple[float, ...]:
        """For the compiled library."""
        return (self.value,)


@dataclass(frozen=True)
class Code:
    """C++ for Cling alone: of a declared cut, or what the compiled library does not have."""

    expression: str


Expression = Call | Column | Sum | Constant | Code


def literal(value: float) -> str:
    """A C++ literal of exactly this double."""
    return float(value).hex()
