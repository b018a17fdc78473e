"""What kind of end an exception is."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from raysearch.trial.endings import behind, outcome_of


class OutOfMemoryError(RuntimeError):
    """As torch has one."""


class Greedy(OutOfMemoryError):
    """One of somebody's own."""


class ResourceExhaustedError(Exception):
    """As TensorFlow has one: no RuntimeError."""


def raised(begin: Callable[[], None]) -> BaseException:
    """What a function raises, with all that is behind it."""
    with pytest.raises(BaseException) as found:  # noqa: PT011 (any kind)
        begin()
    return found.value


def caused() -> None:
    try:
        raise MemoryError
    except MemoryError as error:
        raise ValueError("no batch could be made") from error


def meanwhile() -> None:
    try:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")
    except OSError:
        raise SystemExit(3)  # noqa: B904 (what people write)


def handled() -> None:
    try:
        raise MemoryError("a batch of 512")
    except MemoryError:
        raise ValueError("no smaller batch is allowed") from None


def grouped() -> None:
    raise ExceptionGroup("workers", [KeyError("a"), ExceptionGroup("b", [MemoryError()])])


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OutOfMemoryError("Allocation on device"),
        Greedy(),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes."),
        ResourceExhaustedError("OOM when allocating tensor with shape[9] on GPU:0"),
        RuntimeError("MPS backend out of memory (MPS allocated: 18 GB)"),
        RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("unable to mmap 64 bytes from file </torch_1>: Cannot allocate memory (12)"),
        raised(caused),
        raised(meanwhile),
        raised(grouped),
    ],
    ids=repr,
)
def test_missing_memory_is_known_by_type_number_words_and_from_behind(error: Exception) -> None:
    assert outcome_of(error) == "memory"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (OSError(errno.EAGAIN, "Cannot allocate memory"), "exception"),
        (RuntimeError("RESOURCE_EXHAUSTED: Received message larger than max"), "exception"),
        (RuntimeError("the queue ran out of memory bank slots"), "exception"),
        (ValueError("CUDA out of memory"), "exception"),
        (ExceptionGroup("two", [KeyError("a"), OSError(errno.ENOSPC, "")]), "full"),
        (FloatingPointError("loss is nan"), "diverged"),
        (SystemExit(3), "exit"),
        (raised(handled), "exception"),
    ],
    ids=repr,
)
def test_what_is_no_missing_memory_is_told_as_what_it_is(error: Exception, outcome: str) -> None:
    assert outcome_of(error) == outcome


def test_a_circle_of_causes_and_endless_ones_are_walked_a_while() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert list(behind(first)) == [first, second]
    many = ExceptionGroup("many", [ValueError(str(number)) for number in range(1000)])
    assert len(list(behind(many))) == 200
