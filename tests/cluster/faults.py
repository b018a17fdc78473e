"""A campaign that hurts everything of a cluster under load, and proves that nothing is lost.

    python -m tests.cluster.faults --seed 0 --kills 100 --folder FOLDER [--resume]
    python -m tests.cluster.faults --folder FOLDER --summary
    python -m tests.cluster.faults --local …   (the same for a search on one machine)

`log.jsonl` in the folder gets a line for each injury, `rounds.jsonl` one for each search that ended
and what was proved of it. What is hurt, when and how is drawn from the seed and the number of the
injury. With `--resume` the campaign goes on; a search that it was in is not judged.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raysearch.events.log import Store
from tests.cluster import local
from tests.cluster.proofs import prove, results
from tests.cluster.target import INJURIES, Target, target
from tests.raysearch.events.postgres import forget

SWEEP = "tests.cluster.sweeps:trained"
IN_A_ROUND = 10
"""Injuries of one search at most."""
_STARTS = 240.0
_ENDS = 900.0


class Campaign:
    """Rounds of one search each, until there were `kills` injuries; `fixed` are values of it."""

    def __init__(self, seed: int, kills: int, folder: Path, *fixed: str) -> None:
        self.seed, self.kills, self.folder, self.fixed = seed, kills, folder, fixed
        self.log, self.rounds = folder / "log.jsonl", folder / "rounds.jsonl"
        self.done = len(lines(self.log))
        self.round = max([0, *(line["round"] for line in lines(self.log) + lines(self.rounds))])

    def run(self) -> None:
        """Runs what is left of it."""
        with target(self.folder) as hurt:
            self._expect(hurt)
            while self.done < self.kills:
                self.round += 1
                self._search(hurt, f"round-{self.round}")

    def _expect(self, hurt: Target) -> None:
        """What an unhurt search on the same cluster ends with; kept for a resume."""
        file = self.folder / "expected.json"
        if not file.exists():
            hurt.drive("search", SWEEP, *self.fixed, "--name", "unhurt")
            self._wait_for_the_end(hurt)
            assert hurt.status == 0, (self.folder / "driver.txt").read_text()[-3000:]
            view = self._view(hurt, "unhurt")
            file.write_text(json.dumps(results(view, hurt.runs / "unhurt")))
            shutil.rmtree(hurt.runs / "unhurt")
        self.expected = json.loads(file.read_text())

    def _search(self, hurt: Target, name: str) -> None:
        """One search under fire, and the proof."""
        begun, count, ended = time.time(), 0, list[str]()
        while True:
            exists = self._exists(hurt, name)
            hurt.drive("resume", name) if exists else hurt.drive(
                "search", SWEEP, *self.fixed, "--name", name, "--concurrent", "2"
            )
            while hurt.status is None:
                draw = random.Random(f"{self.seed}/{self.done}")
                hits = count < IN_A_ROUND and self.done < self.kills
                if not hits or not self._trains(hurt, name, draw.uniform(0, 5)):
                    self._wait_for_the_end(hurt)
                    break
                count += self._injure(hurt, name, draw)
            state = self._view(hurt, name).state if self._exists(hurt, name) else "unborn"
            ended.append(f"{hurt.status} {state}")
            if state == "finished" or len(ended) > 40:
                break
            time.sleep(1)
        self._judge(hurt, name, begun, count, ended)

    def _trains(self, hurt: Target, name: str, then: float) -> bool:
        """Waits until a trial trains and some seconds more; False if the driver has ended."""
        deadline = time.monotonic() + _STARTS
        while hurt.status is None and time.monotonic() < deadline:
            if hurt.trials(name):
                time.sleep(then)
                return hurt.status is None
            time.sleep(0.3)
        return False

    def _injure(self, hurt: Target, name: str, draw: random.Random) -> int:
        """One injury, in the log; 0 if it found no victim."""
        what = self._target()
        begun = time.time()
        facts = INJURIES[what](hurt, draw, name)
        if facts is None and what not in self._skipped:
            self._skipped.append(what)  # its turn comes later
            return 0
        line = {"kill": self.done + 1, "round": self.round, "what": what, "time": begun}
        line |= {"took": round(time.time() - begun, 2), "hit": facts is not None}
        append(self.log, line | (facts or {}))
        self.done += 1
        self._skipped.clear()
        return 1

    _skipped: list[str] = []

    def _target(self) -> str:
        """Each kind comes once before any comes twice."""
        round_, place = divmod(self.done, len(INJURIES))
        order = sorted(INJURIES)
        random.Random(f"{self.seed}/order/{round_}").shuffle(order)
        left = order[place:] + order[:place]
        return next((one for one in left if one not in self._skipped), left[0])

    def _judge(self, hurt: Target, name: str, begun: float, count: int, ended: list[str]) -> None:
        alive = self._left_alive(hurt)
        hurt.catch_up(name)
        forget(hurt.store)
        check = hurt.command("check", name)
        proof = prove(Store(hurt.store), name, hurt.runs / name, self.expected, check)
        proof.must(not alive, f"left alive: {alive}")
        proof.must(not any(map(silently, ended)), f"a driver failed: {ended}")
        line = {"round": self.round, "time": time.time(), "took": round(time.time() - begun, 1)}
        append(self.rounds, line | {"kills": count, "ended": ended} | asdict(proof))
        if proof.wrong:
            shutil.copytree(hurt.runs / name, self.folder / "wrong" / name)
        shutil.rmtree(hurt.runs / name)

    def _left_alive(self, hurt: Target) -> list[str]:
        """Processes that train, or hosts, after the end; they have some seconds to go."""
        deadline = time.monotonic() + 20
        while True:
            left = [
                " ".join(process.cmdline()[:3])
                for process in hurt.titled("ResourceTrainable") + hurt.labelled()
            ]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.5)

    def _wait_for_the_end(self, hurt: Target) -> None:
        assert hurt.driver is not None
        hurt.driver.wait(_ENDS)

    def _view(self, hurt: Target, name: str) -> Any:
        from raysearch.results.view import SearchView

        forget(hurt.store)
        return SearchView.read(Store(hurt.store), name)

    def _exists(self, hurt: Target, name: str) -> bool:
        forget(hurt.store)
        return Store(hurt.store).exists(name)


def lines(file: Path) -> list[dict[str, Any]]:
    """The lines of a log; none if there is no log yet."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines()]


def append(file: Path, line: dict[str, Any]) -> None:
    """Adds a line."""
    with file.open("a") as output:
        output.write(json.dumps(line) + "\n")


def silently(end: str) -> bool:
    """Whether a driver ended by itself and left its search running; `end` is status and state.

    One that could not even begin on a full disk has said so, and written nothing (status 2).
    """
    status, _, state = end.partition(" ")
    return state == "running" and status not in ("-9", "2")


def summary(folder: Path) -> str:
    """What was hurt, what was proved, and what was measured."""
    kills, rounds = lines(folder / "log.jsonl"), lines(folder / "rounds.jsonl")
    judged = {line["round"] for line in rounds}
    counted = Counter(line["what"] for line in kills if line["round"] in judged and line["hit"])
    gaps = [one for line in rounds for one in line["handovers"]]
    late = [one for one in gaps if one["late"]]
    longest = max((one["overlap"] for one in late), default=0.0)
    elsewhere = sum(one["nodes"][0] != one["nodes"][1] for one in gaps)
    wrong = [f"  round {line['round']}: {what}" for line in rounds for what in line["wrong"]]
    hits = sum(counted.values())
    silent = [end for line in rounds for end in line["ended"] if silently(end)]
    said = [
        f"{len(kills)} injuries, {hits} of them hit in {len(rounds)} judged rounds",
        "  " + ", ".join(f"{what} {number}" for what, number in sorted(counted.items())),
        f"{len(gaps)} handovers from one attempt to the next, {elsewhere} of them to another node",
        f"{len(late)} attempts wrote in their own folder after the next had begun, the longest "
        f"for {longest:.2f} s",
        f"steps trained again: {sum(max(one['repeated'], 0) for one in gaps)}",
        f"drivers that ended by themselves without a word in the events: {len(silent)}",
        f"wrong: {len(wrong)}",
        *wrong,
    ]
    return "\n".join(said)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Hurts everything and proves that nothing is lost")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--local", action="store_true", help="on this machine, without a cluster")
    given = parser.parse_args()
    folder = given.folder.absolute()
    if given.local:
        if not given.summary:
            local.campaign(given.seed, given.kills, folder)
        print(local.summary(folder))
        return
    if not given.summary:
        if lines(folder / "log.jsonl") and not given.resume:
            raise SystemExit(f"--folder {folder} holds a campaign: --resume goes on with it")
        folder.mkdir(parents=True, exist_ok=True)
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # closes the target
        Campaign(given.seed, given.kills, folder).run()
    print(summary(folder))


if __name__ == "__main__":
    main()
