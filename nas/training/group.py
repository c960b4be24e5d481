"""Processes that train one network: each takes its part of every batch, and what they find is added up.

Gradients are added after the whole backward pass, in one piece and one order (`all_reduce`): so every process has the
same sums to the bit, takes the same step, and holds the same network; no weight is ever sent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

from nas.errors import InputError, NasError
from nas.training.processes import Place

T = TypeVar("T")

_PATIENCE = timedelta(days=7)
"""How long processes wait for each other: for as long as one decodes images. One that has ended is noticed at once."""


class LostProcessError(NasError):
    """Another process of the training has ended."""


class Group:
    """The processes of a training, of which this is the one at `place`; without one it is alone, and all of this is
    free.

    What all must call raises `LostProcessError` where another process has ended.
    """

    def __init__(self, place: Place | None = None) -> None:
        self._joined = place is not None
        self.place = Place() if place is None else place

    @property
    def size(self) -> int:
        """How many processes there are."""
        return self.place.size

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.place.is_first

    def part(self, count: int) -> slice:
        """Which of `count` things in a row are this process's."""
        return slice(count * self.place.rank // self.size, count * (self.place.rank + 1) // self.size)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each of the flags whether any process has it set. All must call it."""
        if not self._joined:
            return flags
        return tuple(bool(count) for count in self.total(np.array(flags, np.int64)))

    def total(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The sum of every process's counts, of one shape. All must call it."""
        if not self._joined:
            return counts
        found = torch.from_numpy(counts.copy())
        with _together():
            distributed.all_reduce(found)
        return found.numpy()

    def add_up(self, sums: Sequence[Tensor], means: Sequence[Tensor] = ()) -> None:
        """Let each of `sums` be its sum, and each of `means` its mean, over all processes, which must all call it with
        the same shapes."""
        if not self._joined:
            return
        tensors = [*sums, *means]
        with torch.no_grad(), _together():
            whole = torch.cat([*(one.flatten().float() for one in sums), *(one.flatten() / self.size for one in means)])
            distributed.all_reduce(whole)
            for one, values in zip(tensors, torch.split(whole, [one.numel() for one in tensors]), strict=True):
                one.copy_(values.view(one.shape))

    def text(self, text: str = "") -> str:
        """The `text` of the first process, in all of them. All must call it."""
        if not self._joined:
            return text
        length = int(self.total(np.array(len(text.encode()) if self.is_first else 0)))
        letters = np.zeros(length, np.int64)
        if self.is_first:
            letters[:] = list(text.encode())
        return bytes(self.total(letters).tolist()).decode()

    def in_turn(self, make: Callable[[], T]) -> T:
        """What `make` gives in the first process, then in the others, which find what that one left on the disk."""
        if not self._joined:
            return make()
        if not self.is_first:
            if self.any(False)[0]:
                raise NasError("the first process of a training must begin it, but failed; its message says why.")
            return make()
        try:
            made = make()
        except BaseException:
            with contextlib.suppress(NasError):
                self.any(True)
            raise
        self.any(False)
        return made


ALONE = Group()


@contextlib.contextmanager
def joined(place: Place) -> Iterator[Group]:
    """The group of the processes that torchrun has started, by NCCL on GPUs and by gloo on processors; alone where
    there is one process. Raises `InputError` where there is no GPU for each."""
    if place.size == 1:
        yield ALONE
        return
    with _joined(place) as group:
        yield group


@contextlib.contextmanager
def _joined(place: Place) -> Iterator[Group]:
    gpus = torch.cuda.device_count()
    if gpus and place.local >= gpus:
        raise InputError(
            f"each process must have a GPU of its own, but there are {gpus} for {place.local + 1} or more;"
            f" give torchrun --nproc-per-node {gpus}."
        )
    if gpus:
        torch.cuda.set_device(place.local)
    with _together():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=_PATIENCE)
    yield Group(place)
    # After a fault the others may be gone, and would be waited for.
    distributed.destroy_process_group()


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """What a lost process does to the others, as an error of ours."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(
            "the processes of a training must go on together, but one has ended; its message says why, and --resume"
            " goes on from the last checkpoint."
        ) from error
