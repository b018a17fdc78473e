"""Notifications of a running search: its first result, its first failure and its end.

Sent from the driver's side on threads of their own. An address may be a secret: only its scheme is
ever shown, and nothing of it is written down.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from raysearch.errors import BadSetting, sentence
from raysearch.events.log import Event
from raysearch.events.schema import DriverEnded, Told
from raysearch.extras import require
from raysearch.results.ranking import winner
from raysearch.results.view import SearchView
from raysearch.settings import Channels
from raysearch.terminal import say
from raysearch.texts import one_line, plural

ADDRESSES, COMMAND = "RAYSEARCH_NOTIFY", "RAYSEARCH_NOTIFY_COMMAND"
"""Environment variables, read where the option is not given; processes below have them not."""
FILE = "notify"
"""The file of addresses in the folder of a service's state."""
_LIMIT = 20.0
"""Seconds that one delivery may take."""
_LAST = 10.0
"""Seconds that the end of a search waits for deliveries, so that the last of them leaves."""
_LONGEST = 300


def channels(notify: Sequence[str] | None, command: str | None) -> Channels | None:
    """Whom to notify: addresses of apprise, or `@file` with one a line, and a command.

    Where one is not given the environment says it. What is given is taken out of the arguments of
    this process, which others on this machine can read, and out of what is kept of its command.

    Raises:
        BadSetting: apprise is not installed, or knows no such address; LookupError: no such file.
    """
    told = os.environ.pop(ADDRESSES, ""), os.environ.pop(COMMAND, "")
    given, program = list(notify or filter(None, [told[0]])), command or told[1]
    secrets = [one for one in given if not one.startswith("@")]
    hide({**{one: shown(one) for one in secrets}, **({command: "***"} if command else {})})
    addresses = [address for one in given for address in _read(one)]
    if addresses:
        require("notify", "--notify")
    for address in addresses:
        if not _apprise().Apprise.instantiate(address):
            raise BadSetting(
                f"--notify must be an address that apprise knows, such as mailto://…, slack://… or "
                f"json://host/path, got {shown(address)!r}"
            )
    return Channels(tuple(addresses), program) if addresses or program else None


def shown(address: str) -> str:
    """What may be said of an address: its scheme."""
    scheme, colon, _ = address.partition("://")
    return f"{scheme}://***" if colon and scheme.isalnum() else "***"


def _read(given: str) -> list[str]:
    if not given.startswith("@"):
        return [given]
    try:
        lines = Path(given[1:]).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"--notify {given!r} must name a file that can be read: {error}") from None
    found = [line.strip() for line in lines]
    return [line for line in found if line and not line.startswith("#")]


def hide(secrets: Mapping[str, str]) -> None:
    """Takes secrets out of `sys.argv`, with a word in their place, and out of what the system shows
    of this process.
    """
    for secret, word in secrets.items():
        sys.argv[:] = [one.replace(secret, word) for one in sys.argv]
    if not secrets:
        return
    with suppress(OSError, ValueError, IndexError):  # a system without /proc
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            arguments = memory.read(end - start)
            for secret in map(os.fsencode, secrets):
                arguments = arguments.replace(secret, b"*" * len(secret))
            memory.seek(start)
            memory.write(arguments)


class Notifier(threading.Thread):
    """Hears the events of a search and sends what is worth a notification, one after another.

    It never raises into the search, and never keeps it waiting but for seconds at its end.
    """

    def __init__(self, where: Channels, view: SearchView, folder: Path) -> None:
        super().__init__(name="notifications", daemon=True)
        self._where, self._view, self._folder = where, view, folder
        self._news: queue.Queue[Mapping[str, Any] | None] = queue.Queue()
        states = {trial.state for trial in view.trials.values()}
        self._has_result, self._has_failed = "complete" in states, "failed" in states
        self._has_ended = False

    def hear(self, event: Event) -> None:
        """Takes in an event; called in the driver's thread, when the view has it."""
        match event.body:
            case Told(state="complete", values=values) if not self._has_result:
                self._has_result = True
                self._put("first", trial=event.trial, values=values)
            case Told(state="failed", reason=reason) if not self._has_failed:
                self._has_failed = True
                self._put("failure", trial=event.trial, reason=reason)
            case DriverEnded(reason=reason) if not self._has_ended:
                self._has_ended = True
                self._put("end", reason=reason)
            case _:
                pass

    def raised(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Sends that the driver itself raised, if it did, and lets that pass."""
        if isinstance(error, Exception) and not self._has_ended:
            self._put("failure", reason=sentence(error))
        return False

    def close(self) -> None:
        """Waits for what is not sent yet, some seconds at most."""
        self._news.put(None)
        self.join(_LAST)

    def run(self) -> None:
        """Sends what comes until it is closed."""
        while (news := self._news.get()) is not None:
            for name, send in self._deliveries(news):
                if problem := _within(send, _LIMIT):
                    say(
                        f"notification ({news['event']}) by {name} was not sent: {problem}",
                        err=True,
                    )

    def _put(self, what: str, **more: Any) -> None:
        with suppress(Exception):  # whatever it is, no search ends for a notification
            self._news.put(notification(self._view, what, self._folder, **more))

    def _deliveries(self, news: Mapping[str, Any]) -> list[tuple[str, Callable[[], None]]]:
        found: list[tuple[str, Callable[[], None]]] = [
            (shown(address), lambda address=address: _send(address, news))
            for address in self._where.addresses
        ]
        if self._where.command:
            found.append(("--notify-command", lambda: _run(self._where.command, news)))
        return found


def notification(view: SearchView, what: str, folder: Path, **more: Any) -> dict[str, Any]:
    """What is said of a search at an event, as plain JSON; `text` has it in words."""
    won = winner(view)
    found = {
        "event": what,
        "search": view.search,
        "state": view.state,
        "counts": view.counts(),
        "seconds": round(view.seconds(), 1),
        "winner": None if won is None else str(won),
        "best": None if won is None else won.rank.trial.number,
        "folder": str(folder),
        **more,
    }
    return {**found, "title": _title(found), "text": _text(found)}


def _title(news: Mapping[str, Any]) -> str:
    search, trial = news["search"], news.get("trial")
    if news["event"] == "first":
        return f"raysearch: {search} has its first result"
    if news["event"] == "end":
        return f"raysearch: {search} {news['state']}"
    whose = "its driver" if trial is None else f"trial {trial}"
    return f"raysearch: {whose} of {search} failed"


def _text(news: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in news["counts"].items())
    lines = [f"{plural(sum(news['counts'].values()), 'trial')}: {counts}"]
    if news.get("values"):
        lines.append(f"trial {news['trial']}: {', '.join(f'{one:.4g}' for one in news['values'])}")
    lines += [one_line(news["reason"], _LONGEST)] if news.get("reason") else []
    lines += [f"winner: {news['winner']}"] if news["winner"] else []
    return "\n".join([*lines, f"raysearch results {news['search']}"])


def _within(send: Callable[[], None], limit: float) -> str:
    """Runs a delivery; why it failed, or was given up, without a word of where it went."""
    problems: list[str] = []

    def run() -> None:
        try:
            send()
        except _NotSent as error:
            problems.append(str(error))
        except Exception as error:  # its words may have the address in them
            problems.append(type(error).__name__)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit)
    return f"no answer for {limit:g} s" if thread.is_alive() else "".join(problems)


class _NotSent(Exception):
    """A delivery failed, in words that may be shown."""


def _apprise() -> Any:
    apprise = importlib.import_module("apprise")
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it would show addresses
    return apprise


def _send(address: str, news: Mapping[str, Any]) -> None:
    sender = _apprise().Apprise()
    sender.add(address)
    if not sender.notify(title=news["title"], body=news["text"]):
        raise _NotSent("it was refused, or nobody answers")


def _run(command: str, news: Mapping[str, Any]) -> None:
    """Runs a command by the shell, in a group of its own, with the notification as its input."""
    variables = {"EVENT": news["event"], "SEARCH": news["search"], "STATE": news["state"]}
    environment = {**os.environ, **{f"RAYSEARCH_{name}": word for name, word in variables.items()}}
    process = subprocess.Popen(
        command,
        shell=True,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        process.communicate(json.dumps(news) + "\n", timeout=_LIMIT - 1)
    except subprocess.TimeoutExpired:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise _NotSent(f"it was ended after {_LIMIT - 1:g} s") from None
    if process.returncode:
        raise _NotSent(f"it ended with status {process.returncode}")
