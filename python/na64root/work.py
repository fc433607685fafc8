"""How work is done: seed, threads, engine, progress. Results depend on the seed alone.

A cluster is Dask's: of workers at the address of a scheduler, or started here and ended with what they did.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from .annotations import Progress
from .cling import root
from .errors import ConfigError, DataError

log = logging.getLogger(__name__)

EngineName = Literal["local", "threads", "dask"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)

# An address without a scheduler is given up after this time.
_CONNECTION_SECONDS = 15


@dataclass(frozen=True)
class Engine:
    """What works: `local` is one thread, `threads` as many as are asked for, `dask` a cluster of workers.

    `scheduler` is the address of a running Dask scheduler; without it, workers are started on this machine,
    as many as threads are asked for. `just_in_time` books event loops as strings even where the compiled
    library could serve, for comparison.

    Raises:
        ConfigError: no such engine; a scheduler of an engine that has none.
    """

    name: EngineName = "threads"
    scheduler: str | None = None
    just_in_time: bool = False

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise ConfigError(f"no engine {self.name} (known: {', '.join(ENGINES)}): correct --engine")
        if self.scheduler is not None and self.name != "dask":
            raise ConfigError(
                f"engine {self.name} has no scheduler ({self.scheduler} was given): use --engine dask"
            )

    @contextlib.contextmanager
    def client(self, workers: int) -> Iterator[Any]:
        """A client of the cluster; `workers` are started where no scheduler is given, and end with it.

        Raises:
            ConfigError: Dask is not installed, or no scheduler answers.
            DataError: workers died again and again.
        """
        with _client(self.scheduler, workers) as client, _failures():
            yield client


THREADS = Engine()


@dataclass(frozen=True)
class Work:
    """How a long computation is done; no result depends on anything but the seed.

    Attributes:
        seed: of every random number.
        threads: threads or processes on this machine, or workers where a cluster is started; 1 or more. The
            engine `local` has one.
        engine: what works.
        progress: makes, from the name of what is counted ("events", "masses"), a function that is told how
            much is done and of how much, a few times a second; None reports nothing.
        executor: runs functions on the cluster, within :meth:`connected`; None on this machine.

    Raises:
        ConfigError: `threads` below 1.
    """

    seed: int = 1
    threads: int = 1
    engine: Engine = THREADS
    progress: Callable[[str], Progress | None] | None = field(default=None, compare=False)
    executor: Executor | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ConfigError(
                f"cannot run on {self.threads} threads (at least one is needed): use --threads 1"
            )
        if self.engine.name == "local":
            object.__setattr__(self, "threads", 1)

    def reporting(self, what: str) -> Progress | None:
        """The function that is told how far `what` is."""
        return None if self.progress is None else self.progress(what)

    @property
    def here(self) -> Work:
        """The same on threads of this machine, for files that other machines may not see."""
        return replace(self, engine=THREADS, executor=None)

    @contextlib.contextmanager
    def connected(self) -> Iterator[Work]:
        """This work with an executor of its cluster, one for all that is done within; else as it is.

        Raises:
            ConfigError, DataError: as :meth:`Engine.client`.
        """
        if self.engine.name != "dask" or self.executor is not None:
            yield self
            return
        with self.engine.client(self.threads) as client:
            yield replace(self, executor=client.get_executor(pure=False))


# Seconds before the first line of :func:`said_while`, and between lines.
SILENT, BETWEEN = 10.0, 30.0


@contextlib.contextmanager
def said_while(what: str, silent: float = SILENT, between: float = BETWEEN) -> Iterator[None]:
    """Say now and then that `what` goes on, whose end is not known; nothing in the first seconds."""
    started, over = time.monotonic(), threading.Event()

    def say() -> None:
        wait = silent
        while not over.wait(wait):
            log.info("%s goes on, %.0f s so far", what, time.monotonic() - started)
            wait = between

    speaker = threading.Thread(target=say, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        over.set()
        speaker.join()


def cores() -> int:
    """How many cores this process may use: those it is bound to, and its share in a container."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(bound, _cores_of_container())))


def _cores_of_container(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """The least that the groups of this process grant, in processors; infinite without a limit."""
    found = math.inf
    with contextlib.suppress(OSError):
        for line in own.read_text("utf-8", "replace").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            base = root / controllers if controllers else root
            group = Path(path.lstrip("/"))
            for folder in (group, *group.parents):
                found = min(found, _granted(base / folder))
    return found


def _granted(folder: Path) -> float:
    try:
        if (file := folder / "cpu.max").exists():
            quota, period = map(float, file.read_text("ascii").replace("max", "inf").split())
        else:
            quota = float((folder / "cpu.cfs_quota_us").read_text("ascii"))
            period = float((folder / "cpu.cfs_period_us").read_text("ascii"))
    except (OSError, ValueError):
        return math.inf
    return quota / period if quota > 0.0 and period > 0.0 else math.inf


def end_with_parent(parent: int) -> None:
    """What a worker process does first: it ends when its parent `parent` does, however that is ended.

    Linux ends it at once; elsewhere it looks every second.
    """
    try:
        set_death_signal = ctypes.CDLL(None, use_errno=True).prctl
        watched = set_death_signal(1, int(signal.SIGKILL), 0, 0, 0) == 0  # 1 is PR_SET_PDEATHSIG
    except (OSError, AttributeError):
        watched = False
    if os.getppid() != parent:  # it ended before
        os._exit(1)
    if not watched:

        def watch() -> None:
            while os.getppid() == parent:
                time.sleep(1.0)
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _client(scheduler: str | None, workers: int) -> Iterator[Any]:
    root()  # its environment is that of the workers
    try:
        from dask import distributed
    except ImportError:
        raise ConfigError("engine dask needs Dask (not installed): pip install 'na64root[dask]'") from None
    logging.getLogger("distributed").setLevel(logging.ERROR)
    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout=_CONNECTION_SECONDS)
        except (OSError, ValueError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigError(f"no Dask scheduler at {scheduler} ({why}): check --scheduler") from None
        with client:
            if not client.nthreads():
                raise ConfigError(f"the Dask scheduler at {scheduler} has no worker: start some")
            yield client
        return
    import dask

    # Processes of one thread: ROOT's just-in-time compiler is one for a process. Each warns about itself.
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ.PYTHONWARNINGS": "ignore::UserWarning:ROOT"}),
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Turns what failed on a worker into one line, and leaves out Dask's own progress bar."""
    from distributed.scheduler import KilledWorker

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except KilledWorker as error:
        raise DataError(
            f"workers of the cluster died again and again ({error.task}): give them more memory"
        ) from None
