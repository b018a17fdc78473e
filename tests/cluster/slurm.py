"""A real Slurm of two nodes on this machine: munge, the controller and both daemons are our own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from tests.raysearch.events.servers import free_port

PROGRAMS = {
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "sbatch": "slurm-wlm",
    "munged": "munge",
}
"""What is started, and the package of Debian that has it."""
NODES = ("one", "two")

CONFIGURATION = """
ClusterName=raysearch
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=20
CryptoType=crypto/munge
SlurmctldPort={controller}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,batch_sched_delay=1
MpiDefault=none
ReturnToService=2
KillWait=30
{nodes}
PartitionName=all Nodes=ALL Default=YES State=UP MaxTime=INFINITE
"""


def _program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def require() -> None:
    """Skips, by name, what needs Slurm where it is not installed or cannot be started."""
    lacking = sorted({package for name, package in PROGRAMS.items() if not _program(name)})
    if lacking:
        names = " ".join(lacking)
        pytest.skip(f"Slurm is not installed (Debian: apt-get install {names})")
    if os.geteuid() != 0:
        pytest.skip("a Slurm of our own is started as root")


class Slurm:
    """Two nodes of `cpus` CPUs each; commands are run with the environment that finds it."""

    def __init__(self, cpus: int = 1) -> None:
        require()
        self.folder = Path(tempfile.mkdtemp(prefix="raysearch-slurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("SLURM")
        } | {"SLURM_CONF": str(self.folder / "slurm.conf")}
        try:
            self._start(cpus)
        except BaseException:
            self.close()
            raise

    def _start(self, cpus: int) -> None:
        (self.folder / "state").mkdir()
        host = socket.gethostname().partition(".")[0]
        lines = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} "
            f"CPUs={cpus} RealMemory=1000 State=UNKNOWN"
            for node in NODES
        ]
        text = CONFIGURATION.format(
            host=host, folder=self.folder, controller=free_port(), nodes="\n".join(lines)
        )
        (self.folder / "slurm.conf").write_text(text)
        self._start_munge()
        self._daemon("slurmctld", "-D")
        for node in NODES:
            (self.folder / f"spool-{node}").mkdir()
            self._daemon("slurmd", "-D", "-N", node)
        self._wait(lambda: self.run("sinfo", "-h", "-o", "%D %t").stdout == "2 idle\n", 60, "idle")

    def _start_munge(self) -> None:
        """Slurm's notary, as the user whom its package made, with a key of its own."""
        place = self.folder / "munge"
        place.mkdir(mode=0o755)
        key = place / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        for path in (place, key):
            shutil.chown(path, "munge", "munge")
        names = ("socket", "pid-file", "log-file", "seed-file")
        places = [f"--{name}={place / name.removesuffix('-file')}" for name in names]
        options = [f"--key-file={key}", *places, "--foreground", "--force"]
        self._daemon(_program("runuser"), "-u", "munge", "--", _program("munged"), *options)
        self._wait((place / "socket").exists, 10, "munge")

    def _daemon(self, name: str, *arguments: str) -> None:
        with (self.folder / "daemons.log").open("ab") as output:
            self._daemons.append(
                subprocess.Popen(
                    [_program(name) or name, *arguments],
                    env=self.environment,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )

    def run(
        self, *command: str, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """A command of Slurm, to its end."""
        return subprocess.run(
            command,
            cwd=cwd,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def submit(self, folder: Path, command: Sequence[str], **environment: str) -> str:
        """The number of a job that was submitted from a folder."""
        done = self.run("sbatch", "--parsable", *command, cwd=folder, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ended(self, job: str, limit: float) -> tuple[str, int]:
        """Waits until a job has ended: its state and exit status."""
        final = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL")
        self._wait(lambda: self.about(job, "JobState") in final, limit, f"for job {job}")
        return self.about(job, "JobState"), int(self.about(job, "ExitCode").partition(":")[0])

    def about(self, job: str, field: str) -> str:
        """What Slurm says of a job; empty if it does not answer."""
        said = self.run("scontrol", "show", "job", job).stdout
        found = [word.partition("=")[2] for word in said.split() if word.startswith(f"{field}=")]
        return found[0] if found else ""

    def _wait(self, condition: object, limit: float, what: str) -> None:
        assert callable(condition)
        deadline = time.monotonic() + limit
        while not condition():
            log = (self.folder / "slurmctld.log", self.folder / "daemons.log")
            said = "\n".join(path.read_text()[-3000:] for path in log if path.exists())
            assert time.monotonic() < deadline, f"Slurm: waited {limit} s {what}\n{said}"
            time.sleep(0.3)

    def close(self) -> None:
        """Ends all of it with every process of its jobs, and deletes its folder."""
        family = [child for each in self._daemons for child in _family(each.pid)]
        for process in reversed(family):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        for daemon in self._daemons:
            daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
