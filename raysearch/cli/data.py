"""Commands about data sets: what there is, getting or making one, preparing, checking them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from raysearch.cli.options import FINISHED, NOTHING_COMPLETED, Json, app, plainly
from raysearch.errors import BadSetting, UnknownName, foreign
from raysearch.settings import EXPERIMENTS
from raysearch.sweeps.catalog import data_sets, find_data_set, find_maker
from raysearch.sweeps.data_sets import Prepared, Progress, facts, sample_of
from raysearch.terminal import make_console, print_json, say, table_of
from raysearch.terminal import show as show_table

group = typer.Typer(
    help="List the data sets, show one, get, make or prepare one, check them.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(group, name="data")

Root = Annotated[
    Path | None,
    typer.Option("--root", help="Folder of data sets; default data. Runs read it by data.root."),
]
Set = Annotated[str, typer.Argument(help="Name of a data set.")]
ImageSize = Annotated[
    int | None,
    typer.Option("--image-size", min=1, help="Side (height, of whole ones) of prepared pictures."),
]
Crop = Annotated[str | None, typer.Option("--crop", help="none, centre, google, square or whole.")]
Interpolation = Annotated[
    str | None, typer.Option("--interpolation", help="nearest or bilinear.", show_default=False)
]
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@group.callback()
def list_sets(context: typer.Context, root: Root = None, as_json: Json = False) -> None:
    """List the data sets: what each is, licence, size, where it is looked for, if it is there."""
    if context.invoked_subcommand is not None:
        if root is not None or as_json:
            raise typer.BadParameter(f"--root and --json go behind {context.invoked_subcommand!r}")
        return
    with plainly():
        _show([facts(one, root) for one in data_sets(EXPERIMENTS).values()], as_json)


@group.command()
def get(
    name: Annotated[str, typer.Argument(help="Name of a data set.")],
    given: Annotated[
        Path | None,
        typer.Option("--from", help="A file of it, a folder with its files, or an archive."),
    ] = None,
    root: Root = None,
) -> None:
    """Get a data set from its home, resumed if it broke off, or from a file that is at hand."""
    with plainly(), foreign(f"data set {name}"):
        find_data_set(name, EXPERIMENTS).get(root, given, say)


@group.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Names; default all there are.")] = None,
    root: Root = None,
) -> None:
    """Check that the bytes of data sets, and what was made of them, are what they should be."""
    with plainly(), foreign("a data set"):
        known = data_sets(EXPERIMENTS)
        named = [find_data_set(name, EXPERIMENTS) for name in names or []]
        there = [one for one in known.values() if one.looked_for(root) and not one.missing(root)]
        sets = named or there
        found = {one.name: one.check(root) for one in sets}
    if not found:
        say("no data set is there; `raysearch data` lists them")
    for name, wrong in found.items():
        say(f"{name}: {'right' if not wrong else '; '.join(wrong)}")
    raise typer.Exit(NOTHING_COMPLETED if any(found.values()) else FINISHED)


@group.command()
def show(
    name: Set,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "train",
    count: Annotated[
        int, typer.Option(help="Scenes to show, or images of each class.", min=1, max=50)
    ] = 6,
    store: Annotated[
        str | None, typer.Option(help="Which prepared set, by the name of its folder.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Where to write it; default NAME.png.")
    ] = None,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Show some of a data set: a picture of it, the properties of what is there, numbers."""
    into = picture or Path(f"{name}.png")
    with plainly(), foreign(f"data set {name}"):
        found = find_data_set(name, EXPERIMENTS)
        if not into.parent.is_dir():
            raise BadSetting(f"--picture must be in a folder that is there, got {into}")
        if into.is_dir():
            raise BadSetting(f"--picture must be a file, got the folder {into}")
        sample = sample_of(found, root, split=split, count=count, store=store, into=into)
    if as_json:
        rows = [dict(row) for row in sample.rows]
        print_json({"picture": str(sample.picture), "facts": dict(sample.facts), "rows": rows})
        return
    for term, text in sample.facts.items():
        say(f"{term:<12}{text}")
    if sample.rows:
        columns = list(dict.fromkeys(key for row in sample.rows for key in row))
        show_table(
            table_of(columns, [[row.get(key, "") for key in columns] for row in sample.rows])
        )
    say(f"picture     {sample.picture}")


@group.command()
def prepare(
    name: Set,
    image_size: ImageSize = None,
    crop: Crop = None,
    interpolation: Interpolation = None,
    train: Annotated[int | None, typer.Option(help="Scenes for training.", min=0)] = None,
    val: Annotated[int | None, typer.Option(help="Scenes for validation.", min=0)] = None,
    test: Annotated[int | None, typer.Option(help="Scenes for the test.", min=0)] = None,
    root: Root = None,
    made: Annotated[
        bool, typer.Option("--made", help="Of made files, not published ones.")
    ] = False,
) -> None:
    """Bring the files of a data set into the form that runs read; goes on if it broke off."""
    told = {"train": train, "val": val, "test": test}
    sizes = {split: size for split, size in told.items() if size is not None}
    with plainly(), foreign(f"data set {name}"):
        _prepare(
            name,
            root,
            made=made,
            image_size=image_size,
            crop=crop,
            interpolation=interpolation,
            sizes=sizes or None,
        )


@group.command()
def make(
    name: Set,
    scenes: Annotated[
        int | None,
        typer.Option(help="How many; default 10000, of sets with boxes what they say.", min=1),
    ] = None,
    image_size: ImageSize = None,
    crop: Crop = None,
    seed: Annotated[int, typer.Option(help="By which they are drawn.", min=0)] = 0,
    rules: Annotated[
        list[str] | None, typer.Option("--rule", help="NAME=VALUE; one for each rule.")
    ] = None,
    equal_colors: Annotated[
        bool, typer.Option("--equal-colors", help="As --rule equal_colors=true.")
    ] = False,
    root: Root = None,
    prepares: Annotated[
        bool, typer.Option("--prepare/--no-prepare", help="Prepare it too.")
    ] = True,
) -> None:
    """Make scenes like those of a data set, in its own format, and prepare them."""
    with plainly(), foreign(f"data set {name}"):
        maker = find_maker(name, EXPERIMENTS)
        given = _rules(rules or []) | ({"equal_colors": True} if equal_colors else {})
        with _bar(f"making {name}") as progress:
            folder = maker.make(
                root,
                scenes=maker.customary if scenes is None else scenes,
                image_size=image_size,
                crop=crop,
                seed=seed,
                rules=given,
                progress=progress,
            )
        say(f"made: {folder}")
        if prepares:
            _prepare(name, root, made=True, image_size=image_size, crop=crop)


def _prepare(
    name: str,
    root: Path | None,
    *,
    made: bool,
    image_size: int | None,
    crop: str | None = None,
    interpolation: str | None = None,
    sizes: dict[str, int] | None = None,
) -> None:
    found = find_data_set(name, EXPERIMENTS)
    if not isinstance(found, Prepared):
        raise UnknownName(f"data set {name} is read as it is: there is nothing to prepare")
    with _bar(f"preparing {name}") as progress:
        folder = found.prepare(
            root,
            made=made,
            image_size=image_size,
            crop=crop,
            interpolation=interpolation,
            sizes=sizes,
            progress=progress,
            say=say,
        )
    say(f"prepared: {folder}")


def _rules(given: list[str]) -> dict[str, Any]:
    """Rules by name: numbers, true and false as such, all else as text."""
    import json

    found: dict[str, Any] = {}
    for rule in given:
        name, equals, value = rule.partition("=")
        if not (name and equals):
            raise BadSetting(f"--rule must be NAME=VALUE, got {rule!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


@contextmanager
def _bar(what: str) -> Generator[Progress]:
    """A progress bar on standard error, where that is a terminal."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()
    console = make_console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bars:
        bar = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def _show(rows: list[dict[str, object]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    for row in rows:
        size = row["bytes"]
        missing, places = row["missing"], row["looked for"]
        say(f"{row['name']}: {row['what']}")
        say(f"  licence    {row['licence']}")
        say(f"  source     {row['source']}")
        if isinstance(size, int) and size:
            say(f"  size       {_in_words(size)}")
        if isinstance(places, list) and places:
            say(f"  looked for {', '.join(map(str, places))}")
            say(f"  there      {'yes' if missing is None else f'no: {missing}'}")


def _in_words(size: int) -> str:
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{size} bytes"
