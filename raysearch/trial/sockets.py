"""Small messages between processes of one machine, with the file descriptors that go along."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

_LARGEST = 1 << 16


class Line:
    """One end of a line: a message is a packet, so that none is ever read in part."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)

    @classmethod
    def pair(cls) -> tuple[Line, Line]:
        """The two ends of a new line."""
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ends[0].detach()), cls(ends[1].detach())

    def fileno(self) -> int:
        """The descriptor, for `select` and for a process that inherits it."""
        return self._socket.fileno()

    def send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> bool:
        """Sends a message; False if nobody is at the other end."""
        try:
            socket.send_fds(self._socket, [json.dumps(message).encode()], list(descriptors))
        except OSError:
            return False
        return True

    def receive(self, timeout: float | None = None) -> tuple[dict[str, Any] | None, list[int]]:
        """The next message and its descriptors; None when nobody is at the other end any more.

        With a `timeout` of 0 it is also None when there is none yet.

        Raises:
            TimeoutError: there was none within `timeout` seconds.
        """
        self._socket.settimeout(timeout)
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, _LARGEST, 8)
        except TimeoutError:
            raise
        except OSError:
            return None, []
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        return (json.loads(data) if data else None), descriptors

    def close(self) -> None:
        """Closes this end."""
        with suppress(OSError):
            self._socket.close()
