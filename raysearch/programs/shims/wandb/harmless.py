"""What stands for whatever of W&B has no meaning in a search: it takes everything, does nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

_said: set[str] = set()


def say(text: str) -> None:
    """Writes a line to standard error, the same one only once."""
    if text not in _said:
        _said.add(text)
        sys.stderr.write(f"raysearch: {text}\n")


class _Kind(type):
    """So that `wandb.SomeClass.some_method(…)` does nothing too."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Harmless()


class Harmless(metaclass=_Kind):
    """An object of which every attribute, item and result is one of its kind."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Harmless()

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Nothing; as a decorator it leaves the function as it is."""
        plain = len(arguments) == 1 and not named and callable(arguments[0])
        return arguments[0] if plain else Harmless()

    def __getitem__(self, key: Any) -> Any:
        return Harmless()

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return False

    def __contains__(self, key: Any) -> bool:
        return False

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def __str__(self) -> str:
        return ""


def harmless(name: str, path: str) -> Any:
    """What stands for the attribute `name` of W&B: a class for a class, an error for an error."""
    say(f"{path} does nothing in a search")
    if not name[:1].isupper():
        return Harmless()
    if name.endswith(("Error", "Exception")):
        return type(name, (Exception,), {})
    return _Kind(name, (Harmless,), {})
