"""The review of tables: what a person types settles what hangs on it, one column at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from sumnist.arithmetic.values import Values
from sumnist.cli import main
from sumnist.formulas import MISTAKE, Relation
from sumnist.serve.review import app_of
from sumnist.serve.tables import TableReview
from sumnist.sheets.review import Recorder, beside
from sumnist.tables.batch import pages_of
from sumnist.tables.layout import TableLayout
from sumnist.tables.reading import posterior_of
from sumnist.tables.review import resolved, sums_of
from sumnist.tables.rules import place_named

TOKEN = "token"


def cell(name: str, value: int | str | None, state: str, *seen: tuple[int, float]) -> dict[str, Any]:
    """A cell of a page, whose corners are where its name says."""
    row, column = int(name[1:]), ord(name[0]) - ord("A") + 1
    left, top = 100 * column, 40 * row
    candidates = [{"value": units if isinstance(value, int) else f"{units / 10:.1f}", "probability": share}
                  for units, share in seen]  # fmt: skip
    return {
        "cell": name, "row": row, "column": column, "value": value, "probability": seen[0][1] if seen else 0.0,
        "state": state, "read": str(value), "candidates": candidates,
        "corners": [[left, top], [left + 60, top], [left + 60, top + 20], [left, top + 20]], "seen": [*map(list, seen)],
    }  # fmt: skip


def page_of(folder: Path) -> dict[str, Any]:
    """A column with a total, of which a term and the total are in doubt; one in tenths, of whose numbers one is in
    doubt; and a hole."""
    Image.new("RGB", (400, 300), (240, 240, 235)).save(folder / "page.png")
    cells = [
        cell("A1", 7, "doubtful", (7, 0.6), (1, 0.39)), cell("A2", 5, "checked", (5, 0.99)),
        cell("A3", 12, "doubtful", (12, 0.55), (6, 0.44)),
        cell("B1", "2.5", "doubtful", (25, 0.6), (29, 0.39)), cell("B2", "1.0", "checked", (10, 0.99)),
        cell("B3", "3.5", "checked", (35, 0.99)), cell("C2", None, "doubtful"),
    ]  # fmt: skip
    rules = [{"formula": "r3 = r1 + r2", "places": [1], "held": 1, "seen": 1, "log_p": -9.0}]
    return {
        "path": "page.png", "file": str(folder / "page.png"), "rows": 3, "columns": 3, "cells": cells, "rules": rules,
        "broken": [], "beside": 0, "exact": True, "learned": False,
    }  # fmt: skip


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    path = tmp_path / "tables.jsonl"
    lines = [page_of(tmp_path), {"path": "blank.png", "error": "no numbers found on it"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def client(tables: Path) -> Iterator[TestClient]:
    recorder = Recorder(beside(tables))
    app = app_of(TableReview(tables, TableLayout(names={0: "rain"}), recorder), TOKEN)
    yield TestClient(app, f"http://127.0.0.1:8000/{TOKEN}", raise_server_exceptions=False)
    recorder.close()


def states(page: Any) -> dict[str, tuple[Any, str]]:
    return {one["cell"]: (one["value"], one["state"]) for one in page["cells"]}


def test_a_number_that_is_typed_settles_what_is_in_a_relation_with_it(tables: Path) -> None:
    page = pages_of(tables)[0]
    assert resolved(page, {}) is page
    after = states(resolved(page, {"A3": 6}))
    assert after["A3"] == (6, "by hand")
    assert after["A1"] == (1, "corrected")
    assert after["A2"] == (5, "checked")
    assert after["C2"] == (None, "doubtful"), "nothing is known of what is in no relation"
    assert "C2" not in states(resolved(page, {"C2": None})), "where a person sees nothing, there is no number"
    nowhere = {**page, "rules": [{**page["rules"][0], "places": []}]}
    assert states(resolved(nowhere, {"A3": 6}))["A1"] == (7, "doubtful")
    assert (len(sums_of(page, 0)), sums_of(page, 1), sums_of(nowhere, 0)) == (1, [], [])


def test_columns_are_asked_of_one_by_one_and_one_that_is_settled_needs_nobody(client: TestClient) -> None:
    state = client.get("/state").json()
    assert state["sheets"] == [[1000, None], [1001, None], [1002, None]]
    assert (state["what"], state["count"]) == ("column", 3)
    column = client.get("/sheet?row=1000").json()
    assert column["values"][""] == "Column rain, page.png"
    assert [one["field"] for one in column["questions"]] == ["A1", "A3"]
    assert column["formulas"] == [{"total": "A3", "terms": [[1, "A1"], [1, "A2"]]}]
    said = {"row": 1001, "field": "B1", "value": 2.5}
    assert client.post("/correct", json=said).json() == {"value": 2.5}
    assert client.post("/mark", json={"row": 1001, "mark": "accepted"}).json() == {"left": 2, "settled": []}
    client.post("/correct", json={"row": 1000, "field": "A3", "value": 12})
    assert client.get("/state").json()["sheets"] == [[1000, "accepted"], [1001, "accepted"], [1002, None]]
    assert client.post("/undo", json={}).json() == {"row": 1000, "field": "A3"}
    assert client.get("/state").json()["sheets"][0] == [1000, None]


@pytest.mark.parametrize("said", [
    {"row": 1001, "field": "A1", "value": 1}, {"row": 1000, "field": "A9", "value": 1},
    {"row": 1000, "field": ["A1"], "value": 1}, {"row": 999, "field": "A1", "value": 1},
    *({"row": 1000, "field": "A1", "value": value} for value in (1.5, True, "7", 1e300)),
    {"row": 1001, "field": "B1", "value": 2.55},
])  # fmt: skip
def test_what_makes_no_sense_is_refused_and_not_recorded(
    client: TestClient, tables: Path, said: dict[str, Any]
) -> None:
    answer = client.post("/correct", json=said)
    assert answer.status_code in (404, 422)
    assert answer.json()["detail"]
    assert beside(tables).read_text() == ""


def test_the_workbook_or_what_else_is_asked_for_has_what_was_typed_and_what_followed_from_it(
    client: TestClient, tables: Path
) -> None:
    client.post("/correct", json={"row": 1000, "field": "A3", "value": 6})
    out = Path(client.post("/export", json={}).json()["path"])
    assert (out, out.read_bytes()[:2]) == (tables.with_suffix(".xlsx"), b"PK")
    recorder = Recorder(tables.with_name("other.corrections.jsonl"))
    other = TableReview(tables, TableLayout(), recorder, tables.with_name("other.csv"))
    other.correct({"row": 1000, "field": "A3", "value": 6})
    assert other.export({}) == {"path": str(tables.with_name("other.csv"))}
    recorder.close()
    with tables.with_name("other.csv").open(newline="") as file:
        said = {row["cell"]: (row["value"], row["state"]) for row in csv.DictReader(file)}
    assert (said["A1"], said["A3"]) == (("1", "corrected"), ("6", "by hand"))


def test_what_the_review_is_to_write_is_checked_before_and_written_though_nothing_needs_a_person(
    tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", "review", str(tables), "--out", str(tables.with_suffix(".zip"))]) == 2
    assert main(["table", "review", str(tables), "--out", str(tables)]) == 2
    assert "the review never changes the .jsonl" in capsys.readouterr().err
    sure = [page for line in tables.read_text().splitlines() if "cells" in (page := json.loads(line))]
    for page in sure:
        page["cells"] = [cell | {"state": "checked"} for cell in page["cells"]]
    tables.write_text("".join(json.dumps(page) + "\n" for page in sure))
    assert main(["table", "review", str(tables), "--out", str(out := tables.with_suffix(".csv"))]) == 0
    assert out.read_text().count("checked") == sum(len(page["cells"]) for page in sure)


@pytest.mark.parametrize("mistake", [0.001, 0.02, 0.5])
def test_a_page_is_solved_again_with_the_mistakes_that_it_was_read_with(tables: Path, mistake: float) -> None:
    page = dict(pages_of(tables)[0]) | {"mistake": mistake}
    shares: dict[str, tuple[dict[int | Decimal, float], float]]
    shares = {"A1": ({7: 0.6, 1: 0.39}, 0.01), "A2": ({5: 0.99}, 0.01), "A3": ({6: 1.0}, 0.0), "B1": ({25: 0.99}, 0.01)}
    numbers = {place_named(name): Values(*given) for name, given in shares.items()}
    posterior = posterior_of(numbers, [Relation.of("A3 = A1 + A2")], mistake)
    after = {one["cell"]: one["probability"] for one in resolved(page, {"A3": 6})["cells"]}
    assert after["A1"] == pytest.approx(posterior.numbers["A1"][1].max(), abs=1e-12)
    if mistake == MISTAKE:  # as for pages that were read before this was kept
        assert resolved(pages_of(tables)[0], {"A3": 6})["cells"] == resolved(page, {"A3": 6})["cells"]
