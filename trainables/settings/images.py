"""Settings of labelled images: the set, and how many of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trainables.core.config import Config
from trainables.data.catalog import IMAGE_SETS, ROOT, DataSet, boxes_facts, folder_facts
from trainables.settings.boxes import Boxes
from trainables.settings.contents import by_content
from trainables.settings.labels import LabelsFrom
from trainables.settings.thermal import Thermal

_FORM = ("noisy_labels", "unlabelled", "classes_file", "test_path")
"""What only a folder of images has, and only where it is said."""


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
    `trainables.data.catalog`, `copy_to` one on the own disk of a node, to which the arrays are
    copied first (null: nowhere); where they lie changes no run. A `folder` of images lies at `path`
    and is read with so many `channels`, a shorter side of `image_size` pixels. `limit`: at most so
    many training images, and validation shrinks with them (None: all). Of those that are left,
    training has a `long_tail`; validation and test keep theirs. `balanced`: the images of a batch
    are drawn so that each class is as likely as each other, and come again; an epoch is as long.
    `labels_share`: of so many training images, the same share of each class, labels are known; what
    sees labels learns from these alone, and neighbours and probes are of them (1: of all).
    `labels_from` has a network of an earlier trial label what is trained on; evaluations have the
    true labels. Images are `standardise`d by mean and deviation of their `own` training split, by
    those of ImageNet, or by none; pretrained networks see them as they were trained, whatever it
    is. `thermal` says what is looked at of one's own pictures of 16 bits. `boxes` are cut out of
    pictures that are listed in a file at `path`, JSON of COCO or `samples.json` of FiftyOne, or of
    what masks in a folder there show, as those of MassMIND (`trainables.data.boxes.instances`).

    Folders may be of published forms. Of one with `train` and `val` alone (Imagenette, Imagewoof,
    Imagewang, Tiny-ImageNet) the latter is the test split. So many of 100 training labels are wrong
    (`noisy_labels`), as its `noisy_*.csv` lists them; validation keeps the true ones. With
    `unlabelled`, methods that see no labels learn from its folder `unsup` too; those that see them
    do not. `classes_file` lists the classes, in the order of a network's; images in a folder at
    `test_path` are the test split, such as ImageNet-A, -R, or one corruption and severity of -C.
    """

    name: Literal["digits", "fashion_mnist", "mnist", "cifar10", "cifar100", "folder", "boxes"] = (
        "digits"
    )
    split_seed: int = Field(default=0, ge=0)
    root: str = str(ROOT)
    copy_to: str | None = None
    path: str | None = None
    image_size: Annotated[int, Field(ge=8, le=512)] = 32
    channels: Literal[1, 3] = 3
    limit: Annotated[int, Field(ge=2)] | None = None
    long_tail: LongTail = LongTail()
    balanced: bool = False
    labels_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    labels_from: LabelsFrom = LabelsFrom()
    standardise: Literal["own", "imagenet", "none"] = "own"
    thermal: Thermal = Thermal()
    boxes: Boxes = Boxes()
    noisy_labels: Literal[0, 1, 5, 25, 50] = 0
    unlabelled: bool = False
    classes_file: str | None = None
    test_path: str | None = None

    @model_validator(mode="after")
    def _a_folder_has_a_path(self) -> Images:
        if self.is_own and self.path is None:
            raise ValueError(
                f"path must be given with data.name {self.name!r}: where the images are"
            )
        if self.is_own and self.thermal.scale != "bytes" and self.channels != 1:
            raise ValueError(
                f"channels must be 1 with data.thermal.scale {self.thermal.scale!r}, got "
                f"{self.channels}"
            )
        return self

    @model_validator(mode="after")
    def _some_labels_are_left_to_give(self) -> Images:
        if not self.labels_from.is_used:
            return self
        if self.labels_from.by != "classifier" and not self.has_unlabelled:
            raise ValueError(
                f"labels_share must be below 1 with data.labels_from.by {self.labels_from.by!r}, "
                f"which labels the images whose labels are not known, got {self.labels_share:g}"
            )
        if self.noisy_labels:
            raise ValueError(
                f"noisy_labels must be 0 with data.labels_from.by {self.labels_from.by!r}, since "
                f"images are labelled otherwise, got {self.noisy_labels}"
            )
        if self.name == "boxes" and self.boxes.takes_empty:
            raise ValueError(
                f"boxes.empty_pictures must be 'none' with data.labels_from.by, since "
                f"nothing in them can be labelled, got {self.boxes.empty_pictures!r}"
            )
        return self

    def void(self) -> frozenset[str]:
        """The place; what only a folder needs; a limit that is none; batches as they come."""
        void = {"root", "copy_to"} if self.limit is not None else {"root", "copy_to", "limit"}
        if not self.balanced:
            void.add("balanced")
        if self.labels_share == 1:
            void.add("labels_share")
        if self.standardise == "own":
            void.add("standardise")
        form = {name: getattr(self, name) for name in _FORM}
        void |= {name for name, value in form.items() if not value or self.name != "folder"}
        if self.name == "boxes":
            return frozenset(void)
        of_own = {"path", "image_size", "channels", "thermal"} if self.name != "folder" else set()
        return frozenset(void | of_own | {"boxes"})

    def _canonical(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return by_content(super()._canonical(plain), "path", "classes_file", "test_path")

    @property
    def is_own(self) -> bool:
        """Whether the images are people's own."""
        return self.name in ("folder", "boxes")

    def arguments(self) -> dict[str, Any]:
        """What of `trainables.data.images.load` not all images need."""
        boxes = self.boxes.arguments() if self.name == "boxes" else None
        thermal = self.thermal.arguments() if self.is_own else None
        form = {**self._form(), "is_listed": self.classes_file is not None}
        return {
            "thermal": thermal,
            "boxes": boxes,
            "form": form if self.name == "folder" else None,
            "labels_share": self.labels_share,
            "copy_to": self.copy_to,
            "standardise": self.standardise,
        }

    def _form(self) -> dict[str, Any]:
        """What of a folder's form is asked for."""
        test = None if self.test_path is None else Path(self.test_path)
        return {
            "noisy_labels": self.noisy_labels,
            "unlabelled": self.unlabelled,
            "test_path": test,
        }

    @property
    def has_unlabelled(self) -> bool:
        """Whether there are training images without labels."""
        if self.name == "boxes" and self.boxes.takes_empty:
            return True
        return self.labels_share < 1 or (self.unlabelled and self.name == "folder")

    @property
    def side(self) -> int:
        """The side of the images in pixels."""
        return self.image_size if self.is_own else IMAGE_SETS[self.name].image_size

    @property
    def num_channels(self) -> int:
        """The channels of the images: 1 or 3."""
        return self.channels if self.is_own else IMAGE_SETS[self.name].channels

    def facts(self) -> DataSet:
        """What the catalogue says of the set.

        Raises:
            LookupError, ValueError: a folder, or a list of boxes, is not there, or is damaged.
        """
        if not self.is_own:
            return IMAGE_SETS[self.name]
        path, sizes = Path(self.path or ""), (self.image_size, self.channels)
        if self.name == "folder":
            form = self._form()
            form["classes_file"] = None if self.classes_file is None else Path(self.classes_file)
            return folder_facts(path, *sizes, **form)
        seed, options = self.split_seed, self.boxes.options()
        return boxes_facts(path, *sizes, seed, options, Path(self.root))

    def missing(self) -> str | None:
        """One sentence on what to run, or what to put where; None if the images are there."""
        try:
            return self.facts().missing(Path(self.root))
        except (LookupError, ValueError) as error:
            return str(error)
