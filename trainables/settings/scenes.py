"""Settings of scenes: the set, their side, how many."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.data.catalog import ROOT
from trainables.data.scenes.catalog import SCENE_SETS, Crop, missing_store, store_folder
from trainables.settings.ranges import Count, Natural

SceneSet = Literal[
    "clevr_with_masks",
    "clevr",
    "tetrominoes",
    "multi_dsprites_binarized",
    "multi_dsprites_colored_on_grayscale",
    "multi_dsprites_colored_on_colored",
    "objects_room_train",
    "objects_room_six_objects",
    "objects_room_empty_room",
    "objects_room_identical_color",
    "movi_c",
    "movi_d",
    "movi_e",
    "digit_grids",
    "garments",
    "nuclei",
    "massmind",
]


class Scenes(Config):
    """Which scenes, as `raysearch data prepare` or `raysearch data make` has left them.

    `made` scenes are drawn by this package in the format of the set `name`. `crop` and
    `interpolation` say how source images became squares of `image_size` pixels, or whole ones so
    high (`whole`), but for sets whose pictures come as squares; with both a store is found below
    `root`, the folder of data sets, and copied below `copy_to`, on the own disk of a node, first
    (null: nowhere); where they lie changes no run. Trained on are scenes with
    `min_objects` … `max_objects` objects (None: all), as far as a crop has left them, at most
    `limit` of them, drawn by the seed of the run (None: all); of clips at most `frames` frames each
    (None: all).
    """

    name: SceneSet = "clevr_with_masks"
    made: bool = False
    root: str = str(ROOT)
    copy_to: str | None = None
    image_size: Annotated[int, Field(ge=8, le=512)] = 128
    crop: Crop = "centre"
    interpolation: Literal["nearest", "bilinear"] = "nearest"
    min_objects: Natural = 0
    max_objects: Natural | None = None
    limit: Count | None = None
    frames: Count | None = None

    @model_validator(mode="after")
    def _a_range_is_not_empty(self) -> Scenes:
        if self.max_objects is not None and self.max_objects < self.min_objects:
            raise ValueError(
                f"max_objects must be at least min_objects ({self.min_objects}), "
                f"got {self.max_objects}"
            )
        return self

    @model_validator(mode="after")
    def _it_is_made_if_it_can_be(self) -> Scenes:
        is_made = SCENE_SETS[self.name].is_made
        if is_made == "only" and not self.made:
            raise ValueError(f"made must be true for {self.name}, which is only made, got false")
        if is_made == "never" and self.made:
            raise ValueError(f"made must be false for {self.name}, which is never made, got true")
        return self

    @property
    def is_video(self) -> bool:
        """Whether scenes are frames of clips."""
        return SCENE_SETS[self.name].kind == "clips"

    def void(self) -> frozenset[str]:
        """The place; limits that are none; what only video has; crops of what comes as squares."""
        void = {"root", "copy_to"}
        if SCENE_SETS[self.name].comes_square:
            void |= {"crop", "interpolation"}
        void |= {name for name in ("max_objects", "limit") if getattr(self, name) is None}
        if self.frames is None or not self.is_video:
            void.add("frames")
        return frozenset(void)

    def folder(self) -> Path:
        """Where the store lies."""
        return store_folder(Path(self.root), self.name, **self._prepared())

    def missing(self) -> str | None:
        """One sentence on what to run; None if the store is there."""
        return missing_store(Path(self.root), self.name, **self._prepared())

    def _prepared(self) -> dict[str, Any]:
        """What tells a store from others of its set."""
        is_square = SCENE_SETS[self.name].comes_square
        return {
            "made": self.made,
            "image_size": self.image_size,
            "crop": "none" if is_square else self.crop,
            "interpolation": "nearest" if is_square else self.interpolation,
        }
