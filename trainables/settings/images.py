"""Which images with labels are trained on, and how many."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.data.catalog import IMAGE_SETS, ROOT, DataSet, folder_facts


class LongTail(Config):
    """Fewer training images of later classes, the last one with a `factor` of the first one's (1:
    as many of each).

    `exponential`: from class to class by the same factor; `step`: the second half of the classes
    has the few.
    """

    factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    shape: Literal["exponential", "step"] = "exponential"

    def void(self) -> frozenset[str]:
        """Of no tail everything."""
        return frozenset({"factor", "shape"}) if self.factor == 1 else frozenset()


class Images(Config):
    """Which images; `split_seed` draws the validation split, of some sets the test split too.

    `root` is the folder in which sets are looked for and their arrays kept, as in
    `trainables.data.catalog`; where they lie changes no run. A `folder` of images lies at `path`
    and is read with so many `channels`, a shorter side of `image_size` pixels. `limit`: at most so
    many training images, and validation shrinks with them (None: all). Of those that are left,
    training has a `long_tail`; validation and test keep theirs.
    """

    name: Literal["digits", "fashion_mnist", "mnist", "cifar10", "cifar100", "folder"] = "digits"
    split_seed: int = Field(default=0, ge=0)
    root: str = str(ROOT)
    path: str | None = None
    image_size: Annotated[int, Field(ge=8, le=512)] = 32
    channels: Literal[1, 3] = 3
    limit: Annotated[int, Field(ge=2)] | None = None
    long_tail: LongTail = LongTail()

    @model_validator(mode="after")
    def _a_folder_has_a_path(self) -> Images:
        if self.name == "folder" and self.path is None:
            raise ValueError("path must be given with data.name 'folder': where the images are")
        return self

    def void(self) -> frozenset[str]:
        """The place; what only a folder needs; a limit that is none."""
        void = {"root"} if self.limit is not None else {"root", "limit"}
        return frozenset(
            void if self.name == "folder" else void | {"path", "image_size", "channels"}
        )

    @property
    def side(self) -> int:
        """The side of the images in pixels."""
        return self.image_size if self.name == "folder" else IMAGE_SETS[self.name].image_size

    @property
    def num_channels(self) -> int:
        """The channels of the images: 1 or 3."""
        return self.channels if self.name == "folder" else IMAGE_SETS[self.name].channels

    def facts(self) -> DataSet:
        """What the catalogue says of the set. Raises LookupError for a folder that is not there."""
        if self.name != "folder":
            return IMAGE_SETS[self.name]
        return folder_facts(Path(self.path or ""), self.image_size, self.channels)

    def missing(self) -> str | None:
        """One sentence on what to run, or what to put where; None if the images are there."""
        try:
            return self.facts().missing(Path(self.root))
        except LookupError as error:
            return str(error)
