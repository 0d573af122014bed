"""Answers requests about forms and tables: prints a form, reads filled forms and tables, and writes workbooks.

Pictures and PDF files stay in memory. Writing the workbook of forms takes a temporary folder, which is removed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from typing import Any

from sumnist.batch.pool import reads
from sumnist.batch.sources import Row
from sumnist.errors import MissingExtraError, SumnistError
from sumnist.inference.reader import Reader
from sumnist.serve.bodies import AskedForm, AskedPage, AskedSheet, asked_in, invalid
from sumnist.serve.problems import Problem
from sumnist.serve.reading import ACCEPTED, Found, Job, is_internal, knowing
from sumnist.sheets.batch import SheetTask, pages_in, state
from sumnist.sheets.pictures import FilePage, colours_of, has_pages
from sumnist.sheets.reading import SheetReader
from sumnist.sheets.review import BOOK_SCALE, Views
from sumnist.tables.batch import numbers_of, workbook_of
from sumnist.tables.reading import ANY, TableReader

MOST_SHEETS = 10
"""The most forms in a request."""
PDF = b"%PDF-"
"""How a PDF file begins."""


@contextmanager
def installed(what: str) -> Iterator[None]:
    """Raises a `Problem` if a library that `what` needs is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Problem("not-installed", str(MissingExtraError.of(error, what))) from error


def print_form(job: Job, *_: Reader | None) -> Found:
    """The PDF of a form, with one blank page. Raises `LayoutError`, `Problem`."""
    (asked,) = asked_in(job.body, AskedForm)
    with installed("printing forms"):
        from sumnist.sheets.printing import pdf
    return pdf(asked.layout), []


def read_sheets(job: Job, reader: Reader, *_: Reader | None) -> Found:
    """Read filled forms of one layout: a row for each, as in `marks.jsonl`. Raises `LayoutError`, `Problem`."""
    asked = asked_in(job.body, AskedSheet, most=job.most)
    layout = asked[0].layout
    if any(one.layout != layout for one in asked):
        invalid("different layouts: expected the same one for all pictures: send the others in another request")
    with installed("reading forms"):
        import sumnist.sheets.registration  # noqa: F401, which `SheetReader` needs
        from sumnist.sheets.workbook import notes_of, write_workbook
    sent = [(one, page) for place, one in enumerate(asked, 1) for page in pages_of(one, f"picture {place}")]
    if len(sent) > MOST_SHEETS:
        invalid(f"{len(sent)} pages: expected 1 to {MOST_SHEETS}: send the others in another request")
    reader_of = lru_cache(1)(lambda known: SheetReader(layout, hand=known.hand))
    views = Views(layout, lambda row: colours_of(sent[row["row"]][1].picture))
    rows = list[dict[str, Any]]()
    for number, (one, page) in enumerate(sent):
        reads(page.path)
        read = read_page(reader_of(knowing(reader, one, job.kept)), page)
        columns = (*SheetTask.columns[2:], "error")
        row: dict[str, Any] = {"row": number, "path": page.path, **dict.fromkeys(columns), **read}
        row["notes"] = notes_of(row)
        if "crops" in job.wanted:
            row["crops"] = {name: text_of(views.crop(row, name, BOOK_SCALE)) for name in row["notes"]}
        rows.append(row)
    fields = [{"name": field.name, "label": field.label} for field in layout.fields]
    answer: dict[str, Any] = {"title": layout.title, "fields": fields, "rows": rows}
    if "workbook" in job.wanted:
        write_workbook(rows, layout, stream := BytesIO(), crops=lambda row, name: views.crop(row, name, BOOK_SCALE))
        answer["workbook"] = text_of(stream.getvalue())
    return answer, [state(row) for row in rows]


def read_table(job: Job, reader: Reader, *_: Reader | None) -> Found:
    """Read a table. Raises `ImageError`, `Problem`."""
    (asked,) = asked_in(job.body, AskedPage)
    page, *others = pages_of(asked, "picture")
    if others:
        invalid(f"{page.path}: is one of {1 + len(others)} pages, expected a single page: send them one by one")
    if page.error:
        raise Problem("damaged-picture", page.error)
    if "workbook" in job.wanted:
        with installed("writing .xlsx"):  # report it before the work begins
            import xlsxwriter  # noqa: F401
    picture = colours_of(page.picture) if isinstance(page.picture, FilePage) else page.picture
    table = TableReader(ANY, knowing(reader, asked, job.kept), learn="learn" in job.wanted).read(picture, page.path)
    answer = {"path": page.path} | table.as_dict()
    if "workbook" in job.wanted:
        answer["workbook"] = text_of(workbook_of([answer], [*numbers_of(answer, ANY)]))
    return answer, ["doubtful" if table.states["doubtful"] else ACCEPTED]


def pages_of(asked: AskedPage, name: str) -> list[Row]:
    """A row for a picture, or for each page of a PDF or TIFF file. A picture without a name is called `name`. A row
    that cannot be read has an error."""
    name, picture = asked.name or name, asked.picture
    if isinstance(picture, Problem):
        return [Row(name, None, error=picture.detail)]
    return pages_in(name, picture) if has_pages(name, picture) else [Row(name, None, picture)]


def read_page(reader: SheetReader, page: Row) -> dict[str, Any]:
    """The reading of a form, or the reason why there is none. Raises errors that no request should cause."""
    try:
        return {"error": page.error} if page.error else reader.read(page.picture, page.path).as_dict()
    except SumnistError as error:
        if is_internal(error):
            raise
        return {"error": str(error)}


def text_of(data: bytes) -> str:
    """Bytes in base64."""
    return b64encode(data).decode()
