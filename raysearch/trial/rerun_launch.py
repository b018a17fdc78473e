"""Starts the process that runs a trial again, and hears what it says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).parent / "rerun.py"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


def rerun(
    job: Mapping[str, Any],
    paths: Sequence[Path],
    variables: Mapping[str, str | None],
    log: Path,
) -> list[dict[str, Any]]:
    """Runs a job to its end in a process of its own; returns what it said.

    Args:
        job: what `rerun.py` reads; several `workers` are a group under torchrun.
        paths: where modules are looked for first.
        variables: environment variables that it has (None: has not) unlike this process.
        log: where its output goes.

    Returns:
        A record for each thing it said; the last is of kind `end`, made here if the process died.
    """
    records = Path(job["said"])
    file = records.with_name("job.json")
    file.write_text(json.dumps(job, indent=1))
    logs = records.with_name("torchrun")
    group = [*_TORCHRUN, str(job["workers"]), "--log-dir", str(logs)] if job["workers"] > 1 else []
    command = [sys.executable, *group, str(_PROGRAM), str(file)]
    environment = _environment(paths, variables, int(job["threads"]))
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            status = process.wait()
        finally:
            process.kill()
            shutil.rmtree(logs, ignore_errors=True)  # they are empty: all goes to one log
    lines = records.read_text().splitlines() if records.exists() else []
    heard = [json.loads(line) for line in lines]
    if not heard or heard[-1]["kind"] != "end":
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        heard.append({"kind": "end", "error": f"the process ended by {how}", "outside": []})
    return heard


def _environment(
    paths: Sequence[Path], variables: Mapping[str, str | None], threads: int
) -> dict[str, str]:
    """As a trial's process has it: the code first, and its number of threads."""
    searched = [*map(str, paths), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **{name: value for name, value in os.environ.items() if name not in variables},
        **{name: value for name, value in variables.items() if value is not None},
        **{name: str(threads) for name in _THREADS},
        "PYTHONPATH": os.pathsep.join(searched),
        "PYTHONSAFEPATH": "1",  # not the folder of the program
        "PYTHONDONTWRITEBYTECODE": "1",
    }
