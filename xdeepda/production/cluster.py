"""Streams on a cluster of dask.distributed: is it fit for them, and what becomes of each.

Knows clients and workers; no fields.
"""

from __future__ import annotations

import logging
import socket
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from xdeepda.errors import LostProcessError, Problems
from xdeepda.production.identity import versions
from xdeepda.production.worker import StreamStoppedError, Tell, read_plan, run_stream

logger = logging.getLogger("xdeepda")

#: Seconds between looks at the streams.
_PAUSE = 0.5


def check_client(client: Any, folder: Path | None, problems: Problems) -> None:
    """Note what makes a client useless: what it is, other versions, a disk that is not shared.

    Parameters
    ----------
    client : distributed.Client, optional
    folder : Path, optional
        Of the store.
    problems : Problems
    """
    if client is None:
        return
    try:
        from distributed import Client
    except ImportError:
        problems.add("client= needs distributed, which is not installed",
                     todo="pip install 'xdeepda[distributed]'")  # fmt: skip
        return
    if not isinstance(client, Client):
        problems.add("client= is no client of dask", found=type(client).__name__,
                     expected="a distributed.Client", todo="client = Client(cluster)")  # fmt: skip
    elif client.asynchronous:
        problems.add("client= is asynchronous", todo="Client(..., asynchronous=False)")
    elif client.status != "running":
        problems.add("client= has no connection to its scheduler", found=str(client.status))
    elif folder is not None and folder.is_dir():
        _check_workers(client, folder, problems)


def _check_workers(client: Any, folder: Path, problems: Problems) -> None:
    """Note workers of other versions, and those that do not see the folder of the store."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".xdeepda-") as probe:
        found = client.run(_see, probe.name, on_error="return")
    if not found:
        logger.warning("assimilate: the cluster has no workers yet; the streams wait for them")
    own = versions()
    for worker, told in found.items():
        if isinstance(told, BaseException):
            problems.add(f"worker {worker} cannot run xdeepda", found=f"{told!r}",
                         todo="install it there, in the version of this process")  # fmt: skip
            continue
        theirs, sees = told
        differ = [f"{n} {theirs[n]} instead of {v}" for n, v in own.items() if theirs[n] != v]
        if differ:
            problems.add(f"worker {worker} has other versions", found=", ".join(differ))
        if not sees:
            problems.add(f"worker {worker} does not see the folder of store=",
                         found=str(folder), expected="a disk that all workers share")  # fmt: skip


def _see(probe: str) -> tuple[dict[str, str], bool]:
    """Versions of a worker, and whether it sees a file."""
    return versions(), Path(probe).exists()


def workers_here(client: Any) -> int:
    """Streams that run on this machine at the same time, at least one."""
    if client is None:
        return 1
    here = {"127.0.0.1", "localhost", *_addresses()}
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return max(1, sum(w["nthreads"] for w in workers if w["host"] in here or not w["host"]))


def _addresses() -> list[str]:
    """Addresses of this machine."""
    try:
        return list(socket.gethostbyname_ex(socket.gethostname())[2])
    except OSError:
        return []


def run_on_cluster(
    client: Any,
    plan: Path,
    token: str,
    numbers: Iterable[int],
    tell: Tell,
    look: Callable[[], None],
) -> None:
    """Run streams on a cluster until all are complete.

    Parameters
    ----------
    client : distributed.Client
    plan : Path
    token : str
        Name of the run.
    numbers : iterable of int
        Of the streams to run.
    tell : callable
        Is told the number of a stream and how many of its cycles are done, in a thread.
    look : callable
        Called now and then, in this thread.

    Raises
    ------
    LostProcessError
        If a stream was lost with too many workers.
    DivergenceError, StoreError
        As the first stream that ends with an error.
    """
    from distributed import wait

    topic = f"xdeepda-{token}"
    client.subscribe_topic(topic, lambda event: tell(*event[1]))
    futures = [
        client.submit(
            _on_worker, str(plan), number, topic, key=f"stream-{number:03d}-{token}", pure=False
        )
        for number in numbers
    ]
    left = set(futures)
    try:
        while left:
            try:
                with client.as_current():  # it need not be the default one
                    done, left = wait(left, timeout=_PAUSE, return_when="FIRST_COMPLETED")
            except TimeoutError:
                done = set()
            except CancelledError as error:
                raise LostProcessError(
                    f"assimilate: the cluster is gone ({error}); what was written is kept: call "
                    "again with the same arguments and it goes on"
                ) from None
            look()
            _raise_first(done)
    finally:
        client.unsubscribe_topic(topic)
        client.cancel(list(left))


def _raise_first(done: set[Any]) -> None:
    """Raise the error of a stream that ended with one."""
    from distributed.scheduler import KilledWorker

    # one that was stopped has no reason of its own
    ended = sorted(done, key=lambda f: (isinstance(_error(f), StreamStoppedError), f.key))
    for future in ended:
        error = _error(future)
        if isinstance(error, KilledWorker):
            number = str(future.key).split("-")[1]
            raise LostProcessError(
                f"assimilate: {error.allowed_failures + 1} workers were lost one after the other "
                f"that ran stream {int(number)}, the last {error.last_worker.address}: is their "
                "memory too small? What was written is kept; call again with the same arguments "
                "and it goes on"
            ) from None
        if future.status != "finished":
            future.result()


def _error(future: Any) -> BaseException | None:
    """Error that a stream ended with."""
    error: BaseException | None = future.exception() if future.status == "error" else None
    return error


def _on_worker(plan: str, number: int, topic: str) -> None:
    """Run one stream, and tell how far it is."""
    from distributed import get_worker

    worker = get_worker()
    last = [-_PAUSE]

    def tell(*told: int) -> None:
        if time.monotonic() - last[0] >= _PAUSE:
            last[0] = time.monotonic()
            worker.log_event(topic, list(told))

    run_stream(read_plan(plan), number, tell)
