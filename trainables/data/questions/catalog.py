"""What is known of CLEVR's questions, and where they lie; nothing is read here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from trainables.data.root import ROOT
from trainables.data.scenes.catalog import SCENE_SETS, SceneSet
from trainables.data.scenes.facts import MANIFEST, missing_files

_SCENES = "clevr"


@dataclass(frozen=True)
class QuestionSet:
    """Facts of a set of questions about the pictures of a set of scenes, in whose files they are.

    `viewer` names what shows some of it.
    """

    name: str
    what: str
    splits: dict[str, int]
    viewer: ClassVar[str] = "trainables.figures.questions:show_questions"
    size: ClassVar[int] = 0

    @property
    def scenes(self) -> SceneSet:
        """The set whose files it is in."""
        return SCENE_SETS[_SCENES]

    @property
    def source(self) -> str:
        """Where it comes from."""
        return self.scenes.source

    @property
    def licence(self) -> str:
        """Under what it may be used."""
        return self.scenes.licence

    def looked_for(self, root: Path | None = None) -> Sequence[Path]:
        """The folder of the files that it is in."""
        return self.scenes.looked_for(root)

    def stores(self, root: Path | None = None) -> list[Path]:
        """The folders of all that is prepared of it, of made ones too."""
        prepared = (root or ROOT) / "prepared"
        found = [*prepared.glob(f"{self.name}-*"), *prepared.glob(f"made-{self.name}-*")]
        return sorted(each for each in found if (each / MANIFEST).is_file())

    def folder(
        self, root: Path, *, made: bool, image_size: int, crop: str, interpolation: str
    ) -> Path:
        """Where its arrays lie, of published files or of made ones."""
        prefix = "made-" if made else ""
        return root / "prepared" / f"{prefix}{self.name}-{image_size}-{crop}-{interpolation}"

    def missing(self, root: Path | None = None) -> str | None:
        """One sentence on what to run; None if its files or something prepared are there."""
        if self.stores(root) or self.scenes.found(self.scenes.folder(root or ROOT)):
            return None
        return missing_files(self.scenes, root or ROOT)

    def get(self, root: Path | None, given: Path | None, say: Callable[[str], None]) -> None:
        """Fetches the files that it is in, as those of the scenes."""
        self.scenes.get(root, given, say)

    def check(self, root: Path | None = None) -> Sequence[str]:
        """What is wrong with what was prepared of it: a sentence each."""
        from trainables.data.questions import store

        problem = self.missing(root)
        if problem:
            return [problem]
        return [each for path in self.stores(root) for each in store.check(path)]

    def prepare(
        self,
        root: Path | None,
        *,
        made: bool = False,
        image_size: int | None = None,
        crop: str | None = None,
        interpolation: str | None = None,
        sizes: Mapping[str, int] | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        say: Callable[[str], None] = lambda text: None,
    ) -> Path:
        """Makes arrays of it, see `trainables.data.questions.prepare`; the frame as of the scenes.

        Raises:
            LookupError: the files are not there. ValueError: an option or a file is wrong.
        """
        from trainables.data.questions.prepare import prepare
        from trainables.data.scenes.frames import Frame

        below = root or ROOT
        given = {"image_size": image_size, "crop": crop, "interpolation": interpolation}
        chosen: dict[str, Any] = dict(self.scenes.customary)
        chosen |= {name: value for name, value in given.items() if value is not None}
        size, by = chosen["image_size"], chosen["crop"]
        there = self.scenes.folder(below, made=made, image_size=size, crop=by)
        files = self.scenes.found(there)
        if not files:
            making = f"no made {_SCENES} is at {there}; run `raysearch data make {_SCENES}`"
            raise LookupError(making if made else missing_files(self.scenes, below))
        settings = {
            "name": self.name,
            "made": made,
            **chosen,
            "sizes": dict(sizes or {}),
            "files": {path.name: path.stat().st_size for path in files if path.is_file()},
        }
        return prepare(
            self.folder(below, made=made, **chosen),
            files,
            frame=Frame(**chosen),
            sizes=sizes or {},
            settings=settings,
            progress=progress,
            say=say,
        )


CLEVR_QUESTIONS = QuestionSet(
    name="clevr_questions",
    what="ten questions on each of CLEVR's 100,000 pictures, with 28 answers",
    splits={"train": 70_000, "val": 15_000, "test": 15_000},
)
QUESTION_SETS = {CLEVR_QUESTIONS.name: CLEVR_QUESTIONS}
"""By name."""
