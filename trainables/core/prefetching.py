"""Batches that are made ahead, in a thread: the same ones in the same order."""

from __future__ import annotations

import pickle
import random
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import torch

T = TypeVar("T")


@contextmanager
def ahead(batches: Iterator[T], count: int) -> Generator[Iterator[T]]:
    """The same batches, of which a thread has up to `count` ready (0: no thread, each when asked).

    That thread draws from no global generator and computes with as many threads as this one. What
    is raised in it is raised here, with its traceback, in place of the batch. It ends with the
    block, whatever ends that, once the batch is made that it is at.

    Raises:
        ValueError: the first batch was drawn from Python's, NumPy's or torch's global generator,
            from which the networks draw meanwhile.
    """
    if not count:
        yield batches
        return
    maker = _Maker(batches, count)
    try:
        yield maker
    finally:
        maker.close()


class _Maker(Iterator[T], Generic[T]):
    """Takes from an iterator in a thread of its own, never more than `count` that nobody has."""

    def __init__(self, batches: Iterator[T], count: int) -> None:
        self._batches = batches
        self._free_places = threading.Semaphore(count)
        self._made: SimpleQueue[tuple[T] | BaseException] = SimpleQueue()
        self._closed = self._is_over = False
        self._made.put(self._first())
        self._device = torch.cuda.current_device() if torch.cuda.is_initialized() else None
        self._thread = threading.Thread(target=self._make, name="batches", daemon=True)
        self._free_places.acquire()
        self._thread.start()

    def __next__(self) -> T:
        if self._is_over:
            raise StopIteration
        made = self._made.get()
        self._free_places.release()
        if isinstance(made, tuple):
            return made[0]
        self._is_over = True
        raise made

    def close(self) -> None:
        """Ends the thread, and waits for that."""
        self._closed = True
        self._free_places.release()
        self._thread.join()

    def _first(self) -> tuple[T] | BaseException:
        before = _global_draws()
        made = self._next()
        if _global_draws() != before:
            raise ValueError(
                "training.prefetch must be 0 for an experiment whose batches are drawn from a "
                "global generator, since its networks draw from that meanwhile; draw from one of "
                "core.randomness, which are functions of the step"
            )
        return made

    def _next(self) -> tuple[T] | BaseException:
        try:
            return (next(self._batches),)
        except BaseException as error:  # the end is one too
            return error

    def _make(self) -> None:
        if self._device is not None:
            torch.cuda.set_device(self._device)
        while self._free_places.acquire() and not self._closed:
            made = self._next()
            self._made.put(made)
            if isinstance(made, BaseException):
                return


def _global_draws() -> list[Any]:
    """The state of each global generator."""
    numpy = sys.modules.get("numpy")
    states = [] if numpy is None else [pickle.dumps(numpy.random.get_state())]
    return [random.getstate(), torch.get_rng_state().tolist(), *states]
