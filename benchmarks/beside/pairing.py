"""The original and ours as a pair: the same weights and inputs, and a step of each to repeat."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

SEED = 1
SLOTS = "sa_generalization"
"""The package of the original of most parts."""

Step = Callable[[], Mapping[str, Any]]
Gradients = Callable[[], tuple[dict[str, Tensor], dict[str, Tensor]]]
Renaming = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
"""Values under the original's names → the same under our names, in our layout."""


class Sides(NamedTuple):
    """One computation, twice: each step does it once and returns its outputs by name.

    `gradients` are those that the last steps have left, of the original and of ours, by our names.
    `exact`, if it is there, are gradients of the same weights and inputs in double precision; it
    ends the use of the pair.
    """

    original: Step
    ours: Step
    gradients: Gradients = lambda: ({}, {})
    exact: Callable[[], dict[str, Tensor]] | None = None


@dataclass(frozen=True)
class Case:
    """What is done by both: compared, or timed (and its memory measured), or all of it.

    What `build` makes has the default type of torch.
    """

    name: str
    build: Callable[[], Sides]
    is_compared: bool = True
    is_timed: bool = False


def find(checkout: Path, package: str = SLOTS) -> None:
    """Puts a checkout of the original, or what is below its `src`, on the path of imports.

    Raises:
        LookupError: it does not hold the package, nor a module of that name.
    """
    for folder in (checkout, checkout / "src"):
        if (folder / package).is_dir() or (folder / f"{package}.py").is_file():
            if str(folder.resolve()) not in sys.path:
                sys.path.insert(0, str(folder.resolve()))
            return
    raise LookupError(f"--original must be a folder with {package}/ in it, got {checkout}")


def package_of(part: Any) -> str:
    """The package of the original that the module of a part is compared with."""
    return getattr(part, "PACKAGE", SLOTS)


def original(module: str, package: str = SLOTS) -> Any:
    """A module of the original, by its path below the package."""
    return importlib.import_module(f"{package}.{module}")


@contextlib.contextmanager
def quietly() -> Generator[None]:
    """For building the original: it prints each layer, and torch warns of an old call."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def noise(*shape: int) -> Tensor:
    """The noise that the original draws next after `torch.manual_seed(SEED)`."""
    torch.manual_seed(SEED)
    return torch.randn(shape)


def paired(theirs: nn.Module, ours: nn.Module, renamed: Renaming) -> Gradients:
    """Gives ours the weights of the original; returns how to get at the gradients of both.

    Parameters that are all 0 or all 1 are moved before: as they are, they would hide a bias or a
    scale in the wrong place.

    Raises:
        LookupError: a parameter on one side has no counterpart.
    """
    trained = {name: one for name, one in theirs.named_parameters() if one.requires_grad}
    mine = dict(ours.named_parameters())
    with torch.no_grad():
        for parameter in trained.values():
            if (parameter == parameter.flatten()[0]).all():
                parameter.add_(0.1 * torch.randn_like(parameter))
        values = renamed(trained)
        if alone := set(values) ^ set(mine):
            raise LookupError(f"parameters without a counterpart: {', '.join(sorted(alone))}")
        for name, parameter in mine.items():
            parameter.copy_(values[name].reshape(parameter.shape))

    def gradients() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        first = renamed({name: gradient(one) for name, one in trained.items()})
        first = {name: value.reshape(mine[name].shape) for name, value in first.items()}
        return first, {name: gradient(one) for name, one in mine.items()}

    return gradients


def gradient(tensor: Tensor) -> Tensor:
    """The gradient of a leaf; zeros where none has come."""
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def below(named: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin with a prefix, without it."""
    return {
        name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)
    }


def moved(named: Mapping[str, Tensor], places: Mapping[str, str]) -> dict[str, Tensor]:
    """Those below a key of `places`, below its value instead; prefixes end in a dot, or are all."""
    return {
        new + rest: value
        for old, new in places.items()
        for rest, value in below(named, old).items()
    }
