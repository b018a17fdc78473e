"""A program as an experiment: started, heard, asked to stop, and ended with all that it started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting
from raysearch.programs import work_folder
from raysearch.programs.channel import Channel
from raysearch.programs.command_line import CommandLine, command_line, environment, nested
from raysearch.programs.endings import code_of, ended
from raysearch.programs.files import Checkpoints, kept_folder
from raysearch.programs.ordered import OrderedReports
from raysearch.programs.output import Output
from raysearch.programs.readers.pattern import Patterns
from raysearch.programs.readers.reader import Reader
from raysearch.programs.readers.standard import readers
from raysearch.sweeps.program_config import has_place, split
from raysearch.trial import process_tree
from raysearch.trial.child import kernel_kills
from raysearch.trial.own_process import note

WORK, TRIAL, CONFIG = "work", "program", "values.json"
"""Below the folder of an attempt: where the program runs, by what it reports, and its values."""
_SOON, _LATE = 0.005, 0.1
"""Seconds between two looks at what a program says: after it said something, and long after."""
_FILES_EVERY = 0.5
"""Seconds between two looks at the files of loggers."""
_LAST_WORDS = 2.0
_AFTER_TERM = 10.0
"""Seconds from SIGTERM to SIGKILL of a program that was first asked by `should_stop`, at most."""


def run(config: dict[str, Any], session: Any) -> None:
    """Runs a program with the values of a trial, to its end.

    Raises:
        KnownFailure: it failed, or ended without a metric of its sweep.
        BadSetting: it cannot be started.
    """
    checkpoint, number = session.restored(), 1
    while (running := Running(config, session, number)).run(checkpoint):
        checkpoint, number = running.reports.kept or checkpoint, number + 1


class Running:
    """One attempt at a program. Run again outside of a search, it starts as often as it asks."""

    def __init__(self, config: Mapping[str, Any], session: Any, number: int = 1) -> None:
        self.values, self.seed, self.facts = split(config)
        self.session, self.folder = session, Path(session.folder).absolute()
        self._more = "" if number == 1 else f"-{number}"
        self.work = self.folder / f"{WORK}{self._more}"
        self.reports = OrderedReports(session, note)
        self._stopping: float | None = None
        self._listens = self._asked_again = False
        self._said: dict[str, Any] = {}

    def run(self, checkpoint: Path | None) -> bool:
        """From the start of the program to its end; whether it is to be started again here."""
        command, channel = self._prepare(checkpoint)
        kills = kernel_kills()
        process, output = self._start(command, channel)
        try:
            self._follow(process, output, channel)
        finally:
            self._end(process)
        output.close(_LAST_WORDS)
        self._listen(output, channel, files=True, last=True)
        self._checkpoints.at_end(self.reports)
        code = code_of(process.returncode, list(output.lines))
        if self._stopping is not None:
            note(f"the program ended with exit code {code} after it was asked to stop")
            return False
        if code in self.facts["again_on"] and getattr(self.session, "job", None) is None:
            return True
        if code:
            raise ended(process.returncode, list(output.lines), self.facts, kernel_kills() > kills)
        self.reports.close()
        return False

    # Before

    def _prepare(self, checkpoint: Path | None) -> tuple[CommandLine, Channel]:
        linked = work_folder.make(self.session, self.facts, self.work)
        work_folder.modes(Path(self.facts["folder"]), self.work)
        kept_folder(self.session, self.facts, self.work)
        file = self.folder / CONFIG
        named = {self.facts["seed"]: self.seed} if self.facts["seed"] else {}
        is_file = self.facts["arguments"] == "json file"
        known = {**self.values, **named}
        file.write_text(json.dumps(nested(known) if is_file else known, indent=1))
        values = {**self.values, "seed": self.seed}
        place, step = self.folder / f"{TRIAL}{self._more}", self.reports.begins_after
        channel = Channel(place, values, checkpoint, step)
        self._checkpoints = Checkpoints(self.work, self.facts["checkpoints"])
        given = (self.values, self.seed, self.facts)
        workers = self._workers()
        line = command_line(*given, checkpoint=checkpoint, config=file, workers=workers)
        plain = command_line(*given, checkpoint=None, config=Path(CONFIG), workers=workers)
        self._describe(
            {"program/command": str(plain)[:2000], "program/resume": self._resumes(checkpoint)}
            | ({"program/linked": ", ".join(linked)[:2000]} if linked else {})
        )
        note(f"$ {line}")
        if linked:
            note(f"linked: {', '.join(linked[:20])}{' …' if len(linked) > 20 else ''}")
        return line, channel

    def _workers(self) -> int:
        """How many workers it is to start; a command that may not know is told of in the log."""
        job = getattr(self.session, "job", None)
        workers: int = getattr(job or self.session, "own_workers", 1)
        if workers > 1 and not any(has_place(word, "workers") for word in self.facts["command"]):
            note(
                f"the trial has {workers} workers and the command no place {{workers}}: it must "
                f"start as many by itself"
            )
        return workers

    def _resumes(self, checkpoint: Path | None) -> str:
        """In words, from where this attempt goes on; it is said in the log as well."""
        attempt = getattr(getattr(self.session, "job", None), "attempt", 1)
        if checkpoint is not None:
            text = f"goes on from {checkpoint.name}"
            if not self.facts["resume"]:
                text += ", if it asks raysearch.checkpoint() (there is no resume=)"
        elif attempt > 1 and self.facts["keep"]:
            text = f"goes on as it can from its kept folder {self.facts['keep']}"
        elif attempt > 1:
            text = (
                "starts anew: no checkpoint of it is known (resume= with checkpoints=, keep=, or "
                "raysearch.report(…, checkpoint=…) let it go on)"
            )
        else:
            return "starts"
        note(f"attempt {attempt} {text}")
        return text

    def _start(
        self, command: CommandLine, channel: Channel
    ) -> tuple[subprocess.Popen[bytes], Output]:
        variables = environment(command, self.facts, channel.folder, channel.path)
        reading, writing = os.pipe()
        try:
            process = subprocess.Popen(
                command.words,
                cwd=self.work,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
        except OSError as error:
            os.close(reading)
            raise BadSetting(
                f"command must be one that can be started in the folder of its code, got "
                f"{command.words[0]!r}: {error.strerror or error}"
            ) from None
        finally:
            os.close(writing)
        self._files: list[Reader] = readers(
            self._own_folders(), lambda: process_tree.family(process.pid), time.time()
        )
        self._patterns = Patterns(self.facts["read"])
        return process, Output(reading, self._patterns)

    def _own_folders(self) -> list[Path]:
        """Where it writes: its working folder, and the one that its attempts share."""
        kept = self.facts["keep"]
        return [self.work, *([self.work / kept] if kept else [])]

    # Meanwhile

    def _follow(self, process: subprocess.Popen[bytes], output: Output, channel: Channel) -> None:
        """Hears the program until it has ended."""
        pause, written, looked = _SOON, 0, 0.0
        while process.poll() is None:
            is_due = time.monotonic() - looked > _FILES_EVERY
            looked = time.monotonic() if is_due else looked
            heard = self._listen(output, channel, files=is_due)
            if output.count != written:
                written = output.count
                self.session.alive()
            if self._stopping is None and self.session.should_stop():
                self._ask_to_stop(process, channel)
            self._press(process)
            pause = _SOON if heard else min(pause * 1.3, _LATE)
            with suppress(subprocess.TimeoutExpired):
                process.wait(pause)

    def _listen(self, output: Output, channel: Channel, *, files: bool, last: bool = False) -> bool:
        """Takes in what is new; whether there was anything."""
        messages = channel.poll()
        for message in messages:
            self._take(message, channel)
        while self._patterns.notes:
            self.reports.note(self._patterns.notes.pop())
        while output.reports:
            at, step, metrics = output.reports.popleft()
            self._report(step, metrics, None, "output", at)
        if files:
            self._checkpoints.look(self.reports)
            for reader in self._files:
                for each in reader.poll(last):
                    self._report(each.step, each.metrics, None, each.source)
        return bool(messages)

    def _take(self, message: Mapping[str, Any], channel: Channel) -> None:
        """A message of the program; what cannot be taken is said in the log, once."""
        try:
            kind = message.get("kind")
            if kind == "report":
                source, path = str(message.get("source")), message.get("checkpoint")
                self._listens |= source == "raysearch"
                found = None if path is None else Path(path)
                self._report(int(message["step"]), dict(message["metrics"]), found, source)
            elif kind == "describe":
                self._describe(message["facts"])
            elif kind == "artifact":
                self.session.artifact(str(message["name"]), Path(message["path"]))
        except (ValueError, TypeError, KeyError, LookupError) as error:
            self.reports.note(f"a message of the program cannot be taken: {error}")
        channel.answer(message, stop=self.session.should_stop())

    def _report(
        self,
        step: int | None,
        metrics: Mapping[str, float],
        path: Path | None,
        source: str,
        at: float | None = None,
    ) -> None:
        self._checkpoints.look(self.reports)
        found = path or self._checkpoints.newest()
        self.reports.take(step, metrics, found, source, at)

    def _describe(self, facts: Mapping[str, Any]) -> None:
        self._said |= facts
        self.session.describe(self._said)

    # Its end

    def _ask_to_stop(self, process: subprocess.Popen[bytes], channel: Channel) -> None:
        self._stopping = time.monotonic()
        channel.stop()
        note("the search asks the program to save and end")
        if not self._listens:
            self._send(process, signal.SIGTERM)

    def _press(self, process: subprocess.Popen[bytes]) -> None:
        """Sends SIGTERM, and SIGKILL in the end, to a program that does not stop."""
        if self._stopping is None:
            return
        late, grace = time.monotonic() - self._stopping, float(self.facts["grace"])
        if late > grace and self._listens and not self._asked_again:
            self._asked_again = True
            self._send(process, signal.SIGTERM)
        if late > grace + (min(grace, _AFTER_TERM) if self._listens else 0.0):
            self._send(process, signal.SIGKILL)

    def _send(self, process: subprocess.Popen[bytes], number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Ends what is left of its process group; what left that, the host ends with the trial."""
        self._send(process, signal.SIGKILL)
        process.wait()
