"""Two "machines" on this one: a real sshd on two loopback addresses, a home for who enters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from raysearch.trial.session import PRELOAD
from tests.raysearch.command import ROOT
from tests.raysearch.events.servers import free_port

HEAD, WORKER = "127.0.0.1", "127.0.0.2"
PROGRAMS = {"sshd": "openssh-server", "ssh": "openssh-client", "rsync": "rsync"}
"""What is run, and the package of Debian that has it."""

SETTINGS = """
Port {port}
ListenAddress {head}
ListenAddress {worker}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
PrintMotd no
PrintLastLog no
MaxStartups 100
SetEnv HOME={home}
"""

PROFILE = """
export PATH={folder}/bin:{python}:$PATH RAY_TMPDIR={folder}/ray PYTHONPATH={root}
export OMP_NUM_THREADS=1 RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 {preload}=
"""

SSH = """#!/bin/sh
# The launcher knows no port but 22, and ssh no home but that of the user.
exec {program} -p {port} -i {key} "$@"
"""

RAY = """#!/bin/sh
# `ray stop` ends all Ray of a machine; here that of one home and address.
if [ "$1" = stop ]; then exec {python}/python -m tests.cluster.loopback {home}; fi
exec {python}/ray "$@"
"""


def _program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def require() -> None:
    """Skips, by name, what needs sshd where it is not installed."""
    lacking = sorted({package for name, package in PROGRAMS.items() if not _program(name)})
    if lacking:
        names = " ".join(lacking)
        pytest.skip(f"sshd or rsync is not installed (Debian: apt-get install {names})")


class Loopback:
    """An sshd on a free port of two addresses; who enters has a home that is deleted at the end.

    The home has the environment of the tests in the place where this project is installed, so that
    nothing is downloaded.
    """

    def __init__(self) -> None:
        require()
        self.folder = Path(tempfile.mkdtemp(prefix="rs-", dir="/tmp"))  # sockets: short paths
        self.home, self.port = self.folder / "home", free_port()
        self.key = self.folder / "key"
        self._make_home()
        for key in (self.key, self.folder / "host_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
            subprocess.run(command, check=True)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd separates privileges there
        self._server = self._serve()

    def _make_home(self) -> None:
        python = Path(sys.executable).parent
        programs, own = self.folder / "bin", self.home / "raysearch/.venv/bin"
        for folder in (programs, own, self.folder / "ray"):
            folder.mkdir(parents=True)
        values = {"folder": self.folder, "python": python, "root": ROOT, "home": self.home}
        (self.home / ".bashrc").write_text(PROFILE.format(**values, preload=PRELOAD))
        for kept, read in (("toml", "pyproject.toml"), ("txt", "constraints.txt")):
            (own.parent / f"installed.{kept}").symlink_to(f"../{read}")  # nothing is to be done
        scripts = {
            programs / "ssh": SSH.format(program=_program("ssh"), port=self.port, key=self.key),
            own / "ray": RAY.format(**values),
        }
        for path, text in scripts.items():
            path.write_text(text)
            path.chmod(0o755)

    def _serve(self) -> subprocess.Popen[bytes]:
        settings = self.folder / "sshd_config"
        values = {"folder": self.folder, "home": self.home, "port": self.port}
        settings.write_text(SETTINGS.format(head=HEAD, worker=WORKER, **values))
        with (self.folder / "sshd.txt").open("ab") as output:
            server = subprocess.Popen(
                [_program("sshd"), "-D", "-e", "-f", str(settings)],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + 900
        while "listening on 127.0.0.2" not in (self.folder / "sshd.txt").read_text():
            assert time.monotonic() < deadline, (self.folder / "sshd.txt").read_text()
            time.sleep(0.1)
        return server

    def environment(self) -> dict[str, str]:
        """The environment of whoever starts the cluster from here."""
        return {
            **os.environ,
            "HOME": str(self.home),
            "PATH": f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RAY_TMPDIR": str(self.folder / "ray"),
            "RAY_AUTH_MODE": "token",
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": str(ROOT),
        }

    def close(self) -> None:
        """Ends whatever has this home, and deletes it."""
        for _ in range(3):  # a service starts again what is ended before it
            for process in processes_of(self.home):
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    pass
        self._server.kill()
        self._server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process that was started from a home, but this one."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("HOME") == str(home):
                found.append(process)
        except psutil.Error:
            continue
    return found


_GRACE = 16.0
"""Seconds that `ray stop` gives a process, and some take them, before it kills it."""


def is_ray(process: psutil.Process) -> bool:
    """Whether a process is one of those that `ray stop` would end."""
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "site-packages/ray/" in line or line.startswith("ray::")


def address_of(process: psutil.Process) -> str:
    """By which of the two addresses whoever started a process came in."""
    try:
        return ([*process.environ().get("SSH_CONNECTION", "").split(), "", "", ""])[2]
    except psutil.Error:
        return ""


def stop_ray(home: Path) -> None:
    """What `ray stop` does on one of the machines, which is the one that it is called on."""
    here = address_of(psutil.Process())
    found = [process for process in processes_of(home) if is_ray(process)]
    ended = [process for process in found if address_of(process) == here]
    for process in ended:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            pass
    for process in psutil.wait_procs(ended, timeout=_GRACE)[1]:
        process.kill()


if __name__ == "__main__":
    stop_ray(Path(sys.argv[1]))
