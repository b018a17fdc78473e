"""A host in a process of its own, with an attempt that hangs and processes that hide.

    python -m tests.raysearch.trial.hosted FOLDER

It writes the process ids of host, guardians, fork server and trial to `FOLDER/known.json`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from raysearch.trial import child as hosting
from raysearch.trial import process_tree
from raysearch.trial.child import Child, start_server
from raysearch.trial.job import Job
from raysearch.trial.session import PRELOAD

EXPERIMENT = "tests.raysearch.trial.offspring:run"
ROOT = str(Path(__file__).parents[3])


def main(folder: Path) -> None:
    os.environ[PRELOAD] = "torch"
    start_server(f"hosted-{folder.name}", 1, EXPERIMENT, [ROOT])
    config = {"way": "hiding", "end": "hang"}
    child = Child(Job("t", str(folder), 0, 1, EXPERIMENT, config, str(folder), paths=[ROOT]))
    while (message := child.next(1.0)) is None or message["kind"] != "report":
        pass
    child.answer(stop=False)
    assert hosting._server is not None
    outer, inner = hosting._server.guarded.pids
    (server,) = process_tree.children(inner)
    known = {"host": os.getpid(), "outer": outer, "inner": inner, "server": server}
    known |= {"node": os.getppid(), "trial": child.pid}
    (folder / "known.part").write_text(json.dumps(known))
    os.rename(folder / "known.part", folder / "known.json")
    while (message := child.next(1.0)) is None or message["kind"] != "end":
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
