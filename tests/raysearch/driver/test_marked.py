"""Of the processes that have to do with the folder of a Ray, only its own are ended with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from raysearch.driver.own_ray import marked


@pytest.mark.parametrize(("mode", "is_rays"), [("a", True), ("r", False)])
def test_who_writes_a_log_is_rays_and_who_reads_it_is_not(
    tmp_path: Path, mode: str, is_rays: bool
) -> None:
    log = tmp_path / "raylet.out"
    log.touch()
    with log.open(mode) as file, subprocess.Popen(["sleep", "60"], stdout=file) as process:
        try:
            assert (process.pid in marked(tmp_path)) == is_rays
        finally:
            process.kill()
