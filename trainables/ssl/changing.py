"""Stability of answers of networks as images change a little, and from frame to frame."""

# n images at once, N of a split.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from trainables.core import liveness
from trainables.core.experiment import Evaluated, Evaluation, References
from trainables.core.files import written
from trainables.core.randomness import uniform
from trainables.data import sequences
from trainables.data.arrays import sights
from trainables.data.digits import Digits
from trainables.data.images import Images as Loaded
from trainables.data.images import MappedSplit, Split, stratified
from trainables.data.natural import changed
from trainables.data.sequences import Pairs
from trainables.data.thermal import CountsSplit
from trainables.figures.steadiness import Curve, steadiness_curves
from trainables.metrics.steadiness import Steady, among_neighbours, under_change
from trainables.settings.images import Images
from trainables.ssl.corrupting import AT_ONCE, Answer
from trainables.ssl.robustness import NaturalChanges

NAME = "natural"
"""Of the evaluation."""
MAIN = ""
"""Who answers first; the others have names."""

Said = dict[str, Tensor]
"""Classes [n] by who answers."""
Answers = Callable[[Tensor], Said]
"""What all say of standardised images [n, C, S, S], on the CPU."""
Change = tuple[str, float]


class Answering(Protocol):
    """Who says classes of images: networks as they are now, and what has learned nothing."""

    def answers(self) -> Answers:
        """All that the networks say; what they need of clean images is looked up once."""
        ...

    def pixels(self) -> Answer:
        """Neighbours of raw pixels among clean images."""
        ...

    def majority(self) -> int:
        """The class that training has most of."""
        ...


class Changing:
    """The evaluation of an experiment on changed images, and on neighbouring frames."""

    def __init__(
        self, settings: NaturalChanges, of: Images, data: Digits | Loaded, answers: Answering
    ) -> None:
        self._settings, self._data, self._answers = settings, data, answers
        self._seed = of.split_seed
        self._images: Split = data.val
        labels = self._images.labels
        number = min(settings.images, len(labels))
        self._positions = torch.from_numpy(stratified(labels.numpy(), number, self._seed))
        self._strengths = settings.strengths(of.num_channels)
        self._pairs = self._neighbours(of) if settings.frames else None

    def evaluations(self) -> list[Evaluation]:
        """The one, made at the last time only."""
        measure = partial(self.measure, True)
        return [Evaluation(NAME, "val", self.measure, 0, self.references, measure)]

    def measure(self, last: bool) -> Evaluated:
        """Shares of images whose answers stay `right`, and the `same`, at the last time.

        `right` and `same` are means over all changes, `hue_right` that of one change, `hue_right_1`
        at its first strength; `clean` is the accuracy before any. `frames_right` is the share of
        images that are right in all frames around them, `frames_same` of those that are the same
        there, of the `frames_anchors` images that have any. Neighbours or the classifier of a
        supervised network answer; as `probe/…` and `classifier/…` others.
        """
        if not last:
            return Evaluated({})
        rows = self._rows(self._answers.answers())
        values = {
            f"{who}/{name}" if who else name: value
            for who, row in rows.items()
            for name, value in row.items()
        }
        files = {"changes.csv": partial(self._write, rows)}
        if not self._strengths:
            return Evaluated(values, files=files)
        title = f"{len(self._positions)} images, right after a change {values['right']:.3f}"
        draw = partial(
            steadiness_curves,
            curves={kind: self._curves(rows, kind) for kind in self._strengths},
            floor=self._majority()["clean"],
            title=f"{title}, before {values['clean']:.3f}",
        )
        return Evaluated(values, {"changes": draw}, files=files)

    def references(self) -> References:
        """`majority`: always the same class. `pixels`: neighbours of clean images."""
        answer = self._answers.pixels()
        return {
            "majority": self._majority(),
            "pixels": self._rows(lambda images: {MAIN: answer(images)})[MAIN],
        }

    def _majority(self) -> dict[str, float]:
        """Its answers are always the same."""
        most = self._answers.majority()
        share = self._share_of(most, self._positions)
        row = {"clean": share}
        for kind, strengths in self._strengths.items():
            for number in ("", *(f"_{one}" for one in range(1, len(strengths) + 1))):
                row |= {f"{kind}_right{number}": share, f"{kind}_same{number}": 1.0}
        if self._strengths:
            row |= {"right": share, "same": 1.0}
        if self._pairs is not None:
            own = self._pairs.anchors.unique()
            framed = self._share_of(most, own)
            row |= {"frames_clean": framed, "frames_right": framed, "frames_same": 1.0}
            row["frames_anchors"] = float(len(own))
        return row

    def _share_of(self, label: int, positions: Tensor) -> float:
        return float((self._images.labels[positions] == label).double().mean())

    def _rows(self, answers: Answers) -> dict[str, dict[str, float]]:
        """The values of all that answer, by who."""
        clean, steady = self._changed(answers)
        rows: dict[str, dict[str, float]] = {}
        labels = self._images.labels[self._positions]
        for who, before in clean.items():
            row = {"clean": float((before == labels).double().mean())}
            shares = {change: steady[who, change] for change in self._changes()}
            for kind, strengths in self._strengths.items():
                own = [shares[kind, one] for one in strengths]
                row |= _means(own, f"{kind}_")
                for number, one in enumerate(own, 1):
                    row |= {f"{kind}_{name}_{number}": v for name, v in one._asdict().items()}
            if shares:  # each change weighs the same, however many strengths it has
                means = [Steady(row[f"{k}_right"], row[f"{k}_same"]) for k in self._strengths]
                row |= _means(means, "")
            rows[who] = row
        for who, row in self._framed(answers).items():
            rows[who] |= row
        return rows

    def _changes(self) -> list[Change]:
        return [(kind, one) for kind, own in self._strengths.items() for one in own]

    def _changed(self, answers: Answers) -> tuple[Said, dict[tuple[str, Change], Steady]]:
        """Answers to images before any change, and how steady they are under each."""
        clean: dict[str, list[Tensor]] = {}
        after: dict[tuple[str, Change], list[Tensor]] = {}
        for positions in self._positions.split(AT_ONCE):
            liveness.alive()
            pixels = self._images.pixels(positions)
            for who, answer in answers(self._standardised(pixels)).items():
                clean.setdefault(who, []).append(answer)
            for kind, strength in self._changes():
                draws = uniform(self._seed, f"natural {kind}", 0, positions, 1)[:, 0]
                seen = changed(pixels, kind, strength, draws)
                for who, answer in answers(self._standardised(seen)).items():
                    after.setdefault((who, (kind, strength)), []).append(answer)
        before, labels = _joined(clean), self._images.labels[self._positions]
        return before, {
            key: under_change(before[key[0]], torch.cat(parts), labels)
            for key, parts in after.items()
        }

    def _framed(self, answers: Answers) -> dict[str, dict[str, float]]:
        """Values of neighbouring frames by who answers; each image is looked at once."""
        if self._pairs is None:
            return {}
        wanted = torch.cat([*self._pairs]).unique()
        found: dict[str, list[Tensor]] = {}
        for positions in wanted.split(AT_ONCE):
            liveness.alive()
            for who, answer in answers(self._images.take(positions)).items():
                found.setdefault(who, []).append(answer)
        anchors, neighbours = (torch.searchsorted(wanted, one) for one in self._pairs)
        labels, own = self._images.labels[wanted], anchors.unique()
        rows: dict[str, dict[str, float]] = {}
        for who, answer in _joined(found).items():
            steady = among_neighbours(answer, labels, anchors, neighbours)
            rows[who] = {
                "frames_clean": float((answer == labels)[own].double().mean()),
                "frames_right": steady.right,
                "frames_same": steady.same,
                "frames_anchors": float(len(own)),
            }
        return rows

    def _neighbours(self, of: Images) -> Pairs:
        """Neighbouring frames of the images, within the split.

        Raises:
            ValueError: no image has one.
        """
        given = of.arguments()
        classes = of.facts().classes if of.classes_file is not None else None
        found = sights(
            Path(of.path or ""),
            of.split_seed,
            boxes=given["boxes"],
            form=given["form"],
            classes=classes,
            root=Path(of.root),
        )
        part = next(name for name in ("all", "val", "train") if name in found.parts)
        split = self._images
        assert isinstance(split, MappedSplit | CountsSplit)
        pairs = sequences.neighbouring(
            [found.parts[part][one] for one in split.indices.tolist()],
            self._images.labels.tolist(),
            found.pictures,
            self._settings.frames,
        )
        chosen = torch.isin(pairs.anchors, self._positions)
        if not bool(chosen.any()):
            raise ValueError(
                f"evaluation.natural.frames must be 0 where no picture of the validation split has "
                f"another one of its sequence there within {self._settings.frames} frames, got "
                f"{self._settings.frames}; names must end in numbers of frames, and sequences stay "
                f"together (data.boxes.sequence_pattern, or folders train and val)"
            )
        return Pairs(pairs.anchors[chosen], pairs.neighbours[chosen])

    def _standardised(self, pixels: Tensor) -> Tensor:
        return (pixels - self._data.mean) / self._data.deviation

    def _curves(self, rows: Mapping[str, Mapping[str, float]], kind: str) -> dict[str, Curve]:
        """Those of all that answer, from the images before any change on."""
        strengths = self._strengths[kind]
        numbers = range(1, len(strengths) + 1)
        return {
            who or "network": Curve(
                (0.0, *strengths),
                (row["clean"], *(row[f"{kind}_right_{one}"] for one in numbers)),
                (1.0, *(row[f"{kind}_same_{one}"] for one in numbers)),
            )
            for who, row in rows.items()
        }

    def _write(self, rows: Mapping[str, Mapping[str, float]], path: Path) -> None:
        """A CSV with a line for each that answers, change and strength; 0 is before any."""
        lines = ["answers,change,strength,right,same"]
        for who, row in rows.items():
            name = who or "network"
            lines.append(f"{name},none,0,{row['clean']!r},1.0")
            for kind, strengths in self._strengths.items():
                for number, one in enumerate(strengths, 1):
                    right, same = (row[f"{kind}_{what}_{number}"] for what in Steady._fields)
                    lines.append(f"{name},{kind},{one:g},{right!r},{same!r}")
            if self._pairs is not None:
                shares = f"{row['frames_right']!r},{row['frames_same']!r}"
                lines.append(f"{name},frames,{self._settings.frames},{shares}")
        with written(path) as file:
            file.write("\n".join([*lines, ""]).encode())


def _joined(parts: Mapping[str, list[Tensor]]) -> Said:
    return {who: torch.cat(own) for who, own in parts.items()}


def _means(found: Sequence[Steady], prefix: str) -> dict[str, float]:
    """The means of both shares."""
    columns = zip(Steady._fields, zip(*found, strict=True), strict=True)
    return {f"{prefix}{name}": sum(values) / len(values) for name, values in columns}


def evaluations(
    settings: NaturalChanges, of: Images, data: Digits | Loaded, answers: Answering
) -> Sequence[Evaluation]:
    """The evaluation on changed images of a set, if it is asked for."""
    return Changing(settings, of, data, answers).evaluations() if settings.images else []
