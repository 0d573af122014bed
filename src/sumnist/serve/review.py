"""Serves the page on which a person settles doubtful numbers of sheets and tables, to this machine only.

The server listens on the loopback address. A request must have the random token in its path, and must call the server
by a name of this machine, so that a foreign host name that points here is refused. It must not come from another page.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
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
from sumnist.sheets.review import Doubts, Recorder, Row, Value, Views, around, beside, export, number_of, pictures_of

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
Box = tuple[float, float, float, float]
"""The left and upper edge of a part of a picture, and its width and height."""


class Answers(Protocol):
    """The answers to the page's requests about rows that need a person: sheets, or columns of tables. Several threads
    may call the methods; methods that record are called by one thread at a time.

    Attributes:
        rows: The numbers of the rows that need a person.
        recorder: The corrections.
        path: The file of readings.
        out: The file that the review writes.
    """

    rows: list[int]
    recorder: Recorder
    path: Path
    out: Path

    # What sheets and tables answer in their own ways.

    def fixed(self) -> dict[str, Any]:
        """The fixed data of the review: title, number of rows, fields and formulas."""

    def read(self, row: Row) -> dict[str, Any]:
        """What was read in each field of a row."""

    def described(self, row: Row) -> dict[str, Any]:
        """What the page shows of a row beside its picture: its values and the questions about it."""

    def picture(self, row: Row) -> Image.Image:
        """The picture of a row. Raises `ImageError`."""

    def placed(self, row: Row) -> dict[str, tuple[Box, tuple[int, int]]]:
        """Where each field lies, as shares of the picture, and the size of its crop. Raises `ImageError`."""

    def crop(self, row: Row, name: str) -> bytes:
        """A field as PNG. Raises `ImageError`, and `Problem` if there is none."""

    def taken(self, row: Row, name: str, value: Any) -> Value:
        """Check a value of a field, and return it. Raises `Problem`."""

    def write(self) -> None:
        """Write the file of all numbers again. Raises `OutputError` and `DataError`."""

    # What is the same for both.

    @property
    def marks(self) -> Mapping[int, str]:
        """The marks of rows that are done."""
        return self.recorder.marks

    @property
    def left(self) -> int:
        """How many rows wait for a person."""
        return len({*self.rows} - self.recorder.marks.keys())

    def state(self) -> dict[str, Any]:
        """The fixed data of the review, and how far the person is: the marks of all rows, null for rows that wait."""
        marks = self.marks
        return self.fixed() | {"file": self.path.name, "sheets": [[row, marks.get(row)] for row in self.rows]}

    def sheet(self, row: Row) -> dict[str, Any]:
        """All that the page shows of a row. The places of fields, with a bit of paper around them, are in percent of
        the page."""
        number, placed, missing = row["row"], {}, None
        try:
            width, height = self.whole(number)[1]
            placed = self.placed(row)
        except SumnistError as error:
            width, height, missing = 0, 0, printable(str(error))
        return {
            "row": number, "mark": self.recorder.marks.get(number), "width": width, "height": height,
            "corrected": self.recorder.values.get(number, {}), **self.described(row), "missing": missing,
            "places": {name: [100 * share for share in box] for name, (box, _) in placed.items()},
            "crops": {name: size for name, (_, size) in placed.items()},
        }  # fmt: skip

    @lru_cache(maxsize=4)  # noqa: B019, there is one review in a process
    def whole(self, number: int) -> tuple[bytes, tuple[int, int]]:
        """The picture of a row as JPEG, and its size. Raises `ImageError`."""
        picture = self.picture(self.row_of(number))
        picture.save(stream := BytesIO(), "JPEG", quality=85)
        return stream.getvalue(), picture.size

    def correct(self, said: dict[str, Any]) -> dict[str, Any]:
        """Record what a person says is written in a field: {"row", "field", "value"}. Raises `Problem` and
        `OutputError`."""
        row, name = self.row_of(said.get("row")), said.get("field")
        read = self.read(row)
        if not isinstance(name, str) or name not in read:
            invalid(f"field: {name!r:.40}, expected the name of a field of the row")
        value = self.taken(row, name, said.get("value"))
        before = (read | self.recorder.values.get(row["row"], {}))[name]
        self.recorder.add(row["row"], name, before, value)
        return {"value": value}

    def mark(self, said: dict[str, Any]) -> dict[str, Any]:
        """Record that a person is done with a row: {"row", "mark"}. Raises `Problem` and `OutputError`."""
        row, mark = self.row_of(said.get("row")), said.get("mark")
        if mark != "accepted" and mark != "skipped":
            invalid(f"mark: {mark!r:.40}, expected 'accepted' or 'skipped'")
        self.recorder.add(row["row"], None, self.recorder.marks.get(row["row"]), mark)
        return {"left": self.left}

    def undo(self, _: dict[str, Any]) -> dict[str, Any]:
        """Take the last change back; returns its row and field, or nulls. Raises `OutputError`."""
        last = self.recorder.undo()
        return {"row": last and last.row, "field": last and last.field}

    def export(self, _: dict[str, Any]) -> dict[str, Any]:
        """Write the file of all numbers again; returns its path. Raises `OutputError` and `DataError`."""
        self.write()
        return {"path": printable(str(self.out))}

    def row_of(self, number: object) -> Row:
        """A row that needs a person. Raises `Problem`."""
        if type(number) is not int or number not in self.rows:
            raise Problem("not-found", f"row {number!r:.40}: expected one that needs a person")
        return {"row": number}


def printable(text: str) -> str:
    """A text without what JSON cannot carry: the name of a file may be no text."""
    return text.encode(errors="replace").decode()


class Review(Answers):
    """The answers to the page's requests about the sheets of a layout."""

    def __init__(self, doubts: Doubts, recorder: Recorder, people: Sequence[Person] = ()) -> None:
        self.rows, self.recorder = [*doubts], recorder
        self.path, self.out = doubts.path, doubts.path.with_suffix(".xlsx")
        self.doubts, self.layout, self.people = doubts, doubts.layout, people
        self.views = Views(doubts.layout, pictures_of(doubts.path.parent))

    def picture(self, row: Row) -> Image.Image:
        """The picture of a sheet. Raises `ImageError`."""
        return self.views.whole(row)

    def fixed(self) -> dict[str, Any]:
        """The fixed data of the review: title, number of rows, fields and formulas."""
        layout = self.layout
        identity = {"name": "", "label": "Name or number", "text": True}
        fields: list[dict[str, Any]] = [identity] * (layout.identity.kind != "none")
        for field in layout.fields:
            most = field.largest / 2 if field.halves else field.largest
            fields.append({"name": field.name, "label": field.label, "halves": field.halves, "largest": most})
        formulas = [one for one in layout.formulas if one.divisor == 1 and not one.times]
        return {"title": layout.title, "fields": fields, "count": self.doubts.count,
                "formulas": [{"total": one.total, "terms": one.terms} for one in formulas]}  # fmt: skip

    def read(self, row: Row) -> dict[str, Any]:
        """What was read in each field of a sheet."""
        return dict.fromkeys(self.layout.names) | {"": row.get("identity"), **(row.get("values") or {})}

    def described(self, row: Row) -> dict[str, Any]:
        """What the page shows of a sheet beside its picture: its values and the questions about it."""
        return {
            "path": printable(row["path"]), **{key: row.get(key) for key in ("state", "error", "probability")},
            "values": self.read(row), "read": row.get("read") or {}, "questions": self.doubts.questions(row),
            "wrong": [one["field"] for one in row.get("wrong") or ()],
        }  # fmt: skip

    def placed(self, row: Row) -> dict[str, tuple[Box, tuple[int, int]]]:
        """Where each field lies, as shares of the page, and the size of its crop."""
        page, places = self.views.page, self.views.places.items() if row.get("state") else ()
        boxes = {name: around(place).grown(1.0) for name, place in places}
        return {
            name: ((box.x / page.width, box.y / page.height, box.width / page.width, box.height / page.height),
                   self.views.size(name)) for name, box in boxes.items()
        }  # fmt: skip

    def crop(self, row: Row, name: str) -> bytes:
        """A field as PNG. Raises `ImageError`, and `Problem` if there is none."""
        if name not in self.views.places or not row.get("matrix"):
            raise Problem("not-found", f"{name:.40}: expected a field of a sheet that was read")
        return self.views.crop(row, name)

    def taken(self, row: Row, name: str, value: Any) -> Value:
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

    def write(self) -> None:
        """Write the workbook again. Raises `OutputError` and `DataError`."""
        export(self.path, self.layout, self.out, self.people, self.recorder)

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
    marks: Path, layout: Layout, port: int, started: Callable[[str, int], None], people: Sequence[Person] = ()
) -> bool:
    """Serve the page of a file of sheets as `served` does; `people`: those who should have a sheet, for the
    workbook."""
    return served(marks, lambda recorder: Review(Doubts(marks, layout), recorder, people), port, started)


def served(
    rows: Path, answers_with: Callable[[Recorder], Answers], port: int, started: Callable[[str, int], None]
) -> bool:
    """Serve the page until SIGTERM or Ctrl-C, if there is a row that needs a person.

    Args:
        rows: The file of readings.
        answers_with: Makes the answers from the file's corrections.
        port: The port to listen on; 0 takes a free one.
        started: Called with the address of the page and the number of rows that wait, once it can be opened.

    Returns:
        Whether there was a row that needs a person.

    Raises:
        ConfigError: The server cannot listen on the port.
        DataError: `rows` or its corrections are not valid.
        OutputError: The corrections cannot be written, or another review writes them.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    token = secrets.token_urlsafe(24)
    recorder = Recorder(beside(rows))
    try:
        answers = answers_with(recorder)
        if not answers.rows:
            return False
        with listening("127.0.0.1", port, f"--port {port}") as listener:
            told = partial(started, f"{url_of(listener)}/{token}/", answers.left)
            TellingServer(app_of(answers, token), SECONDS, END_SECONDS, Metrics(), told).run(sockets=[listener])
    finally:
        recorder.close()
    return True
