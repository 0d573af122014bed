"""Serves the page on which a person settles doubtful numbers of sheets and tables, to this machine only.

The server listens on the loopback address. A request must have the random token in its path, and must call the server
by a name of this machine, so that a foreign host name that points here is refused. It must not come from another page.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sumnist.errors import ImageError, SumnistError
from sumnist.serve.app import HEADERS, STATIC, Metrics, TellingServer, answer_of, files_of, listening, url_of
from sumnist.serve.bodies import invalid
from sumnist.serve.problems import Problem, problem_of
from sumnist.sheets.layout import Layout, Person
from sumnist.sheets.review import Doubts, Recorder, Row, Value, Views, around, beside, export, number_of

NAMES = {"127.0.0.1", "localhost"}
"""The names of this machine."""
SECONDS = 10.0
"""The longest time for a request to arrive, in seconds."""
END_SECONDS = 5
"""The longest time for the last answers when the server ends, in seconds."""
MOST_BYTES = 4096
"""The most bytes of a request's body."""
LONGEST_IDENTITY = 100
"""The most characters of an identity."""
BESIDE = ("page.css", "review.css", "review.js", "review-fields.js", "words.js", "icon.svg")
FILES = {"": "review.html", **{f"static/{name}": name for name in BESIDE}}
"""The files that the server sends, by their paths behind the token. It sends no others."""
OWN = [*HEADERS, (b"cross-origin-resource-policy", b"same-origin"), (b"cross-origin-opener-policy", b"same-origin")]
"""The headers of every answer."""


class Answers:
    """The answers to the page's requests about rows that need a person: sheets, or columns of tables. Several threads
    may call the methods; methods that record are called by one thread at a time."""

    whole: Callable[[int], tuple[bytes, tuple[int, int]]]
    """The picture of a row as JPEG, and its size. Raises `ImageError`."""

    def __init__(self, rows: Iterable[int], recorder: Recorder) -> None:
        self.rows, self.recorder = [*rows], recorder

    @property
    def left(self) -> int:
        """How many rows wait for a person."""
        return len({*self.rows} - self.recorder.marks.keys())

    def state(self) -> dict[str, Any]:
        """The fixed data of the review, and how far the person is: the marks of all rows, null for rows that wait."""
        raise NotImplementedError

    def sheet(self, row: Row) -> dict[str, Any]:
        """All that the page shows of a row."""
        raise NotImplementedError

    def crop(self, row: Row, name: str) -> bytes:
        """A field as PNG. Raises `ImageError`, and `Problem` if there is none."""
        raise NotImplementedError

    def correct(self, said: dict[str, Any]) -> dict[str, Any]:
        """Record what a person says is written in a field: {"row", "field", "value"}. Raises `Problem` and
        `OutputError`."""
        raise NotImplementedError

    def mark(self, said: dict[str, Any]) -> dict[str, Any]:
        """Record that a person is done with a row: {"row", "mark"}. Raises `Problem` and `OutputError`."""
        row, mark = self.row_of(said.get("row")), said.get("mark")
        if mark != "accepted" and mark != "skipped":
            invalid(f"mark: {mark!r:.40}, expected 'accepted' or 'skipped'")
        self.recorder.add(row["row"], None, self.recorder.marks.get(row["row"]), mark)
        return {"left": self.left}

    def undo(self, said: dict[str, Any]) -> dict[str, Any]:
        """Take the last change back; returns its row and field, or nulls. Raises `OutputError`."""
        del said
        last = self.recorder.undo()
        return {"row": last and last.row, "field": last and last.field}

    def export(self, said: dict[str, Any]) -> dict[str, Any]:
        """Write the workbook again; returns its path. Raises `OutputError` and `DataError`."""
        raise NotImplementedError

    def row_of(self, number: object) -> Row:
        """A row that needs a person. Raises `Problem`."""
        if type(number) is not int or number not in self.rows:
            raise Problem("not-found", f"row {number!r:.40}: expected one that needs a person")
        return {"row": number}


class Review(Answers):
    """The answers to the page's requests about the sheets of a layout."""

    def __init__(self, doubts: Doubts, recorder: Recorder, people: Sequence[Person] = ()) -> None:
        super().__init__(doubts, recorder)
        self.doubts, self.layout, self.people = doubts, doubts.layout, people
        self.views = Views(doubts.layout, doubts.path.parent)
        self.whole = lru_cache(maxsize=4)(self._whole)

    def state(self) -> dict[str, Any]:
        """The fixed data of the review, and how far the person is: the marks of all sheets, null for sheets that
        wait."""
        layout, marks = self.layout, self.recorder.marks
        identity = {"name": "", "label": "Name or number", "text": True}
        fields: list[dict[str, Any]] = [identity] * (layout.identity.kind != "none")
        for field in layout.fields:
            most = field.largest / 2 if field.halves else field.largest
            fields.append({"name": field.name, "label": field.label, "halves": field.halves, "largest": most})
        return {
            "title": layout.title, "file": self.doubts.path.name, "fields": fields,
            "formulas": [{"total": formula.total, "terms": formula.terms} for formula in layout.formulas
                         if formula.divisor == 1 and not formula.times],
            "sheets": [[row, marks.get(row)] for row in self.doubts], "count": self.doubts.count,
        }  # fmt: skip

    def sheet(self, row: Row) -> dict[str, Any]:
        """All that the page shows of a sheet. The places of fields, with a bit of paper around them, are in percent of
        the page."""
        number, page = row["row"], self.views.page
        path = row["path"].encode(errors="replace").decode()  # a file name may be no text
        try:
            width, height = self.whole(number)[1]
            missing = None
        except SumnistError as error:
            width = height = 0
            missing = str(error).encode(errors="replace").decode()
        read = row.get("state") is not None
        places = {name: around(place).grown(1.0) for name, place in self.views.places.items()} if read else {}
        return {
            "row": number, "path": path, **{key: row.get(key) for key in ("state", "error", "probability")},
            "values": {"": row.get("identity"), **(row.get("values") or {})}, "read": row.get("read") or {},
            "wrong": [one["field"] for one in row.get("wrong") or ()],
            "corrected": self.recorder.values.get(number, {}), "mark": self.recorder.marks.get(number),
            "questions": self.doubts.questions(row),
            "width": width, "height": height, "missing": missing,
            "places": {
                name: [100 * place.x / page.width, 100 * place.y / page.height,
                       100 * place.width / page.width, 100 * place.height / page.height]
                for name, place in places.items()
            },
            "crops": {name: self.views.size(name) for name in places},
        }  # fmt: skip

    def _whole(self, number: int) -> tuple[bytes, tuple[int, int]]:
        """A sheet as JPEG, and its size. Raises `ImageError`."""
        picture = self.views.whole(self.doubts.row(number))
        picture.save(stream := BytesIO(), "JPEG", quality=85)
        return stream.getvalue(), picture.size

    def crop(self, row: Row, name: str) -> bytes:
        """A field as PNG. Raises `ImageError`, and `Problem` if there is none."""
        if name not in self.views.places or not row.get("matrix"):
            raise Problem("not-found", f"{name:.40}: expected a field of a sheet that was read")
        return self.views.crop(row, name)

    # Recording.

    def correct(self, said: dict[str, Any]) -> dict[str, Any]:
        """Record what a person says is written in a field: {"row", "field", "value"}. Raises `Problem` and
        `OutputError`."""
        row, name = self.row_of(said.get("row")), said.get("field")
        if not isinstance(name, str) or name not in ("", *self.layout.names):
            invalid(f"field: {name!r:.40}, expected the name of a field of the layout")
        value = self.taken(name, said.get("value"))
        read = {"": row.get("identity"), **(row.get("values") or {})}
        before = (read | self.recorder.values.get(row["row"], {})).get(name)
        self.recorder.add(row["row"], name, before, value)
        return {"value": value}

    def taken(self, name: str, value: Any) -> Value:
        """Check a value of a field, and return it. Raises `Problem`."""
        if value is None:
            return None
        if name == "":
            if isinstance(value, str) and value.strip() and len(value) <= LONGEST_IDENTITY:
                return value.strip()
            invalid(f"value: expected at most {LONGEST_IDENTITY} characters, or null")
        field = self.layout.field(name)
        if (number := number_of(field, value)) is None:
            kind = "number or a half" if field.halves else "whole number"
            invalid(f"value: {value!r:.40}, expected a {kind} from 0 to {field.shown(field.largest)}, or null")
        return number

    def export(self, said: dict[str, Any]) -> dict[str, Any]:
        """Write the workbook again; returns its path. Raises `OutputError` and `DataError`."""
        del said
        out = self.doubts.path.with_suffix(".xlsx")
        export(self.doubts.path, self.layout, out, self.people, self.recorder)
        return {"path": str(out).encode(errors="replace").decode()}

    def row_of(self, number: object) -> Row:
        """A row that needs a person. Raises `Problem`."""
        return self.doubts.row(super().row_of(number)["row"])


# HTTP.


def app_of(review: Answers, token: str) -> ASGIApp:
    """The application. Every path begins with the token. It answers only requests that are allowed, and adds headers to
    all answers.

    Args:
        review: The answers to the page's requests.
        token: The token that a client must know.
    """
    files = files_of(STATIC)

    def of_row(request: Request) -> Row:
        word = request.query_params.get("row", "")
        return review.row_of(int(word) if word.isascii() and word.isdigit() and len(word) < 10 else word)

    def of_crop(request: Request) -> Response:
        return Response(review.crop(of_row(request), request.query_params.get("field", "")), media_type="image/png")

    recording = asyncio.Lock()

    def posted(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            said = await body_of(request)
            async with recording:  # one at a time, in the order in which they came
                return JSONResponse(await run_in_threadpool(answer, said))

        return endpoint

    says = {"correct": review.correct, "mark": review.mark, "undo": review.undo, "export": review.export}
    routes = [
        *(Route(f"/{path}", files[name]) for path, name in FILES.items()),
        Route("/state", lambda _: JSONResponse(review.state())),
        Route("/sheet", lambda request: JSONResponse(review.sheet(of_row(request)))),
        Route("/picture", lambda request: Response(review.whole(of_row(request)["row"])[0], media_type="image/jpeg")),
        Route("/crop", of_crop),
        *(Route(f"/{name}", posted(answer), methods=["POST"]) for name, answer in says.items()),
    ]  # fmt: skip
    kinds: tuple[type[Exception], ...] = (Problem, SumnistError, HTTPException, Exception)
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys(kinds, answer_to_error))
    app.router.redirect_slashes = False

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *OWN]
                if not any(name == b"cache-control" for name, _ in message["headers"]):
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        _, said, path = [*scope["path"].split("/", 2), "", ""][:3]
        detail = refusal(scope, secrets.compare_digest(said.encode(), token.encode()))
        if detail is not None:
            await answer_of(Problem("not-found", detail), "")(scope, receive, sent)
        elif scope["path"] == f"/{token}":  # the page's links are below it
            await RedirectResponse(f"/{token}/")(scope, receive, sent)
        else:
            await app({**scope, "path": f"/{path}", "raw_path": f"/{path}".encode()}, receive, sent)

    return guarded


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object in the body of a request. Raises `Problem`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem("unsupported-media-type", "expected a body of application/json: send one")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Problem("body-too-large", f"expected a body of at most {MOST_BYTES:,} bytes: send less")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem("malformed-body", "no JSON, expected an object: send one") from error
    if not isinstance(said, dict):
        invalid("expected a JSON object: send one")
    return said


async def answer_to_error(request: Request, error: Exception) -> Response:
    """The answer to a request that failed. It shows faults of the machine, since the person who asks sits in front of
    it."""
    if isinstance(error, HTTPException):
        error = Problem("not-found" if error.status_code == 404 else "method-not-allowed", "ask for what the page does")
    elif isinstance(error, SumnistError) and not isinstance(error, ImageError):
        error = Problem("internal", str(error))
    return answer_of(problem_of(error), request.url.path)


def refusal(scope: Scope, knows: bool) -> str | None:
    """Why a request is refused, or None if it is allowed; `knows`: whether it has the token."""

    def only(header: bytes, default: str = "") -> str:  # a header that occurs twice is never right
        found = [value.decode("latin-1") for name, value in scope["headers"] if name == header]
        return found[0] if len(found) == 1 else default if not found else "\0"

    here = f"http://{(host := only(b'host'))}"
    if host.partition(":")[0] not in NAMES:
        return "this server is for the machine that it runs on: open the address that the command printed"
    if not knows:
        return "a page without its token: open the address that the command printed"
    if only(b"origin", here) != here or only(b"sec-fetch-site", "none") not in ("none", "same-origin"):
        return "a request of another page: open the address that the command printed"
    return None


# The server.


def review(
    marks: Path, layout: Layout, port: int, started: Callable[[str, int], None], token: str | None = None,
    people: Sequence[Person] = (),
) -> bool:  # fmt: skip
    """Serve the page until SIGTERM or Ctrl-C, if there is a sheet that needs a person.

    Args:
        marks: The file of readings.
        layout: The layout of its sheets.
        port: The port to listen on; 0 takes a free one.
        started: Called with the address of the page and the number of sheets that wait, once it can be opened.
        token: The token in the address; None for a random one.
        people: The people who should have a sheet, for the workbook.

    Returns:
        Whether there was a sheet that needs a person.

    Raises:
        ConfigError: The server cannot listen on the port.
        DataError: `marks` or its corrections are not valid.
        OutputError: The corrections cannot be written, or another review writes them.
    """
    doubts = Doubts(marks, layout)
    return len(doubts) > 0 and served(marks, lambda said: Review(doubts, said, people), port, started, token)


def served(
    rows: Path, of: Callable[[Recorder], Answers], port: int, started: Callable[[str, int], None],
    token: str | None = None,
) -> bool:  # fmt: skip
    """Serve the answers that `of` makes from a file's corrections, as `review` does. Returns False if no row needs a
    person."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    token = token or secrets.token_urlsafe(24)
    recorder = Recorder(beside(rows))
    try:
        answers = of(recorder)
        if not answers.rows:
            return False
        with listening("127.0.0.1", port, f"--port {port}") as listener:
            told = partial(started, f"{url_of(listener)}/{token}/", answers.left)
            TellingServer(app_of(answers, token), SECONDS, END_SECONDS, Metrics(), told).run(sockets=[listener])
    finally:
        recorder.close()
    return True
