"""Names → trackers: ours, those of other packages, and any `module:attribute`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from raysearch.errors import BadSetting
from raysearch.extras import require
from raysearch.sweeps.plugins import TRACKERS, plugin
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.tracking.mlflow.address import NOWHERE, consumer
from raysearch.tracking.tracker import Place, Tracker

DEFAULT = "mlflow"
"""What `--track` is where it is not given."""
_TITLES = {"mlflow": "MLflow", "tensorboard": "TensorBoard"}


def read_track(text: str) -> tuple[str, ...]:
    """The names in `mlflow,tensorboard`, in this order; of `none` there are none.

    Raises:
        LookupError: a name that nobody has; lists what is on offer. ValueError: one that is there
            twice, `none` beside another, or a package that is not installed.
    """
    names = [name.strip() for name in text.split(",")]
    if names == ["none"]:
        return ()
    for name in names:
        if names.count(name) > 1:
            raise BadSetting(f"--track must name each tracker once, got {text!r}")
        if name == "none":
            raise BadSetting(f"--track must be none alone, or names of trackers, got {text!r}")
        factory(name)
    return tuple(names)


def factory(name: str) -> Callable[[Place], Tracker]:
    """What makes a tracker of that name. Raises as `read_track`."""
    if name == "mlflow":
        return _mlflow
    if name == "tensorboard":
        require("tensorboard", "--track tensorboard")
        return _tensorboard
    found: Any = plugin(TRACKERS, "--track", name, ["none", *_TITLES])
    if not callable(found):
        raise BadSetting(
            f"--track {name!r} must name what makes a tracker of a place, as a class does, got a "
            f"{type(found).__name__}"
        )
    return cast("Callable[[Place], Tracker]", found)


def made(name: str, place: Place) -> Tracker:
    """A tracker of that name. Raises as `read_track`, or whatever it raises itself."""
    found: Any = factory(name)(place)
    if not isinstance(found, Tracker):
        raise BadSetting(
            f"--track {name!r} must make a raysearch.tracking.tracker.Tracker, got a "
            f"{type(found).__name__}"
        )
    return found


def title(name: str) -> str:
    """What a tracker is called in a sentence."""
    return _TITLES.get(name, name)


def tracked(spec: SearchSpec) -> str:
    """The trackers that a search began with, as `--track` names them."""
    return str((spec.request or {}).get("track") or DEFAULT)


def places(text: str, place: Place) -> list[str]:
    """The names in a `--track`, without MLflow where its address is `none`; nothing is checked."""
    names = [name.strip() for name in text.split(",")]
    return [one for one in names if one != "none" and not _is_nowhere(one, place.uri)]


def cursor_name(name: str, place: Place) -> str:
    """The name under which the cursor of a tracker is kept in the store."""
    return consumer(place.uri, place.store) if name == "mlflow" else f"tracker:{name}"[:120]


def _is_nowhere(name: str, uri: str) -> bool:
    return name == "mlflow" and uri == NOWHERE


def _mlflow(place: Place) -> Tracker:
    from raysearch.tracking.mlflow.tracker import Mlflow

    return Mlflow(place)


def _tensorboard(place: Place) -> Tracker:
    from raysearch.tracking.tensorboard import TensorBoard

    return TensorBoard(place)
