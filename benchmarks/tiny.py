"""The same small piece of work for every contender: a tiny ViT, three reports, one checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

REPORTS = 3


def work(config: dict[str, Any], report: Callable[[int, float, Path | None], None], folder: Path):
    """Three optimiser steps on random images, a report after each, a checkpoint with the last."""
    import torch

    from trainables.layers.vit import ViT

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = ViT(image_size=8, channels=1, patch_size=4, width=16, layers=1, heads=2, classes=10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["lr"])
    images, labels = torch.randn(8, 1, 8, 8), torch.arange(8)
    for step in range(1, REPORTS + 1):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        checkpoint = None
        if step == REPORTS:
            checkpoint = folder / "checkpoints" / f"step-{step}.pt"
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            torch.save(model.state_dict(), checkpoint)
        report(step, float(loss.detach()), checkpoint)


def run(config: dict[str, Any], session: Any) -> None:
    """The experiment as raysearch runs it."""

    def report(step: int, loss: float, checkpoint: Path | None) -> None:
        session.report(step, {"loss": loss, "progress/epochs": float(step)}, checkpoint)

    work(config, report, session.folder)
