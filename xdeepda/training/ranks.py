"""Training that several processes share, each with a part of the batch.

The processes ("ranks", as torch calls them) are those of torch's own process group, one
for each device.  Each holds the whole model and some of the sequences; what must be alike
everywhere is averaged, or decided by the first rank and told to the others.

Gradients are averaged after the backward pass, all in one message.  torch's
DistributedDataParallel, which averages them during it, counts on one call of ``forward``
for each backward pass and on a loss that is a mean over the batch.  Here a pass goes back
through several cycles, each of a forecast and an analysis; the root in the loss is one of
the whole batch; and the fitted buffers, which DistributedDataParallel would send at each
call, are large and never change.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from xdeepda.errors import InputError, LostProcessError
from xdeepda.options import option

logger = logging.getLogger("xdeepda")

T = TypeVar("T")
Arrays = dict[str, Tensor]

#: How long a rank waits for the others: the first reads the run and validates alone.  One that
#: fails closes its connections, which ends the wait.
_WAIT = timedelta(days=2)


class Ranks:
    """The processes that share a training; alone without a process group.

    Parameters
    ----------
    group : ProcessGroup, optional
        Of the backend gloo: for tensors of the processor, decisions and errors.  Tensors on a
        GPU are averaged by the default group.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = group
        self.rank, self.size = (0, 1) if group is None else (group.rank(), group.size())

    @property
    def leads(self) -> bool:
        """Whether this is the first rank, which decides, writes and shows progress."""
        return self.rank == 0

    @property
    def here(self) -> int:
        """Ranks on this machine."""
        return min(self.size, int(os.environ.get("LOCAL_WORLD_SIZE", self.size)))

    def device(self, wanted: str | None) -> str | None:
        """Device of this rank: its own GPU, unless another device is asked for."""
        wanted = wanted or option("device")
        if self.size == 1 or wanted not in (None, "cuda") or not torch.cuda.is_available():
            return wanted
        return f"cuda:{os.environ.get('LOCAL_RANK', self.rank)}"

    def share(self, items: np.ndarray) -> np.ndarray:
        """Own part of items that are divided equally, those next to each other together."""
        count = len(items) // self.size
        return items[self.rank * count : (self.rank + 1) * count]

    # ---- numbers

    def mean(self, own: Tensor) -> Tensor:
        """Mean over the ranks, with the gradient of the own part.

        The mean over the ranks of the gradients of a function of it is the gradient of that
        function of the mean.
        """
        if self.size == 1:
            return own
        total = own.detach().clone()
        self._sum(total)
        out: Tensor = _OwnGradient.apply(own, total / self.size)
        return out

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace gradients by their mean over the ranks; none is 0, unless none has any."""
        if self.size == 1:
            return
        params = list(parameters)
        has = params[0].new_tensor([p.grad is not None for p in params])
        grads = [p.new_zeros(p.shape) if p.grad is None else p.grad for p in params]
        flat = torch.cat([*(g.flatten() for g in grads), has])
        self._sum(flat)
        sizes = [p.numel() for p in params]
        *means, has = (flat / self.size).split([*sizes, len(params)])
        # to look at numbers is to wait for a GPU
        wanted = has.tolist() if any(p.grad is None for p in params) else [1.0] * len(params)
        for p, mean, some in zip(params, means, wanted, strict=True):
            p.grad = mean.view_as(p) if some else None

    def _sum(self, x: Tensor) -> None:
        """Sum over the ranks, in place."""
        if x.device.type == "cuda":
            _reached(dist.all_reduce, x)
            return
        held = x.cpu()
        _reached(dist.all_reduce, held, group=self.group)
        if held is not x:
            x.copy_(held)

    def rows(self, own: Tensor) -> Tensor:
        """Rows of all ranks, in their order, on the processor; equally many of each."""
        if self.size == 1:
            return own
        held = own.detach().cpu().contiguous()
        parts = [torch.empty_like(held) for _ in range(self.size)]
        _reached(dist.all_gather, parts, held, group=self.group)
        return torch.cat(parts)

    # ---- decisions and results

    def first(self, make: Callable[[], T]) -> T:
        """What the first rank makes, for all of them; if it fails, all do."""
        if self.size == 1:
            return make()
        box: list[Any] = [None]
        with self.together():
            if self.leads:
                box = [make()]
        _reached(dist.broadcast_object_list, box, src=0, group=self.group)
        made: T = box[0]
        return made

    def results(self, jobs: Sequence[Callable[[], Arrays]], *, turns: bool) -> Iterator[Arrays]:
        """Arrays that jobs make, in their order, for all ranks.

        Parameters
        ----------
        jobs : sequence of callable
        turns : bool
            The ranks take turns, at the same time; else the first does all of them.
        """
        if self.size == 1:
            yield from (job() for job in jobs)
            return
        worker = [n % self.size if turns else 0 for n in range(len(jobs))]
        made: dict[int, Arrays] = {}
        with self.together():
            made = {n: job() for n, job in enumerate(jobs) if worker[n] == self.rank}
        for n, source in enumerate(worker):
            yield self._arrays(made.pop(n, {}), source)

    def _arrays(self, own: Arrays, source: int) -> Arrays:
        """Arrays of one rank, on the processor."""
        box = [[(name, x.shape, x.dtype) for name, x in own.items()]]
        _reached(dist.broadcast_object_list, box, src=source, group=self.group)
        out = {}
        for name, shape, dtype in box[0]:
            x = own[name].cpu().contiguous() if name in own else torch.empty(shape, dtype=dtype)
            _reached(dist.broadcast, x, src=source, group=self.group)
            out[name] = x
        return out

    def agree(self, told: dict[str, Any]) -> None:
        """Make sure that all ranks were asked for the same.

        Raises
        ------
        InputError
            On all ranks, with the names of what differs.
        """
        if self.size == 1:
            return
        each = self._each({name: repr(value) for name, value in told.items()})
        for rank, other in enumerate(each):
            names = [n for n in each[0] if other.get(n) != each[0][n]]
            if names:
                raise InputError(
                    f"train: processes 0 and {rank} of {self.size} were called with different "
                    f"arguments: {', '.join(names)}; all must be given the same"
                )

    @contextmanager
    def together(self) -> Iterator[None]:
        """What fails on one rank fails on all; they wait for each other at the end."""
        own: Exception | None = None
        try:
            yield
        except LostProcessError:
            raise
        except Exception as error:
            if self.size == 1:
                raise
            own = error
        if self.size == 1:
            return
        each = self._each(_portable(own))
        if own is not None:
            raise own
        for rank, failed in enumerate(each):
            if failed is not None:
                failed.add_note(f"in process {rank} of {self.size}")
                raise failed

    def _each(self, own: T) -> list[T]:
        """Objects of all ranks."""
        out: list[Any] = [None] * self.size
        _reached(dist.all_gather_object, out, own, group=self.group)
        return out

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.size > 1:
            _reached(dist.barrier, group=self.group)

    def close(self) -> None:
        """Close the connections: a rank that waits for this one fails."""
        if self.group is not None:
            dist.destroy_process_group(self.group)
            self.group = None


class _OwnGradient(torch.autograd.Function):
    """A mean over the ranks as a function of the own part."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, mean: Tensor) -> Tensor:
        """Return the mean."""
        return mean

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Return the gradient as it is."""
        return gradients[0], None


@contextmanager
def sharing() -> Iterator[Ranks]:
    """The ranks of torch's process group while they train; one alone if there is no group."""
    if not (dist.is_available() and dist.is_initialized()):
        started = int(os.environ.get("WORLD_SIZE", 1)) if "LOCAL_RANK" in os.environ else 1
        if started > 1:
            logger.warning(
                "train: this is one of %d processes, but each trains by itself; "
                "torch.distributed.init_process_group() before makes them share a training",
                started,
            )
        yield Ranks()
        return
    if dist.get_world_size() == 1:
        yield Ranks()
        return
    ranks = Ranks(_reached(dist.new_group, backend="gloo", timeout=_WAIT))
    try:
        yield ranks
        ranks.wait()
    except (LostProcessError, InputError):
        # the failed one has said what it was; the input was refused by all
        raise
    except BaseException as error:
        # said before the others fail as well
        logger.error(
            "train: process %d of %d fails, and all end: %s: %s",
            ranks.rank, ranks.size, type(error).__name__, error,
        )  # fmt: skip
        raise
    finally:
        ranks.close()


def _reached(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call something that needs the other ranks.

    Raises
    ------
    LostProcessError
        If one of them is gone.
    """
    try:
        return call(*arguments, **named)
    except RuntimeError as error:
        raise LostProcessError(
            "train: another process has failed or is gone (see what it says), so that this one "
            "ends too; with checkpoint=, the same call with resume=True goes on from the last "
            f"epoch ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from None


def _portable(error: Exception | None) -> Exception | None:
    """An error that can be sent to other processes."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an error may hold anything
        return LostProcessError(f"{type(error).__name__}: {error}")
    return error
