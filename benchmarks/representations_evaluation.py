"""What an evaluation of representations costs: in one pass, and as it was published.

Both measure the same networks on the same scenes, with the parts of this project, so that only the
way differs.

- Ours: one pass, of which masks, adjusted Rand index, collapse and all features come; probes of
  questions and of counts that stop early, for images and for slots; nearest neighbours.
- As published: a pass with attention for masks alone, a second one for features, and the two probes
  of questions, of images and of slots, for all of 4,000 steps on features as they are. Neither
  Rand indices, counts, neighbours nor collapse.

The loss of views, a third pass that both need, is in neither. Processor seconds on one thread. The
scenes are those of `raysearch data make clevr_with_masks`; networks are trained on them for some
steps first, since of those untrained there is less to read off. Run by

    python -m benchmarks.representations_evaluation --root data
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from trainables.core.experiment import Batch
from trainables.data.scenes.choosing import pixels
from trainables.layers.recording import recorded
from trainables.metrics.masks import enlarged, masks_of, normalized_maps, overlap_scores
from trainables.metrics.probe import fit_probe, probe_scores
from trainables.metrics.records import Records
from trainables.osc import attending, probing, targets, views
from trainables.osc.config import Representation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.measuring import AT_ONCE, Measuring
from trainables.osc.model import Draws

T = TypeVar("T")
STEPS, RATE = 4000, 1e-3
"""Of the published probes."""
SHOWN = ("iou", "dice")
PARTS = ("first pass, masks", "second pass, features", "probe of images", "probe of slots")


class WithoutLoss(Measuring):
    """All of an evaluation but the loss of views."""

    def _losses(self, split: str) -> dict[str, float]:
        return {}


@dataclass(frozen=True)
class Measured:
    """Processor seconds by part, and scores by name."""

    seconds: dict[str, float]
    scores: dict[str, float]

    @property
    def total(self) -> float:
        """Of all parts."""
        return sum(self.seconds.values())


def ours(experiment: RepresentationExperiment, split: str) -> Measured:
    """In one pass, as after each stretch of training."""
    with torch.inference_mode():
        spent, found = timed(lambda: WithoutLoss(experiment).measure(split, False))
    return Measured({"everything": spent}, dict(found.values))


def published(experiment: RepresentationExperiment, split: str, steps: int = STEPS) -> Measured:
    """In two passes, and with probes that do not stop."""
    with torch.inference_mode():
        first, masks = timed(lambda: _masks(experiment, split))
        second, seen = timed(lambda: _features(experiment, split))
    assert seen.slots is not None
    asked = targets.targets(experiment.store, split, _positions(experiment, split))
    seconds, scores = [first, second], masks
    for name, features in (("features", seen.features), ("slots", seen.slots)):
        rows = features.clone()  # what was computed in inference mode has no gradient
        spent, found = timed(partial(_probed, rows, asked, steps))
        seconds.append(spent)
        scores[f"questions/{name}/ap"] = found["ap/balanced"]
        scores[f"questions/{name}/ap_imbalanced"] = found["ap/imbalanced"]
    return Measured(dict(zip(PARTS, seconds, strict=True)), scores)


def timed(act: Callable[[], T]) -> tuple[float, T]:
    """Processor seconds, and what comes of it."""
    start = time.process_time()
    found = act()
    return time.process_time() - start, found


def trained(config: Representation, steps: int) -> RepresentationExperiment:
    """Networks after so many steps at a constant rate, ready to be measured."""
    torch.manual_seed(0)
    experiment = RepresentationExperiment(config)
    experiment.load()
    optimizer = experiment.optimizer(experiment.parameter_groups())
    for step in range(1, steps + 1):
        batch: Batch = experiment.batch(step)
        optimizer.zero_grad()
        experiment(batch, step).total.backward()
        optimizer.step()
    return experiment.eval()


def main(root: Path, split: str, scenes: int, size: int, steps: int) -> None:
    """Prints what both take and what both find."""
    torch.set_num_threads(1)
    experiment = trained(settings(root, scenes, size), steps)
    count = len(_positions(experiment, split))
    print(f"{count} scenes, views of {size}², after {steps} steps of training")
    found = {"ours": ours(experiment, split), "as published": published(experiment, split)}
    for name, one in found.items():
        print(f"{name}: {one.total:.1f} CPU s")
        for part, seconds in one.seconds.items():
            print(f"    {part:<28}{seconds:>8.1f}")
    both = found["ours"].scores.keys() & found["as published"].scores.keys()
    print(f"{'score':<34}{'as published':>14}{'ours':>10}")
    for name in sorted(both):
        theirs, own = (found[one].scores[name] for one in ("as published", "ours"))
        print(f"{name:<34}{theirs:>14.4f}{own:>10.4f}")
    print(f"{found['as published'].total / found['ours'].total:.1f} times as fast")


def settings(root: Path, scenes: int, size: int) -> Representation:
    """The default, on made scenes of 64²."""
    return Representation().with_values(
        {
            "data.root": str(root),
            "data.made": True,
            "data.image_size": 64,
            "data.crop": "centre",
            "data.interpolation": "nearest",
            "views.size": size,
            "training.batch_size": 16,
            "evaluation.scenes": scenes,
        }
    )


def _positions(experiment: RepresentationExperiment, split: str) -> np.ndarray:
    return experiment.chosen(split, None)[: experiment.config.evaluation.scenes]


def _parts(experiment: RepresentationExperiment, split: str) -> list[np.ndarray]:
    positions = _positions(experiment, split)
    return np.array_split(positions, -(-len(positions) // AT_ONCE))


def _masks(experiment: RepresentationExperiment, split: str) -> dict[str, float]:
    """Scores of masks by Otsu's threshold of the attention of the last iteration."""
    asked, size = experiment.config.evaluation.segmentation, experiment.config.views.size
    model, scenes = experiment.model, experiment.store.splits[split]
    records = Records()
    for part in _parts(experiment, split):
        images = views.middle(pixels(scenes, part), size)
        labels = views.middle_labels(torch.from_numpy(scenes.labels(part)), size)
        with recorded(model, attending.names(model, of_backbone=False)) as recording:
            found = model(images, Draws())
        maps = attending.slot_maps(recording.take(), asked, found.patches.shape[1])
        maps = enlarged(maps.unflatten(2, model.grid(size)), (size, size), asked.enlargement)
        records.add(overlap_scores(labels, normalized_maps(maps), masks_of(maps, asked.rule)))
    return {name: value for name, value in records.means().items() if name.startswith(SHOWN)}


def _features(experiment: RepresentationExperiment, split: str) -> probing.Features:
    seen, scenes = probing.Features(), experiment.store.splits[split]
    for part in _parts(experiment, split):
        images = views.middle(pixels(scenes, part), experiment.config.views.size)
        seen.add(experiment.model(images, Draws()))
    return seen


def _probed(features: torch.Tensor, asked: targets.Targets, steps: int) -> dict[str, float]:
    probe = fit_probe(
        features[asked.fitting],
        asked.questions[asked.fitting],
        generator=torch.Generator().manual_seed(0),
        positive_weight=probing.POSITIVE_WEIGHT,
        steps=steps,
        learning_rate=RATE,
        stops_early=False,
        standardizes=False,
    )
    return probe_scores(probe, features[asked.testing], asked.questions[asked.testing])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="the folder of data sets")
    parser.add_argument("--split", default="val", choices=("train", "val", "test"))
    parser.add_argument("--scenes", type=int, default=2000)
    parser.add_argument("--size", type=int, default=128, help="side of the views in pixels")
    parser.add_argument("--steps", type=int, default=200, help="of training before")
    given = parser.parse_args()
    main(given.root, given.split, given.scenes, given.size, given.steps)
