"""Which kept files a module uses."""

from __future__ import annotations

import pytest

from raysearch.record.imported import imported


def used(
    modules: list[str] | None = None, paths: list[str] | None = None, **files: str
) -> set[str]:
    """The files in use; `a__b_py` is the file a/b.py of the first root."""
    named = {
        name if name[0].isdigit() else f"0/{name.replace('__', '/').replace('_py', '.py')}": text
        for name, text in files.items()
    }
    contents = {name: text.encode() for name, text in named.items()}
    return set(imported(contents, paths or ["0"], modules or ["own"]))


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
    assert used(own_py=text, pieces_py="", other_py="") == {"own.py", "pieces.py"}


def test_imports_are_followed_through_packages_with_their_beginnings() -> None:
    files = {
        "own_py": "from p.q import deep",
        "p____init___py": "",
        "0/p/__init__.py": "from . import first",
        "0/p/first.py": "",
        "0/p/q/__init__.py": "",
        "0/p/q/deep.py": "from ..sibling import x\nfrom . import near",
        "0/p/q/near.py": "import own",
        "0/p/sibling.py": "",
        "0/p/unused.py": "",
    }
    del files["p____init___py"]
    assert used(**files) == {
        *("own.py", "p/__init__.py", "p/first.py", "p/q/__init__.py", "p/q/deep.py"),
        *("p/q/near.py", "p/sibling.py"),
    }


def test_the_first_folder_that_has_a_module_is_the_one() -> None:
    files = {"0/own.py": "import x", "1/src/x.py": "", "0/x.py": "import y", "1/src/y.py": ""}
    assert used(paths=["0", "1/src"], **files) == {"own.py", "x.py", "y.py"}


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
    assert used(own_py=text, **files) - {"own.py"} == expected


def test_this_package_is_not_part_of_what_it_runs() -> None:
    files = {"0/raysearch/__init__.py": "", "0/raysearch/errors.py": ""}
    assert used(own_py="from raysearch.errors import BadSetting", **files) == {"own.py"}


def test_what_cannot_be_parsed_counts_and_imports_nothing() -> None:
    assert used(own_py="import x", x_py="import y; def", y_py="") == {"own.py", "x.py"}


def test_a_content_that_differs_is_another_hash() -> None:
    one, other = (imported({"0/own.py": text}, ["0"], ["own"]) for text in (b"a", b"b"))
    assert one != other and imported({"0/own.py": b"a"}, ["0"], ["own"]) == one
