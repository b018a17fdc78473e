"""The option `--address`: the same verbs at a service somewhere else."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperOption

from raysearch.cli.options import plainly
from raysearch.errors import BadSetting

Head = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="RAYSEARCH_ADDRESS",
        help="A service: http://head:8267; its runs, store and MLflow are meant then.",
    ),
]
_PLACES = ("runs", "store", "tracking_uri")


def at_address(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the option `--address`, with which it is run at the service there."""

    def there(address: str, context: typer.Context) -> None:
        from raysearch.server.remote import Printed, Remote

        name = str(context.info_name)
        raise typer.Exit(Printed(Remote(address), [name, *as_typed(context)]).status)

    return with_address(there)(command)


def with_address(
    there: Callable[[str, typer.Context], None],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the option `--address`, with which `there` is called in its place."""

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters

        @wraps(command)
        def either(context: typer.Context, address: str | None = None, **options: Any) -> None:
            with plainly():
                given = _address(address, context)
            if given is None:
                command(**({"context": context} if "context" in own else {}), **options)
                return
            with plainly():
                there(given, context)

        empty = inspect.Parameter.empty
        added = {
            name: inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )
            for name, default, annotation in (
                ("context", empty, typer.Context),
                ("address", None, Head),
            )
        }
        return declared(either, [*({**own, **added}).values()])

    return wrap


def declared(
    command: Callable[..., None], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """A command that takes just these parameters, as typer reads them."""
    named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    function: Any = command
    function.__signature__ = inspect.Signature(named)
    function.__annotations__ = {one.name: one.annotation for one in named}
    function.__dict__.pop("__wrapped__", None)  # its annotations would be read in place of these
    return function


def _address(address: str | None, context: typer.Context) -> str | None:
    """The address that is meant: places that are typed are meant here, whatever is exported."""
    placed = [one for one in _PLACES if _is_typed(context, one)]
    if address is None or not placed:
        return address
    if _is_typed(context, "address"):
        option = f"--{placed[0].replace('_', '-')}"
        raise BadSetting(f"{option} is for searches here: the service at --address has its own")
    return None


def as_typed(context: typer.Context) -> list[str]:
    """The arguments of a command as they were typed, without the address."""
    options, arguments = list[str](), list[str]()
    for parameter in context.command.params:
        name, value = str(parameter.name), context.params.get(str(parameter.name))
        if name == "address" or not _is_typed(context, name):
            continue
        several = value if isinstance(value, list | tuple) else [value]
        if isinstance(parameter, TyperArgument):
            arguments += [str(one) for one in several]
        elif isinstance(parameter, TyperOption) and parameter.is_flag:
            options.append(parameter.opts[0] if value else parameter.secondary_opts[0])
        else:
            options += [f"{parameter.opts[0]}={one}" for one in several]
    return [*arguments, *options]


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
