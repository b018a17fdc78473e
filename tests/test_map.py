"""The page on architecture names what there is: each package, and each file beside packages."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
ROOMS = PAGE.partition("\n## The rooms")[2].partition("\n## ")[0]


def tracked() -> list[Path]:
    """All files of the project, as git lists them; without git all that lie here."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        return [Path(line) for line in done.stdout.splitlines() if (ROOT / line).exists()]
    return [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]


def named(text: str) -> set[str]:
    """Paths of the last cells of rows: a folder ends with a slash."""
    cells = [line.rstrip(" |").rpartition("|")[2] for line in text.splitlines() if "|" in line]
    return set(re.findall(r"`([\w./]+)`", "\n".join(cells)))


def there(files: list[Path]) -> set[str]:
    """What has to be named: what lies on top, packages of the code, and modules beside them."""
    found = set[str]()
    for path in files:
        if path.parts[0].startswith("."):
            continue
        if path.parts[0] not in ("raysearch", "trainables"):
            found.add(path.name if len(path.parts) == 1 else f"{path.parts[0]}/")
        elif path.name == "__init__.py" and len(path.parts) > 2:
            found.add(f"{path.parent}/")
        elif len(path.parts) == 2 and path.suffix == ".py" and path.name != "__init__.py":
            found.add(str(path))
    return found


def test_the_page_names_each_package_and_file_and_no_other() -> None:
    assert named(ROOMS) == there(tracked())


def test_the_six_files_exist() -> None:
    six = PAGE.partition("## Six files")[2].partition("\n## ")[0]
    paths = re.findall(r"^\d\. `([^`]+)`", six, re.MULTILINE)
    assert len(paths) == 6 and all((ROOT / path).is_file() for path in paths)


def test_the_glossary_has_twenty_words() -> None:
    rows = re.findall(r"^\| (\w[\w ]*) \|", PAGE.partition("## Glossary")[2], re.MULTILINE)
    words = [word for word in rows if word != "word"]
    assert len(words) == 20 == len(set(words))


def test_what_is_missing_or_gone_is_found() -> None:
    page = "| a | `raysearch/gone/` `README.md` |\n`raysearch/named.py` in words"
    files = [Path("README.md"), Path("raysearch/new.py"), Path("raysearch/new/__init__.py")]
    assert named(page) - there(files) == {"raysearch/gone/"}
    assert there(files) - named(page) == {"raysearch/new.py", "raysearch/new/"}
