"""The files that are laid into the path of a program."""

from __future__ import annotations

from pathlib import Path

_METADATA = """Metadata-Version: 2.1
Name: wandb
Version: 0.31.0
Summary: Reports what is logged to the search that runs this program.
"""


def logger_variables(trial: Path) -> dict[str, str]:
    """Variables by which loggers of a program write into the folder of its attempt.

    MLflow would otherwise write to the server of whoever runs the search, beside what the search
    itself writes there.
    """
    return {"MLFLOW_TRACKING_URI": f"sqlite:///{trial.absolute()}/mlflow.db"}


def shim_files() -> dict[str, bytes]:
    """Path below the first folder of `PYTHONPATH` → content.

    `wandb` comes before an installed one, and has the metadata by which libraries ask for it.
    `sitecustomize.py` needs the file `raysearch.py` beside it, as `wandb` does.
    """
    here = Path(__file__).parent
    files = [here / "sitecustomize.py", *sorted((here / "wandb").glob("*.py"))]
    found = {path.relative_to(here).as_posix(): path.read_bytes() for path in files}
    return {**found, "wandb-0.31.0.dist-info/METADATA": _METADATA.encode()}
