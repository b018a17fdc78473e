"""A service at its address, from anywhere: one sentence for each way in which it may refuse."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from raysearch.driver.plan import Plan, Request, check_name, check_study, plan
from raysearch.driver.resources import Machine
from raysearch.errors import KINDS, BadSetting, UnknownName, Unreachable
from raysearch.events.encoding import decode
from raysearch.events.log import Event
from raysearch.events.reading import fact_of
from raysearch.files import appearing, make_folder
from raysearch.pages.writing import PAGE
from raysearch.passwords import hidden
from raysearch.provenance.archive import Package
from raysearch.provenance.unarchive import unpack
from raysearch.results.finding import Finding
from raysearch.results.view import SearchView
from raysearch.server.state import token
from raysearch.settings import Settings
from raysearch.terminal import say_piece
from raysearch.verbs import Filter
from raysearch.version import HEADER, version

if TYPE_CHECKING:
    import requests

_FAULT = 70
"""The exit status of a command that ended by a fault of raysearch."""
_CONNECT, _ANSWER, _SEND = 10.0, 120.0, 600.0
"""Seconds until somebody listens, until it answers, and for a package."""


class ServiceFault(RuntimeError):
    """Something went wrong at a service that nobody foresaw: no bad input, but a fault of it."""


class Remote:
    """The service at `http://head:8267`.

    Every method raises ConnectionError for no token, a wrong one, nobody who listens, or another
    version of raysearch there; what the service refuses is of the kind that it would be there.
    ServiceFault is a fault of the service itself.
    """

    def __init__(self, address: str) -> None:
        self.address = _checked(address)

    def cluster(self) -> dict[str, Any]:
        """Nodes, the folder of runs on the head, version."""
        return self._ask("GET", "/cluster").json()

    def machine(self) -> Machine:
        """The resources of its cluster."""
        nodes = self.cluster()["nodes"]
        return Machine.cluster(Machine(one["cpus"], one["gpus"], one["memory"]) for one in nodes)

    def run(self, arguments: Sequence[str], width: int | None = None) -> Iterator[dict[str, Any]]:
        """Runs a verb there: `{"out": text}`, `{"err": text}`, and `{"exit": status}` at last.

        It ends there when this iterator is closed.
        """
        body = {"arguments": list(arguments), "width": width}
        with self._ask("POST", "/run", json=body, stream=True) as answer:
            for line in self._lines(answer):
                yield json.loads(line)

    def said(self, arguments: Sequence[str]) -> str:
        """What a verb prints. Raises what the verb itself would raise."""
        out, err, status, kind = "", "", 0, ""
        for message in self.run(arguments):
            out, err = out + message.get("out", ""), err + message.get("err", "")
            status, kind = message.get("exit", status), message.get("kind", kind)
        if status == 2:
            raise KINDS.get(kind, BadSetting)(err.strip().removeprefix("error: "))
        if status == _FAULT:
            raise ServiceFault(f"{self.address}: {err.strip()}")
        return out

    def events(self, name: str, after: int = 0) -> Iterator[Event]:
        """The events of a search after number `after`."""
        place = f"/events/{_name(name)}"
        with self._ask("GET", place, params={"after": after}, stream=True) as answer:
            for line in self._lines(answer):
                said = decode(line)
                body = fact_of(said["kind"], said["body"])
                yield Event(said["seq"], name, said["trial"], said["time"], body)

    def state(self, name: str) -> dict[str, Any]:
        """`state`, `holder` (who drives it), `folder`, and of a submission `reason`, `lines`."""
        return self._ask("GET", f"/holder/{_name(name)}").json()

    def view(self, name: str) -> SearchView:
        """All that is known of a search."""
        return SearchView.of(name, list(self.events(name)))

    def stop(self, name: str, trial: int | None = None) -> None:
        """Asks the driver of a search there to end it, or one trial."""
        self.said(["stop", _name(name), *([] if trial is None else [f"--trial={trial}"])])

    def listed(self, chosen: Filter) -> list[dict[str, Any]]:
        """The searches that are meant, a record for each."""
        tags = [name if value is None else f"{name}={value}" for name, value in chosen.tags.items()]
        asked = {"group": chosen.group, "text": chosen.text, "tag": tags}
        return self._ask("GET", "/searches", params=asked).json()

    def findings(self, name: str) -> list[Finding]:
        """What disagrees of a search there."""
        found = json.loads(self.said(["check", _name(name), "--json"]))
        return [Finding(**each) for each in found]

    def report(self, name: str, folder: Path, by: str | None = None) -> Path:
        """Writes the report of a search into a folder, over an old one; returns its page."""
        asked = {} if by is None else {"by": by}
        path = f"/report/{_name(name)}"
        answer = self._ask("GET", path, params=asked, timeout=(_CONNECT, _SEND))
        make_folder(folder.parent.parent)
        make_folder(folder.parent)
        with appearing(folder, prefix=".report-") as fresh:
            fresh.mkdir()
            unpack(answer.content, fresh)
            fresh.chmod(0o755)
            if folder.exists() and not (folder / PAGE).is_file():
                raise BadSetting(f"{folder} must be free for the report, and is no report")
        return folder / PAGE

    def plan(self, request: Request, package: Package) -> Plan:
        """Checks a request for the cluster that is there, as far as that can be done from here.

        Raises:
            LookupError, ValueError: as `raysearch.driver.plan.plan`. Whether data is there is
                not asked.
        """
        if request.known is not None and request.known not in package.names:
            raise BadSetting(
                f"--known must be a file of the working tree, relative to it and not ignored by "
                f"git, got {request.known!r}"
            )
        planned = plan(request, Settings.locate(tracking_uri="none"), self.machine(), quick=True)
        check_study(planned.spec.sampler, planned.spec.pruner, planned.sweep, planned.space)
        if request.name is not None:
            check_name(request.name)
        if request.of is not None:
            self.state(request.of)
        return planned

    def submit(self, request: Request, planned: Plan, package: Package) -> str:
        """Sends a checked request with its code; returns the name of its search at once."""
        if not self._ask("GET", f"/code/{package.digest}").json()["known"]:
            self._ask("PUT", "/code", data=package.content, timeout=(_CONNECT, _SEND))
        options = request.to_json()
        asked = {
            "space": options.pop("space"),
            "overrides": options.pop("overrides"),
            "options": options,
            "code": package.digest,
            "stem": planned.sweep.name.rpartition(".")[2],
            "command": hidden(" ".join(["raysearch", *sys.argv[1:]])),
        }
        return self._ask("POST", "/submit", json=asked).json()["name"]

    def _ask(self, method: str, place: str, **options: Any) -> requests.Response:
        import requests

        try:
            secret = token()
        except UnknownName as error:
            raise Unreachable(str(error)) from None

        def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {secret}"  # ~/.netrc has no say in it
            return request

        options.setdefault("timeout", (_CONNECT, None if options.get("stream") else _ANSWER))
        try:
            answer = requests.request(
                method,
                f"{self.address}{place}",
                auth=sign,
                headers={HEADER: version()},
                allow_redirects=False,
                **options,
            )
        except requests.RequestException as error:
            raise Unreachable(self._away(error)) from None
        self._refuse(answer)
        return answer

    def _refuse(self, answer: requests.Response) -> None:
        there = answer.headers.get(HEADER)
        if there is None and answer.status_code == 503:
            raise Unreachable(f"{self.address} is busy (status 503): try again")
        if there is None:
            raise Unreachable(
                f"--address must be that of a raysearch service, as http://head:8267; "
                f"{self.address} is something else (status {answer.status_code})"
            )
        if there != version():
            raise Unreachable(
                f"raysearch at {self.address} is version {there} and here it is {version()}: "
                f"install the same"
            )
        if answer.ok:
            return
        try:
            said = answer.json()
            sentence, kind = str(said["error"]), str(said["kind"])
        except (ValueError, KeyError, TypeError):
            sentence, kind = f"it answers with status {answer.status_code}", "Unreachable"
        if answer.status_code == 500:
            raise ServiceFault(f"{self.address}: {sentence}")
        if kind == "Unreachable":
            raise Unreachable(f"{self.address}: {sentence}")
        raise KINDS.get(kind, BadSetting)(sentence)

    def _lines(self, answer: requests.Response) -> Iterator[str]:
        """The lines of an answer as they come; an answer that breaks off is an error."""
        import requests

        rest = b""
        try:
            for piece in answer.iter_content(None):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line.decode()
        except requests.RequestException as error:
            raise Unreachable(self._away(error)) from None

    def _away(self, error: requests.RequestException) -> str:
        import requests

        if isinstance(error, requests.Timeout):
            return f"{self.address} does not answer in time: try again, or look at the head"
        if isinstance(error, requests.ConnectionError):
            return (
                f"nobody listens at {self.address}: is `raysearch serve` running there, and is the "
                f"address right?"
            )
        return f"the answer of {self.address} broke off ({type(error).__name__}): try again"


class Printed:
    """What a verb says there, printed here as it comes."""

    status = 0

    def __init__(self, remote: Remote, arguments: Sequence[str]) -> None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for message in remote.run(arguments, width):
            self._take(message)

    def _take(self, message: Mapping[str, Any]) -> None:
        if "out" in message:
            say_piece(message["out"])
        elif "err" in message:
            say_piece(message["err"], err=True)
        else:
            self.status = int(message["exit"])


def _checked(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise BadSetting(f"--address must be as http://head:8267, got {hidden(address)!r}")
    return address.rstrip("/")


def _name(name: str) -> str:
    """The name of a search, as a part of a path. Raises UnknownName for what can be none."""
    try:
        check_name(name)
    except BadSetting:
        raise UnknownName(f"no search is named {name!r}") from None
    return name
