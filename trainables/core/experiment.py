"""The base class of experiments: what a family says of itself, and how a run begins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch

from trainables.core import checkpoint, loop, measuring
from trainables.core.base_experiment import BaseExperiment
from trainables.core.base_experiment import Batch as Batch
from trainables.core.base_experiment import Evaluated as Evaluated
from trainables.core.base_experiment import Evaluation as Evaluation
from trainables.core.base_experiment import Loss as Loss
from trainables.core.base_experiment import References as References
from trainables.core.randomness import derive
from trainables.core.session import Session


class Experiment(BaseExperiment):
    """Networks, loss, data and evaluations of one experiment; the loop owns everything else.

    Building one needs no data, so that it can be built on the meta device; `load` reads the data
    before training. All state is a parameter or a buffer; all randomness a function of the step.
    """

    @classmethod
    def run(cls, config: Mapping[str, Any], session: Session) -> None:
        """Trains one configuration, given as plain JSON, and reports to the session."""
        loop.train(cls.create(config), session)

    @classmethod
    def test(cls, config: Mapping[str, Any], session: Session) -> None:
        """Evaluates the session's checkpoint on the test split; reports `test/…` once."""
        measuring.test(cls.create(config), session)

    @classmethod
    def evaluate(cls, config: Mapping[str, Any], session: Session, split: str = "val") -> None:
        """Evaluates the session's checkpoint with the configuration's settings of evaluations."""
        measuring.evaluate(cls.create(config), session, split)

    @classmethod
    def trained(cls, path: Path, values: Mapping[str, object]) -> dict[str, Any]:
        """The configuration in a checkpoint, as plain JSON, with other settings of evaluations.

        Raises:
            LookupError, ValueError: the file is no checkpoint of this experiment, or a value at a
                dotted path is not allowed, or is no setting of an evaluation.
        """
        saved = checkpoint.read(path)
        config = saved.configuration(cls.config_class).with_values(values)
        measuring.refuse_other(saved, config)
        return config.to_json()

    @classmethod
    def create(cls, config: Mapping[str, Any]) -> Self:
        """The experiment of a configuration, its weights drawn from the seed of the run."""
        read = cls.config_class.read(config)
        torch.manual_seed(derive(read.seed, "weights"))
        return cls(read)
