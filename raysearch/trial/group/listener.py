"""The socket of a host at which the workers of a group arrive; who comes must know the key."""

from __future__ import annotations

import contextlib
import queue
import secrets
import socket
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from typing import Any

from raysearch.trial.job import Message


class WorkerListener:
    """Listens at an address of this machine, on a thread of its own, until it is closed."""

    def __init__(self, host: str) -> None:
        self._key = secrets.token_bytes(32)
        self._listener = Listener((host, 0), authkey=self._key)
        self._address: Any = self._listener.address
        self._new: queue.SimpleQueue[tuple[Message, Connection[Any, Any]]] = queue.SimpleQueue()
        self._closed = False
        threading.Thread(target=self._welcome, daemon=True).start()

    def invitation(self) -> dict[str, Any]:
        """What a worker must know: host, port and key."""
        host, port = self._address
        return {"host": host, "port": port, "key": self._key.hex()}

    def arrived(self) -> list[tuple[Message, Connection[Any, Any]]]:
        """Who has arrived since the last call, with their first message."""
        found: list[tuple[Message, Connection[Any, Any]]] = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._new.get_nowait())
        return found

    def close(self) -> None:
        """Lets nobody in any more; who has not been seen yet is sent away."""
        self._closed = True
        with contextlib.suppress(OSError):  # wakes the thread, which closes the socket
            socket.create_connection(self._address, 1).close()

    def _welcome(self) -> None:
        while not self._closed:
            with contextlib.suppress(EOFError, OSError, AuthenticationError):
                line = self._listener.accept()
                self._new.put((line.recv(), line))
        self._listener.close()
        for _, line in self.arrived():
            line.close()
