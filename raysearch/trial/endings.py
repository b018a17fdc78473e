"""Kinds of end of an exception, by all that is behind it: its causes, and those of a group."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from raysearch.errors import sentence


class KnownFailure(Exception):
    """How what a trial started has ended: a kind of failure, a sentence, and the traceback of it.

    What has no traceback has the last lines of its output instead.
    """

    def __init__(self, kind: str, message: str, text: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.text = kind, message, text


_MOST = 200
"""Exceptions behind one that are looked at."""
_NO_MEMORY_TYPES = ("MemoryError", "OutOfMemoryError")
"""Python's; and, with or without a device, those of torch, CuPy and others by their name."""
_WORDED_TYPES = ("RuntimeError", "ResourceExhaustedError", "ProcessRaisedException")
"""Whose words are read: of torch and JAX, of TensorFlow, and of torch's spawned processes."""
_NO_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "Cannot allocate memory",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "HIP out of memory",
    "HIP error: out of memory",
    "XPU out of memory",
    "MPS backend out of memory",
    "cudaErrorMemoryAllocation",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "HIPBLAS_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "CUFFT_ALLOC_FAILED",
    "RESOURCE_EXHAUSTED: Out of memory",
    "OOM when allocating",
    "std::bad_alloc",
)
"""What libraries say where there is no memory left: no words that also mean something else."""


def outcome_of(error: BaseException) -> str:
    """What kind of end an exception is: `full`, `diverged`, `memory`, `exit`, or `exception`; or
    that of an `KnownFailure`.

    A full disk and missing memory are also found behind it: libraries say so in words of their
    own, but chain it, or raise it in a group.
    """
    if isinstance(error, KnownFailure):
        return error.kind
    if any(map(_lacks_room, behind(error))):
        return "full"
    if isinstance(error, FloatingPointError):
        return "diverged"
    if any(map(_lacks_memory, behind(error))):
        return "memory"
    return "exit" if isinstance(error, SystemExit) else "exception"


def behind(error: BaseException) -> Iterator[BaseException]:
    """An exception, then those of its group and its causes, nearest first; each once."""
    found, seen = [error], {id(error)}  # `raise error from error` is a circle
    for each in found:
        yield each
        inside = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        before = (
            None if each.__suppress_context__ else each.__context__
        )  # `from None` says: no cause
        for other in (*inside, each.__cause__, before):
            if other is not None and id(other) not in seen and len(found) < _MOST:
                seen.add(id(other))
                found.append(other)


def is_of_memory(text: str) -> bool:
    """Whether the words of an error of any library say that memory ran out, of host or device."""
    return (
        "MemoryError" in text
        or "OutOfMemoryError" in text
        or any(words in text for words in _NO_MEMORY)
    )


def _lacks_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the host or a device: many libraries say so in words only."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if not names.isdisjoint(_NO_MEMORY_TYPES):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = "" if names.isdisjoint(_WORDED_TYPES) else sentence(error)
    return any(words in text for words in _NO_MEMORY)


def _lacks_room(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
