"""Cluster: the machines of a sweep: Dask's scheduler and workers, ours or the user's."""

import asyncio
import contextlib
import logging
import socket
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import dask
from distributed import Client, LocalCluster, WorkerPlugin, as_completed
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.comm.core import CommClosedError
from distributed.comm.registry import backends
from distributed.scheduler import KilledWorker

from harness.errors import HarnessError, UsageError
from harness.sweep import work

CONNECTS_WITHIN = 10.0
"""Seconds in which a scheduler has to answer, and to have a worker."""

_NAME = "tcpspec-abilities"
_PROCESSOR = "tcpspec-processor"
_PATIENT = 1_000
"""Deaths of workers over one task before Dask gives it up: it is not the task that kills them."""


_LOOKS_EVERY = 2.0

_DEATHS = 5
"""How often Dask may give a task up, on a scheduler with its own idea of patience."""


class Abilities(WorkerPlugin):  # type: ignore[misc]  # Dask takes nothing but subclasses
    """Has each worker, also one that comes later, say which targets it can run.

    A target is a resource of those workers that it can run on, so that no other gets its cells.
    """

    name = _NAME

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = tuple(targets)
        self.missing: dict[str, str | None] = {}

    async def setup(self, worker: Any) -> None:
        """Declare the resources of a worker."""
        self.missing = await asyncio.to_thread(work.abilities, self.targets)
        able = [name for name, reason in self.missing.items() if reason is None]
        threads = worker.state.nthreads
        await worker.set_resources(
            **{_resource(name): threads for name in able}, **{_PROCESSOR: 1.0}
        )

    async def teardown(self, worker: Any) -> None:  # noqa: ARG002 - Dask's signature
        """End the sessions that a worker keeps."""
        await asyncio.to_thread(work.close)


def _resource(target: str) -> str:
    return f"tcpspec-target-{target}"


class Cluster:
    """A connection to a scheduler, and our own local cluster where the user has none."""

    def __init__(self, *, scheduler: str | None, workers: int, threads: int) -> None:
        """Connect, or start workers; UsageError for a scheduler that cannot be reached."""
        self._ends = contextlib.ExitStack()
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        # Both are said by our own words: a machine without ports to spare, versions that differ.
        warnings.filterwarnings("ignore", module=r"distributed\..*")
        try:
            self._client = (
                self._connected(scheduler) if scheduler else self._local(workers, threads)
            )
            self._ends.callback(self._watch())
        except BaseException:
            self._ends.close()
            raise

    def _watch(self) -> Callable[[], None]:
        """Look now and then after cells that wait for a worker; return what ends that.

        A worker that comes after all that could run a target were lost says what it can run only
        when it has joined, which Dask's scheduler does not look at again by itself.
        """
        over = threading.Event()

        def look() -> None:
            while not over.wait(_LOOKS_EVERY):
                with contextlib.suppress(Exception):
                    self._client.run_on_scheduler(_revive)

        threading.Thread(target=look, daemon=True).start()
        return over.set

    def __enter__(self) -> Self:
        """Return the cluster itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the scheduler, and end what is ours."""
        with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
            self._ends.close()

    def _local(self, workers: int, threads: int) -> Client:
        dask.config.set({"distributed.scheduler.allowed-failures": _PATIENT})
        space = self._ends.enter_context(tempfile.TemporaryDirectory(prefix="tcpspec-sweep-"))
        try:
            local = LocalCluster(
                n_workers=workers,
                threads_per_worker=threads,
                processes=True,
                dashboard_address=None,
                local_directory=space,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
        except OSError as error:
            raise HarnessError(f"no local cluster can be started: {error}") from None
        self._ends.callback(local.close)
        return self._ends.enter_context(Client(local, set_as_default=False))

    def _connected(self, scheduler: str) -> Client:
        try:
            _knock(scheduler)
            client = self._ends.enter_context(
                Client(scheduler, timeout=CONNECTS_WITHIN, set_as_default=False)
            )
        except (OSError, TimeoutError, ValueError, TypeError, ImportError) as error:
            said = str(error).partition("\n")[0] or "no answer"
            raise UsageError(
                f"--scheduler {scheduler}: no scheduler answers ({said}); "
                "`dask scheduler` starts one, and says its address"
            ) from None
        try:
            client.wait_for_workers(1, timeout=CONNECTS_WITHIN)
        except TimeoutError:
            raise UsageError(
                f"--scheduler {scheduler}: it has no worker; `dask worker {scheduler}` starts one"
            ) from None
        return client

    def prepare(self, targets: Sequence[str]) -> dict[str, dict[str, str | None]]:
        """Have all workers say what they can run; return that, by worker and target."""
        with _reached():
            self._client.register_plugin(Abilities(targets), name=_NAME)
            found: dict[str, dict[str, str | None]] = self._client.run(_missing)
        return found

    @property
    def workers(self) -> int:
        """How many workers there are now."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def call(self, function: Callable[..., Any], *arguments: Any, target: str) -> Any:
        """Have one worker that can run a target do something now, and return what it returns."""
        with _reached():
            return self._client.submit(
                function, *arguments, pure=False, resources={_resource(target): 1}
            ).result()

    def map(
        self,
        function: Callable[..., Any],
        tasks: Mapping[str, tuple[str, bool, tuple[Any, ...]]],
    ) -> Iterator[tuple[str, Any]]:
        """Yield what a function makes of tasks, as it comes, whatever becomes of workers.

        A task has a name, and is a target, whether it computes all the time, and arguments. What
        a lost worker had is done elsewhere. HarnessError when the scheduler is lost, or where the
        function raises one.
        """
        futures = {}
        deaths: Counter[str] = Counter()
        with _reached():
            for name, (target, computes, arguments) in tasks.items():
                resources = {_resource(target): 1} | ({_PROCESSOR: 1} if computes else {})
                future = self._client.submit(
                    function, *arguments, key=f"tcpspec-{name}", resources=resources, pure=False
                )
                futures[future.key] = (future, name)
            done = as_completed([future for future, _ in futures.values()], loop=self._client.loop)
            for future in done:
                _, name = futures[future.key]
                try:
                    value = future.result()
                except KilledWorker:
                    deaths[name] += 1
                    if deaths[name] > _DEATHS:
                        raise HarnessError(f"every worker dies of cells: {name}") from None
                    future.retry()
                    done.add(future)
                    continue
                except (CommClosedError, asyncio.CancelledError, TimeoutError):
                    raise
                except Exception as error:
                    said = f"{type(error).__name__}: {error}".partition("\n")[0]
                    raise HarnessError(f"a worker failed: {said}") from error
                del futures[future.key]
                yield name, value


def _revive(dask_scheduler: Any) -> None:
    """Have tasks that no worker could run looked at again; runs on the scheduler."""
    for worker in list(dask_scheduler.workers.values()):
        if dask_scheduler.unrunnable:
            found = dask_scheduler.bulk_schedule_unrunnable_after_adding_worker(worker)
            dask_scheduler.transitions(found, stimulus_id="tcpspec-revive")


def _knock(scheduler: str) -> None:
    """Raise OSError or ValueError where nobody listens: Dask's client would go on trying."""
    protocol, place = parse_address(scheduler)
    if protocol not in backends:
        raise ValueError(f"there is no protocol {protocol}")
    if protocol in {"tcp", "tls"}:
        host, port = parse_host_port(place, 8786)
        with socket.create_connection((host, port), timeout=CONNECTS_WITHIN):
            pass


def _missing(dask_worker: Any) -> dict[str, str | None]:
    """Return what a worker said of itself; runs on the worker."""
    found: dict[str, str | None] = dask_worker.plugins[_NAME].missing
    return found


@contextlib.contextmanager
def _reached() -> Iterator[None]:
    """Say that the scheduler was lost, if it was."""
    try:
        yield
    except (CommClosedError, asyncio.CancelledError, TimeoutError) as error:
        raise HarnessError(
            f"the scheduler is lost ({type(error).__name__}); what was stored stays, "
            "and the same command goes on"
        ) from None
