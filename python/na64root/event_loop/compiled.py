"""The cut table booked in the compiled library: nodes with the methods of RDataFrame that the selection uses.

The same booking works on these nodes and on those of RDataFrame, which take text, by :func:`defined` and
:func:`filtered`. Whatever the library was not compiled for raises :class:`NotCompiledError`; then the
selection books strings, compiled just in time.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cling import literal, root
from .expressions import Call, Code, Expression
from .library import booking
from .words import for_rdataframe


class NotCompiledError(Exception):
    """The library does not know what is booked."""


class _Graph:
    """The library's graph on files; it runs once, when the first result is asked for."""

    def __init__(self, tree: str, files: Sequence[str], present: Collection[str]) -> None:
        library = booking()
        if library is None:
            raise NotCompiledError("no library")
        self.library, self.source, self.present = library, (tree, list(map(literal, files))), sorted(present)
        self.settings = library.Settings()
        self._opened: Any = None
        self.has_run = False

    @property
    def opened(self) -> Any:
        if self._opened is None:
            self._opened = self.library.open(*self.source, self.present, self.settings)
            if not self._opened:
                raise NotCompiledError("a branch of a type that the library has not")
            weakref.finalize(self, self.library.close, self._opened)
        return self._opened

    def run(self) -> None:
        if not self.has_run:
            self.library.run.__release_gil__ = True  # for whoever follows the loop
            self.library.run(self.opened)
            self.has_run = True


class Node:
    """A node of the graph, with the methods that an RDataFrame has."""

    def __init__(self, graph: _Graph, number: int = 0) -> None:
        self._graph, self._number = graph, number

    def __getattr__(self, name: str) -> Any:
        raise NotCompiledError(f"{name} of a node")

    def Define(self, name: str, expression: Expression | str) -> Node:
        """A column: of the cut table, if it is the one that the library has; of a node with cuts, any."""
        graph = self._graph
        if isinstance(expression, Code | str):
            raise NotCompiledError(f"column {name}")
        made = expression.function, expression.columns, expression.numbers
        if graph._opened is None and graph.library.define(graph.settings, name, *made):
            return self
        if not graph.library.compute(graph.opened, self._number, name, *made):
            raise NotCompiledError(f"column {name}")
        return self

    def Filter(self, condition: Expression | str, name: str = "") -> Node:
        """The events that pass a predicate of the library."""
        graph = self._graph
        if not isinstance(condition, Call):
            raise NotCompiledError(f"cut {name}")
        number = graph.library.filter(
            graph.opened, self._number, condition.function, condition.columns, condition.numbers
        )
        return Node(graph, _known(number, name))

    def without(self, others: Sequence[Node]) -> Node:
        """The events that are in none of other nodes."""
        graph = self._graph
        return Node(graph, graph.library.without(graph.opened, self._number, [n._number for n in others]))

    def tally(self, conditions: Sequence[Expression]) -> Tally:
        """Which of some predicates each event fails."""
        graph = self._graph
        number = graph.library.tally(graph.opened, self._number)
        for condition in conditions:
            if not isinstance(condition, Call):
                raise NotCompiledError("a cut")
            made = condition.function, condition.columns, condition.numbers
            _known(graph.library.fails(graph.opened, number, *made), condition.function)
        return Tally(graph, number)

    def vary(self, kind: str, size: float, seed: int, source: int, columns: Sequence[str]) -> Variation:
        """One direction of a systematic source: what it changes, as `systematics.hpp` does."""
        graph = self._graph
        number = graph.library.vary(graph.opened, kind, size, seed, source, list(columns))
        return Variation(graph, _known(number, f"{kind} of {', '.join(columns)}"))

    def record_spills(
        self, trigger: str, ecal: str, hcal: str, ecal_below: float, hcal_below: float, once: bool
    ) -> RecordedSpills:
        """Sums of each spill of the events, in one thread; of columns, "" for one that is not there."""
        graph = self._graph
        if not graph.library.record(
            graph.opened, self._number, trigger, ecal, hcal, ecal_below, hcal_below, once
        ):
            raise NotCompiledError("sums of spills")
        return RecordedSpills(graph)

    def Histo1D(self, model: Sequence[Any], x: str, weight: str) -> Result:
        """A histogram of a column with weights, as RDataFrame's."""
        graph = self._graph
        number = graph.library.histogram(graph.opened, self._number, x, weight, *model[2:])
        return Result(graph, "histogram1", _known(number, x))

    def Histo2D(self, model: Sequence[Any], x: str, y: str, weight: str) -> Result:
        """A histogram of two columns with weights, as RDataFrame's."""
        graph = self._graph
        number = graph.library.histogram(graph.opened, self._number, x, y, weight, *model[2:])
        return Result(graph, "histogram2", _known(number, f"{x}, {y}"))

    def leave_out(self, once: bool, spills: Collection[tuple[int, int]]) -> Excluded:
        """Read only events of other spills (run and spill), and where `once` each number once."""
        settings = self._graph.settings
        settings.once = once
        if spills:
            settings.spills = [number for spill in spills for number in spill]
        return Excluded(self._graph)

    def GetNRuns(self) -> int:
        """Event loops that have run."""
        return int(self._graph.library.loops(self._graph.opened))

    def events_done(self) -> int:
        """Events seen so far; may be asked from another thread while the loop runs."""
        return int(self._graph.library.events_done(self._graph.opened))

    def table(self, columns: Sequence[str]) -> Table:
        """The values of columns for each event of the node."""
        graph = self._graph
        number = graph.library.table(graph.opened, self._number, list(columns))
        return Table(graph, _known(number, ", ".join(columns)), len(columns))


class Tally:
    """The predicates that each event fails, a bit each in their order."""

    def __init__(self, graph: _Graph, number: int) -> None:
        self._graph, self._number = graph, number

    def passing(self, but: int) -> Node:
        """The events that fail none, but maybe those with their bit in `but`."""
        graph = self._graph
        return Node(graph, graph.library.passing(graph.opened, self._number, but))


class Variation:
    """One direction of a systematic source."""

    def __init__(self, graph: _Graph, number: int) -> None:
        self._graph, self._number = graph, number

    def of_node(self, node: Node) -> Node | None:
        """A node under the variation; None where that changes no cut before it."""
        graph = self._graph
        number = _known(graph.library.varied(graph.opened, self._number, node._number), "varied cuts")
        return None if number == node._number else Node(graph, number)

    def of_histogram(self, nominal: Result) -> Result | None:
        """A histogram under the variation; None where that changes nothing of it."""
        graph = self._graph
        number = _known(
            graph.library.varied_histogram(graph.opened, self._number, nominal._number), "a varied histogram"
        )
        return None if number == nominal._number else Result(graph, nominal._kind, number)


class RecordedSpills:
    """What a SpillRecorder found, filled when it is asked for."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph

    def GetValue(self) -> Any:
        """The `address` of `size` records of `SpillRecorder::Spill`; `duplicates` and the like."""
        self._graph.run()
        return self._graph.library.recorded(self._graph.opened)


class Excluded:
    """What was left out, after the loop: the counts of `EventFilter`, by the same methods."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph

    def _counts(self) -> Any:
        return self._graph.library.excluded(self._graph.opened)

    def duplicates(self) -> int:
        """Events whose run, spill and number came before."""
        return int(self._counts().duplicates)

    def events_in_spills(self) -> int:
        """Events in spills that are left out."""
        return int(self._counts().events_in_spills)

    def weights_in_spills(self) -> float:
        """The sum of their weights."""
        return float(self._counts().weights_in_spills)

    def squares_in_spills(self) -> float:
        """The sum of their squared weights."""
        return float(self._counts().squares_in_spills)


class Result:
    """A histogram, filled when it is asked for."""

    def __init__(self, graph: _Graph, kind: str, number: int) -> None:
        self._graph, self._kind, self._number = graph, kind, number

    def GetValue(self) -> Any:
        """The histogram, after the event loop."""
        self._graph.run()
        return getattr(self._graph.library, self._kind)(self._graph.opened, self._number)


class Table:
    """Rows of numbers, filled when they are asked for."""

    def __init__(self, graph: _Graph, number: int, width: int) -> None:
        self._graph, self._number, self._width = graph, number, width

    def GetValue(self) -> NDArray[np.float64]:
        """Of shape (events, columns)."""
        self._graph.run()
        values = self._graph.library.rows(self._graph.opened, self._number)
        return np.array(values, dtype=np.float64).reshape(-1, self._width)


def frame(tree: str, files: Sequence[str], present: Collection[str]) -> Node:
    """All events of a tree in files that hold the branches `present`.

    Raises:
        NotCompiledError: there is no library.
    """
    return Node(_Graph(tree, files, present))


def define(node: Any, name: str, expression: Any) -> Any:
    """A node with a column of ours, also where the files have one of that name, which it then hides."""
    if isinstance(node, Node):
        return node.Define(name, expression)
    expression = for_rdataframe(node, expression)
    known = [str(column) for column in node.GetColumnNames()]
    if name not in known and any(column.endswith(f".{name}") for column in known):
        # A branch of a friend tree goes by its name without the alias too, a leaf not without its branch.
        with contextlib.suppress(root().std.exception):
            return node.Redefine(name, expression)
    return node.Redefine(name, expression) if name in known else node.Define(name, expression)


def defined(node: Any, columns: Mapping[str, Expression]) -> Any:
    """A node, of the library or of RDataFrame, with these columns more; each may read those before it."""
    for name, expression in columns.items():
        node = define(node, name, _for(node, expression))
    return node


def as_number(node: Any, name: str, expression: Expression) -> Any:
    """A node, of the library or of RDataFrame, with one column more, of type double."""
    text = f"static_cast<double>({expression.expression})"
    return define(node, name, expression if isinstance(node, Node) else text)


def filtered(node: Any, condition: Expression, name: str) -> Any:
    """The node, of the library or of RDataFrame, after a cut."""
    if isinstance(node, Node):
        return node.Filter(condition, name)
    return node.Filter(for_rdataframe(node, condition.expression), name)


def _for(node: Any, expression: Expression) -> Any:
    return expression if isinstance(node, Node) else expression.expression


def _known(number: int, what: str) -> int:
    if number < 0:
        raise NotCompiledError(what)
    return int(number)
