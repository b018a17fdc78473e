"""Of which data sets small ones can be made; nothing is made here, and nothing heavy imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from trainables.data.detection.catalog import DETECTION_SETS, DetectionSet
from trainables.data.root import ROOT
from trainables.data.scenes.catalog import SCENE_SETS, Crop, SceneSet


@dataclass(frozen=True)
class SceneMaker:
    """Makes scenes like those of a published set, and writes them as its files."""

    data_set: SceneSet
    customary: int = 10_000
    """How many scenes are made unless told otherwise."""

    @property
    def name(self) -> str:
        """That of the set."""
        return self.data_set.name

    def make(
        self,
        root: Path | None,
        *,
        scenes: int,
        image_size: int | None,
        crop: str | None = None,
        seed: int,
        progress: Callable[[int, int], None],
        rules: Mapping[str, object],
    ) -> Path:
        """Makes scenes below a root of data sets; returns their folder.

        They are as high as it takes for `image_size` pixels (None: what is customary for the set)
        to be left of them by a crop, which is that of the set unless another is given.

        Raises:
            ValueError: it cannot be made so.
        """
        from trainables.synthetic.writing import write_set

        known = get_args(Crop)
        if crop is not None and crop not in known:  # before scenes are made for it
            raise ValueError(f"crop must be one of {', '.join(known)}, got {crop!r}")
        self.data_set.need_square(crop)
        size = image_size or self.data_set.customary["image_size"]
        return write_set(
            self.name,
            self.data_set.folder(root or ROOT, made=True, image_size=size, crop=crop),
            scenes=scenes,
            image_size=self.data_set.made_height(size, crop),
            seed=seed,
            root=root or ROOT,
            progress=progress,
            **rules,
        )


@dataclass(frozen=True)
class BoxMaker:
    """Makes pictures with boxes, and writes them in the form of COCO."""

    data_set: DetectionSet

    @property
    def name(self) -> str:
        """That of the set."""
        return self.data_set.name

    @property
    def customary(self) -> int:
        """How many pictures are made unless told otherwise."""
        return sum(self.data_set.splits.values())

    def make(
        self,
        root: Path | None,
        *,
        scenes: int,
        image_size: int | None,
        crop: str | None = None,
        seed: int,
        progress: Callable[[int, int], None],
        rules: Mapping[str, object],
    ) -> Path:
        """Makes pictures below a root of data sets; returns their folder.

        `image_size` (None: what is customary for the set) is the longest side that one has.

        Raises:
            ValueError: it cannot be made so.
        """
        from trainables.synthetic.writing import write_set

        if crop is not None:
            raise ValueError(f"crop must be left out for {self.name}, got {crop!r}")
        size = image_size or self.data_set.image_size
        return write_set(
            self.name,
            self.data_set.folder(root or ROOT, image_size=size),
            scenes=scenes,
            image_size=size,
            seed=seed,
            root=root or ROOT,
            progress=progress,
            **rules,
        )


MAKERS: dict[str, SceneMaker | BoxMaker] = {
    **{
        name: SceneMaker(data_set)
        for name, data_set in SCENE_SETS.items()
        if data_set.is_made != "never"
    },
    **{
        name: BoxMaker(data_set)
        for name, data_set in DETECTION_SETS.items()
        if data_set.kind == "made"
    },
}
"""By name of the set."""
