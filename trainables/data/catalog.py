"""The catalogue of data sets: sources, shapes, and commands to get and prepare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from trainables.data import places, published
from trainables.data.detection.catalog import DETECTION_SETS, DetectionSet
from trainables.data.facts import File as File
from trainables.data.facts import ImageFacts
from trainables.data.names import CIFAR10_CLASSES, CIFAR100_CLASSES, FASHION_CLASSES
from trainables.data.questions.catalog import QUESTION_SETS, QuestionSet
from trainables.data.root import ROOT as ROOT
from trainables.data.scenes.catalog import SCENE_SETS, SceneSet


class DataSet(ImageFacts):
    """A set of images, with what can be done with it; `viewer` names what shows some of it."""

    viewer: ClassVar[str] = "trainables.figures.data_sets:show_images"

    def missing(self, root: Path | None = None) -> str | None:
        """One sentence on what to run, or what to put where; None if it is there."""
        return places.missing(self, root or ROOT)

    def get(self, root: Path | None, given: Path | None, say: Callable[[str], None]) -> None:
        """Fetches it into a root, or takes it from a file or archive that is `given`.

        Raises:
            LookupError, ValueError, ConnectionError: one sentence on what was wrong.
        """
        from trainables.data import getting

        getting.get(self, root or ROOT, given, say)

    def check(self, root: Path | None = None) -> Sequence[str]:
        """What is wrong with its files, and with what was made of them: a sentence each."""
        return places.check(self, root or ROOT)


def _idx(base: Sequence[str], *files: tuple[str, int, str, str]) -> tuple[tuple[File, ...], ...]:
    """The forms of a set of gzip IDX files: as they come, or unpacked."""
    packed = [
        File(f"{name}.gz", size, checksum, content, tuple(f"{url}{name}.gz" for url in base))
        for name, size, checksum, content in files
    ]
    plain = [File(name, 0, content, content) for name, _, _, content in files]
    return tuple(packed), tuple(plain)


def _archive(
    name: str, size: int, checksum: str, folder: str, *members: tuple[str, str]
) -> tuple[tuple[File, ...], ...]:
    """The forms of a CIFAR set: its archive, or the folder that is in it."""
    url = f"https://www.cs.toronto.edu/~kriz/{name}"
    unpacked = tuple(File(f"{folder}/{member}", 0, md5) for member, md5 in members)
    return (File(name, size, checksum, urls=(url,)),), unpacked


DIGITS = DataSet(
    name="digits",
    source="scikit-learn load_digits (UCI, Alpaydin and Kaynak 1998): comes with the package",
    licence="CC BY 4.0",
    image_size=8,
    channels=1,
    classes=tuple(str(digit) for digit in range(10)),
    splits={"train": 1197, "val": 300, "test": 300},
    what="1,797 handwritten digits, 8 × 8 grey",
)

FASHION_MNIST = DataSet(
    name="fashion_mnist",
    source="https://github.com/zalandoresearch/fashion-mnist (Xiao et al. 2017)",
    licence="MIT",
    image_size=28,
    channels=1,
    classes=FASHION_CLASSES,
    splits={"train": 50_000, "val": 10_000, "test": 10_000},
    what="70,000 garments of 10 kinds, 28 × 28 grey",
    forms=_idx(
        ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"],
        (
            "train-images-idx3-ubyte",
            26_421_880,
            "sha256:3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        (
            "train-labels-idx1-ubyte",
            29_515,
            "sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        (
            "t10k-images-idx3-ubyte",
            4_422_102,
            "sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        (
            "t10k-labels-idx1-ubyte",
            5_148,
            "sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            "sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    places=("fashion_mnist", "FashionMNIST/raw", "/usr/share/datasets/fashion-mnist"),
    package="dataset-fashion-mnist",
)

MNIST = DataSet(
    name="mnist",
    source="http://yann.lecun.com/exdb/mnist (LeCun et al. 1998)",
    licence="CC BY-SA 3.0",
    image_size=28,
    channels=1,
    classes=tuple(str(digit) for digit in range(10)),
    splits={"train": 50_000, "val": 10_000, "test": 10_000},
    what="70,000 handwritten digits, 28 × 28 grey",
    forms=_idx(
        [
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ],
        (
            "train-images-idx3-ubyte",
            9_912_422,
            "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "sha256:ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        (
            "train-labels-idx1-ubyte",
            28_881,
            "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "sha256:65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        (
            "t10k-images-idx3-ubyte",
            1_648_877,
            "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "sha256:0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        (
            "t10k-labels-idx1-ubyte",
            4_542,
            "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "sha256:ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    places=("mnist", "MNIST/raw"),
)

CIFAR10 = DataSet(
    name="cifar10",
    source="https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky 2009)",
    licence="none stated; cite the report",
    image_size=32,
    channels=3,
    classes=CIFAR10_CLASSES,
    splits={"train": 45_000, "val": 5_000, "test": 10_000},
    what="60,000 photographs of 10 kinds, 32 × 32 colour",
    forms=_archive(
        "cifar-10-python.tar.gz",
        170_498_071,
        "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        "cifar-10-batches-py",
        ("data_batch_1", "md5:c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "md5:d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "md5:54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "md5:634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "md5:482c414d41f54cd18b22e5b47cb7c3cb"),
        ("test_batch", "md5:40351d587109b95175f43aff81a1287e"),
    ),
    places=("cifar10", "."),
)

CIFAR100 = DataSet(
    name="cifar100",
    source="https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky 2009)",
    licence="none stated; cite the report",
    image_size=32,
    channels=3,
    classes=CIFAR100_CLASSES,
    splits={"train": 45_000, "val": 5_000, "test": 10_000},
    what="60,000 photographs of 100 kinds, 32 × 32 colour",
    forms=_archive(
        "cifar-100-python.tar.gz",
        169_001_437,
        "sha256:85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        "cifar-100-python",
        ("train", "md5:16019d7e3df5f24257cddd939b257f8d"),
        ("test", "md5:f0ef6b0ae62326f3e7ffdfab6717acfc"),
    ),
    places=("cifar100", "."),
)

FOLDER = DataSet(
    name="folder",
    source="images of your own, at data.path",
    licence="yours",
    image_size=0,
    channels=0,
    classes=(),
    splits={},
    what="one sub-folder for each class, or train, val and test with such sub-folders",
)

BOXES = DataSet(
    name="boxes",
    source="boxes in pictures of your own, listed at data.path",
    licence="yours",
    image_size=0,
    channels=0,
    classes=(),
    splits={},
    what="JSON of COCO, samples.json of FiftyOne, or masks as MassMIND's; each box is an image",
)

IMAGE_SETS = {
    data_set.name: data_set
    for data_set in (DIGITS, FASHION_MNIST, MNIST, CIFAR10, CIFAR100, FOLDER, BOXES)
}
"""The sets for classification, by name."""

DATA_SETS: dict[str, DataSet | SceneSet | QuestionSet | DetectionSet] = {
    **IMAGE_SETS,
    **SCENE_SETS,
    **QUESTION_SETS,
    **DETECTION_SETS,
}
"""All sets, by name."""


def folder_facts(
    path: Path,
    image_size: int,
    channels: int,
    *,
    classes_file: Path | None = None,
    noisy_labels: int = 0,
    unlabelled: bool = False,
    test_path: Path | None = None,
) -> DataSet:
    """The facts of a folder of images, whose classes are its sub-folders, or those of `train`.

    With a `classes_file` they are those that it lists, with which the sub-folders are compared.
    What else is asked of it is there, if nothing is raised: see `trainables.data.images.load`.

    Raises:
        LookupError: there is no such folder, or there are fewer than two classes in it, or one that
            is not listed, or what is asked of it is not there. ValueError: the list is none.
    """
    names = places.class_names(path)
    classes = names if classes_file is None else published.listed_classes(classes_file)
    if classes_file is not None:
        published.check_listed(names, classes, classes_file)
    if noisy_labels:
        published.noisy_list(path)
    if unlabelled:
        published.unlabelled_folder(path)
    if test_path is not None and not test_path.is_dir():
        raise LookupError(
            f"data.test_path must be a folder of images, and there is none at {str(test_path)!r}"
        )
    return replace(FOLDER, image_size=image_size, channels=channels, classes=tuple(classes))


def boxes_facts(
    path: Path,
    image_size: int,
    channels: int,
    seed: int,
    options: Mapping[str, Any],
    root: Path = ROOT,
) -> DataSet:
    """The facts of boxes that are listed in a file, or of masks in a folder, whose boxes are kept
    below a root; their classes depend on their splits.

    Raises:
        LookupError, ValueError: as `trainables.data.boxes.crops.crops`.
    """
    from trainables.data.boxes import crops

    found = crops.crops(path, seed, crops.Options(**options), root)
    return replace(BOXES, image_size=image_size, channels=channels, classes=found.classes)
