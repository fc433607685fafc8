"""What runs the event loop: one thread, ROOT's threads, or a Dask cluster.

On one machine the compiled library serves what it knows, strings compiled just in time the rest. A
distributed frame takes strings only; its workers compile the same cut table, with the predicates of the same
header.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import cling
from ..cling import implicit_threads, root
from ..errors import DataError
from ..event_loop import compiled
from ..ntuple import Ntuple, Schema, check_baskets
from ..records import InputFile
from ..work import Work
from .left_out import LeftOut

Result = TypeVar("Result")


# Of the data for each worker: a task that is lost with its worker costs a part of the work only.
_PARTITIONS_PER_WORKER = 3


# Name of the plugin of workers that read friend trees.
_PLUGIN = "na64root"


_REPORT_SECONDS = 0.25


class EventLoop:
    """One event loop, and what it runs on: the threads of this machine or a cluster, as `work` says."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._client: Any = None
        self._plugged_in = False

    @contextlib.contextmanager
    def running(self, threads: int) -> Iterator[None]:
        """The engine at work; its threads or workers end with it, a cluster at an address stays.

        Raises:
            ConfigError: Dask is not installed, or no scheduler answers.
            DataError: the workers could not read the data.
        """
        if not self._distributed:
            with implicit_threads(threads):
                yield
            return
        with self.work.engine.client(threads) as self._client, implicit_threads(1):
            try:
                yield
            finally:
                if self._plugged_in:
                    self._client.unregister_worker_plugin(_PLUGIN)
                    self._plugged_in = False

    @property
    def _distributed(self) -> bool:
        return self.work.engine.name == "dask"

    def compiled_frame(self, ntuple: Ntuple) -> Any:
        """A frame of the compiled library; raises NotCompiledError where it cannot serve."""
        if self._distributed or self.work.engine.just_in_time:
            raise compiled.NotCompiledError("strings are asked for")
        return ntuple.compiled_frame()

    def data_frame(
        self,
        ntuple: Ntuple,
        functions: Sequence[tuple[str, str]] = (),
        declare: Callable[[], None] | None = None,
    ) -> Any:
        """An RDataFrame for strings, on the cluster where the engine is one; within :meth:`in_order`.

        Args:
            functions: names and texts of headers that the strings call.
            declare: declares what else they call; each worker does it too.
        """
        if declare is not None:
            declare()
        if not self._distributed:
            return ntuple.data_frame()
        client = self._client
        if ntuple.friends:
            # A description of friends is unpacked before anything is called: it must find ROOT there.
            client.register_plugin(_import_root(), name=_PLUGIN)
            self._plugged_in = True
        ntuple = _with_absolute_paths(ntuple)
        for path in (*ntuple.paths, *(path for friend in ntuple.friends for path in friend.paths)):
            cling.literal(path)
        root().RDF.Distributed.initialize(_prepare_worker, functions, declare, cling.links())
        workers = sum(client.nthreads().values())
        return ntuple.data_frame(executor=client, npartitions=_PARTITIONS_PER_WORKER * workers)

    def check_baskets(self, ntuple: Ntuple) -> None:
        """Unpack all files once, on the cluster where the engine is one; within :meth:`in_order`.

        Raises:
            DataError: a branch cannot be unpacked.
        """
        if ntuple.unpacked:
            return
        if self._distributed:
            client = self._client
            look = functools.partial(_problem, schema=ntuple.schema, present=ntuple.present)
            paths = _with_absolute_paths(ntuple).paths
            for problem in client.gather(client.map(look, paths, pure=False)):
                if problem:
                    raise DataError(problem)
            return
        for path in ntuple.paths:
            check_baskets(path, ntuple.schema, ntuple.present)

    def on_each_file(self, function: Callable[[Ntuple], Result], ntuple: Ntuple) -> list[Result] | None:
        """What a function gives for each file alone, a task of the cluster each; within :meth:`in_order`.

        None on one machine.

        Raises:
            DataError: there are friends, and not one file of them for each file.
        """
        if not self._distributed:
            return None
        ntuple = _with_absolute_paths(ntuple)
        if any(len(friend.files) != len(ntuple.files) for friend in ntuple.friends):
            raise DataError(
                f"friends of {ntuple.paths[0]} are not in a file for each of its files (each is a task of "
                "the cluster): use --engine threads"
            )
        parts = [
            replace(
                ntuple,
                files=(file,),
                friends=tuple(
                    replace(friend, files=(friend.files[i],), paths=(friend.paths[i],))
                    for friend in ntuple.friends
                ),
            )
            for i, file in enumerate(ntuple.files)
        ]
        links = cling.links()
        there = functools.partial(_on_worker, function, links)
        return list(self._client.gather(self._client.map(there, parts, pure=False)))

    def in_order(self, loop: Callable[[], tuple[LeftOut, Result]]) -> tuple[Result, int]:
        """What `loop` gives, run once on the engine; and how often it was run.

        With duplicates a loop of threads is repeated in one: which of two events of one number is the first,
        only one thread knows, that reads them in order.
        """
        runs = 0
        for n in dict.fromkeys((self.work.threads, 1)):
            with self.running(n):
                left_out, result = loop()
                runs += 1
                if n == 1 or self._distributed or left_out.duplicates == 0:
                    break
        return result, runs

    @contextlib.contextmanager
    def reporting(self, frame: Any, result: Any, events: int) -> Iterator[None]:
        """Report progress while the event loop of a frame runs, begun by asking for `result`."""
        report, over = self.work.reporting("events"), threading.Event()
        if report is None:
            yield
            return
        if isinstance(frame, compiled.Node):
            done = frame.events_done
        elif self._distributed:
            done = _Parts(self._client, events).events_done
        else:
            done = _events_done(frame, result)
        done()  # compiled by Cling before the loop begins

        def follow() -> None:
            while not over.wait(_REPORT_SECONDS):
                report(done(), events)

        follower = threading.Thread(target=follow)
        follower.start()
        try:
            yield
        finally:
            over.set()
            follower.join()
            report(events, events)

    def loops(self, frame: Any) -> int:
        """Event loops over the whole input."""
        # A distributed frame does not count: it runs everything that is booked once.
        return 1 if self._distributed else int(frame.GetNRuns())


def _events_done(frame: Any, result: Any) -> Callable[[], int]:
    """Counts the events of a frame for strings, while a loop that `result` begins runs."""
    cling.declare_header("events_done.hpp")
    type(result).GetValue.__release_gil__ = True  # for whoever follows the loop
    count = frame.Count()
    seen = root().na64root.rdf.EventsDone(count, frame.GetNSlots())
    # Both are bound here: they live as long as the function.
    return lambda count=count, seen=seen: int(seen.events())  # type: ignore[misc]


class _Parts:
    """What a cluster has done of the loop that this client asked for, in parts of the data."""

    def __init__(self, client: Any, events: int) -> None:
        self._client, self._events = client, events
        self._all = self._done = 0

    def events_done(self) -> int:
        def waiting(dask_scheduler: Any, client: str) -> int:
            # Sent as it stands, without na64root: the tasks that the wanted ones depend on.
            tasks, seen = list(dask_scheduler.clients[client].wants_what), set()
            while tasks:
                if (task := tasks.pop()) not in seen:
                    seen.add(task)
                    tasks += task.dependencies
            mappers = [task for task in seen if "dask_mapper" in str(task.key)]
            return sum(task.state not in ("memory", "released") for task in mappers)

        # A scheduler that is gone is said by the loop itself.
        with contextlib.suppress(OSError):
            left = int(self._client.run_on_scheduler(waiting, client=self._client.id))
            self._all = max(self._all, left)
            self._done = self._events * (self._all - left) // max(self._all, 1)
        return self._done


def _with_absolute_paths(ntuple: Ntuple) -> Ntuple:
    """For workers, which run in folders of their own."""
    friends = tuple(
        replace(
            friend,
            files=_absolute(friend.files),
            paths=tuple(path if "://" in path else os.path.abspath(path) for path in friend.paths),
        )
        for friend in ntuple.friends
    )
    return replace(ntuple, files=_absolute(ntuple.files), friends=friends)


def _absolute(files: Sequence[InputFile]) -> tuple[InputFile, ...]:
    return tuple(
        file if "://" in file.path else file.model_copy(update={"path": os.path.abspath(file.path)})
        for file in files
    )


def table(node: Any, name: str, columns: Sequence[str]) -> Any:
    """Books the values of columns for each event of a node: `GetValue()` gives rows of numbers.

    `name` begins the names of helping columns.
    """
    if isinstance(node, compiled.Node):
        return node.table(columns)
    numbers = [f"static_cast<double>({column})" for column in columns]
    if cling.is_distributed(node):  # without Take
        names = [f"{name}_{i}" for i in range(len(columns))]
        for helping, number in zip(names, numbers, strict=True):
            node = compiled.define(node, helping, number)
        return _Rows(node.AsNumpy(names, lazy=True), names)
    # One column of one type: each type taken costs a second of just-in-time compilation.
    return compiled.define(node, name, f"ROOT::RVecD{{{', '.join(numbers)}}}").Take["ROOT::RVecD"](name)


@dataclass(frozen=True)
class _Rows:
    """Rows of a distributed frame, from the columns that its workers return."""

    columns: Any
    names: Sequence[str]

    def GetValue(self) -> NDArray[np.float64]:
        values = self.columns.GetValue()
        return np.stack([np.asarray(values[name], dtype=np.float64) for name in self.names], axis=1)


def _problem(path: str, schema: Schema, present: Collection[str]) -> str:
    """Why a file cannot be read; as a text, since a worker writes a log of exceptions."""
    try:
        check_baskets(path, schema, present)
    except DataError as error:
        return str(error)
    return ""


def _on_worker(function: Callable[[Ntuple], Result], links: Mapping[str, str], ntuple: Ntuple) -> Result:
    cling.have_links(links)
    return function(ntuple)


def _import_root() -> Any:
    """A plugin of workers, also of those that come later, until the engine ends."""
    from distributed import WorkerPlugin

    class ImportRoot(WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: Any) -> None:
            root()

    return ImportRoot()


def _prepare_worker(
    functions: Sequence[tuple[str, str]], declare: Callable[[], None] | None, links: Mapping[str, str]
) -> None:
    cling.have_links(links)
    cling.include("selection.hpp")
    for name, code in functions:
        cling.declare_code(name, code)
    if declare is not None:
        declare()
