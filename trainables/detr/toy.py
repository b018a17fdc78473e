"""A learned α alone: attention to random keys, whose target is sparse or uniform."""

# N examples, B of a batch, H heads, K keys.

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trainables.core.experiment import Batch, Evaluated, Evaluation, Experiment, Loss, References
from trainables.core.optimizers import build
from trainables.core.randomness import generator
from trainables.detr.building import learned_alpha
from trainables.detr.config import AlphaToy
from trainables.layers.simplex import simplex_map

SIZES = {"train": 512, "val": 256, "test": 256}
"""How many examples are drawn, always the same."""
WIDTH = 8
"""Of queries and keys."""


class AlphaToyExperiment(Experiment):
    """The squared distance of attention to its target, and how α follows from it."""

    config_class = AlphaToy
    config: AlphaToy  # pyright: ignore[reportIncompatibleVariableOverride]
    _scores: dict[str, Tensor]

    def __init__(self, config: AlphaToy) -> None:
        super().__init__(config)
        self.alpha = learned_alpha(config.map, config.heads, config.seed, "toy")
        self.attention = simplex_map("entmax", alpha=self.alpha)

    def load(self) -> dict[str, object]:
        """Draws queries and keys; scores [N, H, 1, K] are their products over √`WIDTH`."""
        shape, digest = (self.config.heads, WIDTH), hashlib.sha256()
        self._scores = {}
        for split, size in SIZES.items():
            draw = generator(0, f"keys of the toy, {split}")
            queries = torch.randn(size, *shape, generator=draw)
            keys = torch.randn(size, *shape, self.config.keys, generator=draw)
            self._scores[split] = queries[:, :, None] @ keys / WIDTH**0.5
            digest.update(self._scores[split].numpy().tobytes())
        return {
            "data.name": "random keys",
            "data.fingerprint": digest.hexdigest()[:16],
            "data.split_sizes": SIZES,
        }

    @property
    def num_examples(self) -> int:
        """Of training."""
        return SIZES["train"]

    def batch(self, step: int) -> Batch:
        """Scores [B, H, 1, K]."""
        examples = self.taken(step, torch.arange(self.config.training.batch_size))
        return {"examples": examples, "scores": self._scores["train"][examples]}

    def forward(self, batch: Batch, step: int) -> Loss:
        """The mean over examples and heads of the squared distance."""
        scores = batch["scores"]
        distances = self.attention(scores, None, None) - self._target(scores)
        return Loss(distances.square().sum(-1).mean(), {})

    def _target(self, scores: Tensor) -> Tensor:
        """What attention should be, of the shape of scores."""
        if self.config.target == "uniform":
            return torch.full_like(scores, 1 / scores.shape[-1])
        return functional.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """That of the configuration."""
        return build(groups=groups, **self.config.optimizer.arguments())

    def learning_rate(self, step: int, total: int) -> float:
        """It stays."""
        return self.config.optimizer.lr

    def evaluations(self) -> list[Evaluation]:
        """Attention on two splits."""
        every = self.config.training.evaluate_every
        return [
            Evaluation(
                split,
                split,
                partial(self._measured, split),
                every=0 if split == "test" else every,
                references=partial(self._fixed, split),
            )
            for split in ("val", "test")
        ]

    def _measured(self, split: str, last: bool) -> Evaluated:
        """`distance`, and each α as `alpha/head_<h>`, of which `alpha` is the mean."""
        alphas = self.alpha.alpha.expand(self.config.heads)
        own = {f"alpha/head_{head}": float(one) for head, one in enumerate(alphas)}
        device = alphas.device
        scores = self._scores[split].to(device)
        distance = self._distance(self.attention(scores, None, None), scores)
        return Evaluated({"distance": distance, "alpha": float(alphas.mean()), **own})

    def _fixed(self, split: str) -> References:
        """The distance of softmax and of sparsemax: the ends of what α can do."""
        scores = self._scores[split]
        return {
            kind: {"distance": self._distance(simplex_map(kind)(scores, None, None), scores)}
            for kind in ("softmax", "sparsemax")
        }

    def _distance(self, weights: Tensor, scores: Tensor) -> float:
        """The mean of ½ Σ |weight − target| over keys: 0 at the target, at most 1."""
        return float((weights - self._target(scores)).abs().sum(-1).mean() / 2)
