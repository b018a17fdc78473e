"""Which kept files a module uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from raysearch.provenance.used_sources import imported


def used(files: Mapping[str, str], paths: Sequence[str] = ("0",)) -> set[str]:
    """The files that the module `own` uses."""
    return set(imported({name: text.encode() for name, text in files.items()}, paths, ["own"]))


@pytest.mark.parametrize(
    "text",
    [
        "import pieces",
        "import pieces as p, os",
        "from pieces import x",
        "from . import pieces",
        "def f():\n    from pieces import x",
        "if False:\n    import pieces",
        "name = 'pieces'",
        "experiment = 'pieces:run'",
        "import importlib\nimportlib.import_module('pieces')",
    ],
)
def test_what_is_imported_in_any_way_is_in_use(text: str) -> None:
    assert used({"0/own.py": text, "0/pieces.py": "", "0/other.py": ""}) == {"own.py", "pieces.py"}


def test_imports_are_followed_through_packages_with_their_beginnings() -> None:
    files = {
        "0/own.py": "from p.q import deep",
        "0/p/__init__.py": "from . import first",
        "0/p/first.py": "",
        "0/p/q/__init__.py": "",
        "0/p/q/deep.py": "from ..sibling import x\nfrom . import near",
        "0/p/q/near.py": "import own",
        "0/p/sibling.py": "",
        "0/p/unused.py": "",
    }
    assert used(files) == {
        *("own.py", "p/__init__.py", "p/first.py", "p/q/__init__.py", "p/q/deep.py"),
        *("p/q/near.py", "p/sibling.py"),
    }


def test_the_first_folder_that_has_a_module_is_the_one() -> None:
    files = {"0/own.py": "import x", "1/src/x.py": "", "0/x.py": "import y", "1/src/y.py": ""}
    assert used(files, ["0", "1/src"]) == {"own.py", "x.py", "y.py"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("open('conf/base.yaml')", {"conf/base.yaml"}),
        ("open('base.yaml')", {"conf/base.yaml"}),
        ("open(f'conf/{name}.yaml')", {"conf/base.yaml", "conf/more.yaml"}),
        ("glob('*.toml')", {"pyproject.toml"}),
        ("'yaml'", set[str]()),
        ("pass", set[str]()),
    ],
)
def test_other_files_are_in_use_if_they_are_named(text: str, expected: set[str]) -> None:
    files = {"0/conf/base.yaml": "", "0/conf/more.yaml": "", "0/pyproject.toml": ""}
    assert used({"0/own.py": text, **files}) - {"own.py"} == expected


def test_this_package_is_not_part_of_what_it_runs() -> None:
    files = {"0/raysearch/__init__.py": "", "0/raysearch/errors.py": ""}
    assert used({"0/own.py": "from raysearch.errors import BadSetting", **files}) == {"own.py"}


def test_what_cannot_be_parsed_counts_and_imports_nothing() -> None:
    assert used({"0/own.py": "import x", "0/x.py": "import y; def", "0/y.py": ""}) == {
        "own.py",
        "x.py",
    }


def test_a_content_that_differs_is_another_hash() -> None:
    one, other = (imported({"0/own.py": text}, ["0"], ["own"]) for text in (b"a", b"b"))
    assert one != other and imported({"0/own.py": b"a"}, ["0"], ["own"]) == one
