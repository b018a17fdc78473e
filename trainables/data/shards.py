"""Arrays of any length, written piece by piece into files that appear when they are whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from trainables.core.files import partial_of, sync


class ShardWriter:
    """Writes one array [n, …] as `.npy`, of which n is known at its end alone.

    `shape` is that of a row. As a context it is completed at its end, and given up by an exception.
    """

    def __init__(self, path: Path, kind: DTypeLike, shape: Sequence[int]) -> None:
        self.count = 0
        self._path, self._kind, self._shape = path, np.dtype(kind), tuple(shape)
        self._file = partial_of(path).open("wb")
        self._write_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.complete()
        else:
            self.give_up()

    def add(self, rows: NDArray[Any]) -> None:
        """Adds rows [k, …]. Raises ValueError if they are of another kind or shape."""
        if rows.dtype != self._kind or rows.shape[1:] != self._shape:
            raise ValueError(
                f"rows of {self._path.name} must be {self._kind} {list(self._shape)}, got "
                f"{rows.dtype} {list(rows.shape[1:])}"
            )
        self._file.write(np.ascontiguousarray(rows).data)
        self.count += len(rows)

    def complete(self) -> None:
        """Says in the header how many rows there are, and gives the file its name."""
        self._file.seek(0)
        self._write_header()
        with self._file as file:
            sync(file)
        os.replace(partial_of(self._path), self._path)

    def give_up(self) -> None:
        """Throws away what was written."""
        self._file.close()
        partial_of(self._path).unlink(missing_ok=True)

    def _write_header(self) -> None:
        """As long for any number of rows: NumPy leaves room for it."""
        kind = npy.dtype_to_descr(self._kind)
        header = {"descr": kind, "fortran_order": False, "shape": (self.count, *self._shape)}
        npy.write_array_header_1_0(self._file, header)
