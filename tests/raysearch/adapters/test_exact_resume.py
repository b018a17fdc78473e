"""The examples of the adapters: what they report, and that a resumed run is the whole one."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from raysearch import reporting
from raysearch.adapters.loop import Epochs
from raysearch.programs.function import call
from raysearch.trial.rerun import difference
from trainables.core.session import LocalSession

PAGE = Path(__file__).parents[3] / "docs/tutorials/adapters.md"
BLOCKS = re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE.read_text(), re.DOTALL)
EXAMPLES = {
    "lightning_digits": (4, "val/accuracy"),
    "transformers_digits": (3, "eval_accuracy"),
    "loop_digits": (4, "val/accuracy"),
}
"""How many epochs each trains, and the name of its accuracy."""
VALUES = {"lr": 0.01, "width": 16, "seed": 1}
TIMED = ("trainer_state.json", "training_args.bin", "config.json")
"""Files of transformers with times, or the folder, of the run."""


class Stopping(LocalSession):
    """A session that asks to stop after so many checkpoints."""

    def __init__(self, folder: Path, restored: Path | None = None, after: int = 99) -> None:
        super().__init__(folder, restored)
        self.after = after

    def should_stop(self) -> bool:
        return len(self.checkpoints) >= self.after


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports an example by its name."""
    for name, text in BLOCKS:
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield lambda name: importlib.import_module(name).train.function
    for name, _ in BLOCKS:
        sys.modules.pop(name, None)


def run(function: Any, folder: Path, restored: Path | None = None, after: int = 99) -> Stopping:
    session = Stopping(folder, restored, after)
    call(function, VALUES, session)
    return session


def files(checkpoint: Path) -> list[Path]:
    """What of a checkpoint is compared: all but what has times."""
    if checkpoint.is_file():
        return [checkpoint]
    return sorted(file for file in checkpoint.rglob("*") if file.name not in TIMED)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_run_that_was_stopped_and_resumed_is_the_uninterrupted_one(
    name: str, example: Any, tmp_path: Path
) -> None:
    epochs, accuracy = EXAMPLES[name]
    whole = run(example(name), tmp_path / "whole")
    first = run(example(name), tmp_path / "first", after=2)
    torch.manual_seed(99)  # whatever the process was at before
    second = run(example(name), tmp_path / "second", first.checkpoints[2])
    assert list(whole.checkpoints) == [*first.checkpoints, *second.checkpoints]
    assert list(whole.checkpoints) == list(range(1, epochs + 1))
    for step, (one, other) in enumerate(
        zip(files(whole.checkpoints[epochs]), files(second.checkpoints[epochs]), strict=True)
    ):
        found = difference(one, other)
        assert (found["count"], found["values"] > 0) == (0, True), (step, one.name, found)
    ran = {**first.reports, **second.reports}
    assert [ran[step][accuracy] for step in ran] == [
        whole.reports[step][accuracy] for step in whole.reports
    ]
    assert whole.reports[epochs][accuracy] > 0.3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_callback_is_one_of_the_older_package_too(tmp_path: Path) -> None:
    import pytorch_lightning

    from raysearch.adapters.lightning import Reporting

    callback = Reporting()
    assert isinstance(callback, pytorch_lightning.Callback)
    trainer = pytorch_lightning.Trainer(
        callbacks=[callback], logger=False, enable_checkpointing=False, accelerator="cpu"
    )
    assert callback in trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue]


def test_outside_of_a_search_epochs_are_counted() -> None:
    assert not reporting.active()
    epochs = Epochs(3, model=torch.nn.Linear(2, 1))
    seen: list[int] = []
    for epoch in epochs:
        epochs.report({"val/loss": 1.0})
        seen.append(epoch)
    assert seen == [1, 2, 3]


def test_what_has_no_state_is_named() -> None:
    with pytest.raises(TypeError, match="rate must have load_state_dict or set_state, got a float"):
        Epochs(3, rate=0.1)
