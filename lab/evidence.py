"""Read and add the rows of docs/results, and answer the queries with which pages ask for them.

Every row has the same envelope: `part` (what was measured), `date`, `commit` and `machine`, null where unknown. The
figures stand beside these. Rows of the study have a form of their own, and get the part "study" when they are read.

A mark in a page contains a query in TOML. The program writes the answer behind it:

    <!-- figure
    from = "size"
    by = ["name"]
    columns = [["packaged network", "{name}"], ["digit %", "{median digit:.2%}"]]
    -->…<!-- /figure -->

Which rows, in the order in which these steps run:
    from      one part or several
    pick      the name of one of `PICKS`, rules that no other step can express
    where     keys, and the values that rows must have there: {half = "reported"}
    newest    a key: keep the rows that agree in it with the row measured last ("date": those measured together);
              `within`: keys; do so for each group of rows that agree in them
    last      keys: of each group of rows that agree in them, keep the row measured last; [] keeps the last of all
    unfold    keys of lists in the rows: each entry becomes a row. It has the original row as `all`, and `first` is true
              for the first entry of a row
    like      keys, and patterns that must fit the values there
    names     for a key, the page's name of each of its values, in the page's order; other rows are left out
    sort      keys by which the rows are sorted
    beside    keys, and the values of the rows with which all rows are compared: each row gets these rows as `base`;
              `alike`: keys; a row gets only the rows that agree with it in them
    let       for a key, a figure or a text: each row gets it there
    has       keys at which rows must have a value
    only      keys, and patterns that must fit the values there now

What is written about them:
    by        keys: the rows that agree in them make one line of the table; without `by`, each row makes a line
    columns   the head and the cell of each column
    across    a key: each of its values, or each of `values`, makes more columns, with the heads and cells in `each`;
              lines that agree in the first key of `by` then stand together
    above     lines to put first, as they are written; `more`: lines to put last, with figures of all rows
    lines     instead of rows: a part, a head and a text for each line of a table; a line is about the last row of its
              part
    text      a sentence instead of a table; `line`: a text for each group of `by`. These texts, with `join` between
              them, replace `{lines}` in the sentence

Heads, cells and texts can contain `{FIGURE:FORMAT}`. A FIGURE is one of these:
    - a key, with a dot for each step into it: the value in the first row of the line
    - a function of a key in all rows of the line, such as `median seconds`, or in some of them, such as
      `sum sheets if state=doubtful|unreadable & !told`
    - `share`: `share sheets if told of bad` is, among the sheets that are bad, the share of those that are told;
      without `of`, among all
    - `rare`, used like `share`: the count instead of the share, and an upper bound on the share (Wilson's)
Figures can be joined by `*`, `/`, `+`, `-`, which work from left to right. A FORMAT is one of `FORMATS`, or one of
Python's, but percentages are written without the sign.
"""

from __future__ import annotations

import json
import math
import operator
import re
import statistics
import tomllib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lab.rendering import markdown_table
from lab.study.rows import append_jsonl, read_jsonl
from sumnist.environment import commit, describe_machine, now
from sumnist.evaluation.metrics import wilson
from sumnist.evaluation.text import duration, percent

Row = dict[str, Any]
Rows = list[Row]

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs/results"
NOT_MEASURED = "*Not measured yet.*"
TOKEN = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")


# Rows.


def with_envelope(name: str, /, **figures: Any) -> Row:
    """Return a row of the part `name`: measured now, on this machine, at the current commit."""
    machine = describe_machine()
    head = machine.pop("commit")
    return {"part": name, "date": now(), "commit": head, "machine": machine} | figures


def add(path: Path, row: Row) -> None:
    """Append a row to a file, and print its figures."""
    append_jsonl(path, row)
    print(
        json.dumps({key: value for key, value in row.items() if key not in ("date", "commit", "machine")}), flush=True
    )


def clean_commit(program: str) -> str:
    """Return the commit of the package. Raises `SystemExit` if there are changes that are not committed."""
    head = commit()
    if head is None or head.endswith("+changes"):
        raise SystemExit(f"{program}: the package is at {head}, expected a clean commit: commit src/ first")
    return head


def once(rows: Rows, /, **what: Any) -> None:
    """Raise `SystemExit` if there is a row with these values: what the docs report is measured only once."""
    if agreeing(rows, **what):
        told = ", ".join(f"{key} {str(value)[:40]}" for key, value in what.items())
        raise SystemExit(f"measure: measured already, and to be looked at once: {told}")


def read_results(folder: Path = RESULTS) -> Rows:
    """Read the rows of all files of a folder."""
    return [{"part": "study"} | row for path in sorted(folder.glob("*.jsonl")) for row in read_jsonl(path)]


def part(rows: Rows, *names: str) -> Rows:
    """The rows of some parts."""
    return [row for row in rows if row["part"] in names]


def value_of(row: Any, key: str) -> Any:
    """Return the value at the end of a path with dots, None if there is none."""
    for step in key.split("."):
        if isinstance(row, list):
            row = next(iter(row[int(step) :]), None) if step.isdecimal() else [one[step] for one in row]
        else:
            row = row.get(step) if isinstance(row, dict) else None
    return row


def holds(conditions: str, row: Row) -> bool:
    """Whether a row meets all conditions, which are joined by `&`. `key`: its value is true. `key=value|value`: it has
    one of these values. `key==key`: both have the same value. `!` before a condition negates it."""

    def one(condition: str) -> bool:
        key, sign, value = re.split(r"(==|=|$)", condition.removeprefix("!"), maxsplit=1)
        found = value_of(row, key)
        is_so = found == value_of(row, value) if sign == "==" else str(found) in value.split("|") if sign else found
        return bool(is_so) != condition.startswith("!")

    return all(one(condition.strip()) for condition in conditions.split(" & "))


def agreeing(rows: Rows, /, **where: Any) -> Rows:
    """The rows that have these values."""
    return [row for row in rows if all(value_of(row, key) == value for key, value in where.items())]


def grouped(rows: Iterable[Row], *keys: str) -> dict[tuple[Any, ...], Rows]:
    """Group the rows by their values at `keys`, in the order in which these first appear."""
    found: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        found.setdefault(tuple(value_of(row, key) for key in keys), []).append(row)
    return found


def by_date(rows: Rows) -> Rows:
    """Sort the rows by the date of their measurement."""
    return sorted(rows, key=lambda row: row["date"] or "")


def last_of(rows: Rows, *keys: str) -> Rows:
    """Return the row that was measured last, of each group of rows that agree in `keys`."""
    return [group[-1] for group in grouped(by_date(rows), *keys).values()]


def first_of(rows: Rows, *keys: str) -> Rows:
    """Return the row that was measured first, of each group of rows that agree in `keys`."""
    return [group[0] for group in grouped(by_date(rows), *keys).values()]


def newest(rows: Rows, key: str = "machine.processor") -> Rows:
    """Return the rows that agree in `key` with the row that was measured last."""
    last = value_of(by_date(rows)[-1], key) if rows else None
    return [row for row in rows if value_of(row, key) == last]


# Figures.


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table between two line ends. If it has no lines, write that nothing is measured."""
    return f"\n{markdown_table(head, body)}\n" if body else f"\n{NOT_MEASURED}\n"


def median(rows: Rows, key: str, /, **where: Any) -> float:
    """Return the median of a value over the rows that have the values `where`."""
    return float(statistics.median(value_of(row, key) for row in agreeing(rows, **where)))


def spread(numbers: Sequence[float], form: str = ".2f") -> str:
    """Mean ± standard deviation."""
    if not numbers:
        return "–"
    mean = format(statistics.mean(numbers), form).replace("-", "−" if "+" in form else "-")
    return f"{mean} ± {format(statistics.stdev(numbers), form.lstrip('+'))}" if len(numbers) > 1 else mean


def places(rows: Rows) -> str:
    """Write the processors of the rows, with their cores."""
    return "; ".join(sorted({f"{row['machine']['processor']}, {row['machine']['cores']} cores" for row in rows}))


def time_text(seconds: float | None) -> str:
    """Write a time with three digits."""
    return "none" if seconds is None else f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def merged(tables: Iterable[Row]) -> Row:
    """Merge tables into one: numbers at the same key are added."""
    found: Row = {}
    for key, value in (pair for one in tables for pair in one.items()):
        found[key] = value if isinstance(value, str) else found.get(key, 0) + value
    return found


FORMATS: dict[str, Callable[[Any], str]] = {
    "time": time_text,
    "duration": duration,
    "seconds": lambda spent: "–" if spent is None else f"{spent:.1f} s" if spent < 60 else f"{spent / 60:.1f} min",
    "whole": lambda value: str(math.floor(value)),
    "yes": lambda held: "yes" if held else "**no**",
    "words": lambda name: name.replace("_", " "),
    "added": lambda counts: f"{sum(counts.values()):,}",
    "versions": lambda versions: "; ".join(sorted((f"{name} {one}" for name, one in versions.items()), key=str.lower)),
    "counts": lambda counts: ", ".join(f"{count:,} {kind}" for kind, count in counts.items()),
    "times": lambda counts: ", ".join(f"{count:,} × {kind}" for kind, count in counts.items()),
}
OF_ALL: dict[str, Callable[[list[Any]], Any]] = {
    "median": statistics.median, "mean": statistics.fmean, "min": min, "max": max, "sum": sum, "count": len,
    "nine_tenths": lambda values: sorted(values)[int(0.9 * len(values))], "spread": list,
    "listed": list, "joined": list, "share": len, "rare": len, "merged": merged,
    "every": lambda values: sorted(set(values)), "any": lambda values: sorted(set(values)),
    "distinct": lambda values: list(dict.fromkeys(values)),
}  # fmt: skip
"""Functions of a key's values in several rows. The result is None if one of the values is None."""
JOINED = {"listed": ", ", "every": ", ", "distinct": ", ", "any": " or ", "joined": "\n\n"}
"""For functions with several values, the text between the values. Each value is formatted by itself."""
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "*": operator.mul, "/": lambda one, other: one / other if other else None, "-": operator.sub, "+": operator.add,
}  # fmt: skip
PICKS: dict[str, Callable[[Rows], Rows]] = {}
"""Rules that pick rows, by their names in queries; `figures.py` has them."""


def formatted(value: Any, form: str) -> str:
    """Write a value as text. None becomes a dash unless the format says otherwise."""
    if form in FORMATS:
        return FORMATS[form](value)
    if form.endswith("%"):
        return percent(value, int(form[1:-1]))
    return "–" if value is None else format(value, form)


def operand(words: Sequence[str], rows: Rows) -> Any:
    """Return a number, the value at a key of the first row, or a function of the values in all rows."""
    text, _, condition = " ".join(words).partition(" if ")
    condition, _, of = condition.partition(" of ")
    every = [row for row in rows if holds(of, row)] if of else rows
    rows = [row for row in every if holds(condition, row)] if condition else every
    first, _, key = text.partition(" ")
    first, key = (first, key) if key and first in OF_ALL else ("", text)
    if first in ("share", "rare"):
        count, total = (sum(value_of(row, key) for row in some) for some in (rows, every))
        if first == "share":
            return count / total if total else None
        return f"{count} (< {percent(wilson(count, total)[1])} %)" if total else None
    if first in OF_ALL:
        values = [one for row in rows for one in as_list(value_of(row, key))]
        return None if None in values or not (values or first in ("sum", "count")) else OF_ALL[first](values)
    if re.fullmatch(r"[\d.]+(e-?\d+)?", key):
        return float(key)
    return value_of(rows[0], key) if rows else None


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, and any other value in a list of its own."""
    return value if isinstance(value, list) else [value]


def calculated(asked: str, rows: Rows) -> Any:
    """Return a figure of some rows, None if part of it is unknown."""
    first, *steps = re.split(r" ([*/+-]) ", asked.strip())
    value = operand(first.split(), rows)
    for sign, words in zip(steps[::2], steps[1::2], strict=True):
        other = operand(words.split(), rows)
        value = None if value is None or other is None else OPERATORS[sign](value, other)
    return value


def figure(asked: str, form: str, rows: Rows) -> str:
    """Write a figure of some rows as text."""
    made, value = asked.split()[0], calculated(asked, rows)
    if asked == "places":
        return places(rows)
    if made == "spread":
        factor = 100 if form.endswith("%") else 1
        return spread([factor * one for one in value or ()], form.replace("%", "f"))
    if made in JOINED:
        return JOINED[made].join(formatted(one, form) for one in value)
    return formatted(value, form)


def said(template: str, rows: Rows) -> str:
    """Write a head, a cell or a text with its figures."""
    return TOKEN.sub(lambda token: figure(token[1], token[2] or "", rows), template)


# Queries.


def chosen(asked: Row, rows: Rows) -> Rows:
    """Return the rows that a query asks for, in its order."""
    found = part(rows, *as_list(asked["from"]))
    if "pick" in asked:
        found = PICKS[asked["pick"]](found)
    found = agreeing(found, **asked.get("where", {}))
    if "newest" in asked:
        groups = grouped(found, *asked.get("within", []))
        found = [row for group in groups.values() for row in newest(group, asked["newest"])]
    if "last" in asked:
        found = last_of(found, *asked["last"])
    if "unfold" in asked:
        keys = as_list(asked["unfold"])
        found = [one | {"all": row, "first": place == 0} for row in found
                 for place, one in enumerate(one for key in keys for one in as_list(row[key]))]  # fmt: skip
    found = fitting(found, asked.get("like", {}))
    for key, titles in asked.get("names", {}).items():
        found = [row | {key: titles[str(row[key])]} for row in found if str(row[key]) in titles]
    if "sort" in asked:
        found.sort(key=partial(order_of, asked))
    if "beside" in asked:
        base = grouped(agreeing(found, **asked["beside"]), *(alike := asked.get("alike", [])))
        found = [row | {"base": base.get(tuple(value_of(row, key) for key in alike), [])} for row in found]
    for key, text in asked.get("let", {}).items():
        make = said if "{" in text else calculated
        found = [row | {key: make(text, [row])} for row in found]
    found = [row for row in found if all(value_of(row, key) is not None for key in asked.get("has", []))]
    return fitting(found, asked.get("only", {}))


def fitting(rows: Rows, patterns: dict[str, str]) -> Rows:
    """Return the rows whose values fit patterns."""
    return [row for row in rows if all(re.search(one, str(value_of(row, key))) for key, one in patterns.items())]


def order_of(asked: Row, row: Row) -> list[Any]:
    """Return the sort key of a row: the place in the page's order for keys with names, the value for other keys."""
    values = {key: value_of(row, key) for key in asked["sort"]}
    names = asked.get("names", {})
    return [list(names[key].values()).index(one) if key in names else one for key, one in values.items()]


def values_across(asked: Row, found: Rows) -> list[Any]:
    """Return the values that make columns: numbers by size, others in the page's order or as they first appear."""
    key = asked.get("across", "")
    if "values" in asked:
        return list(asked["values"])
    values = list(dict.fromkeys(value_of(row, key) for row in found)) if key else []
    if key in asked.get("names", {}):
        return [title for title in asked["names"][key].values() if title in values]
    return values if any(isinstance(value, str) for value in values) else sorted(values)


def nested(groups: dict[tuple[Any, ...], Rows]) -> list[Rows]:
    """Order groups so that those that agree in the first key stand together, among these those that agree in the
    second, and so on."""
    keys = list(groups)
    for count in range(len(keys[0]) - 1, 0, -1):
        order = [key[:count] for key in groups]
        keys.sort(key=lambda key, count=count, order=order: order.index(key[:count]))  # type: ignore[misc]
    return [groups[key] for key in keys]


def answered(query: str, rows: Rows) -> str:
    """Answer a query from the rows, with a table or a text."""
    asked = tomllib.loads(query)
    if "lines" in asked:
        last = {name: last_of(part(rows, name)) for name, _, _ in asked["lines"]}
        told = [[said(head, last[name]), said(text, last[name])] for name, head, text in asked["lines"] if last[name]]
        return table(asked["columns"], told)
    found = chosen(asked, rows)
    if "text" in asked:
        groups = grouped(found, *asked.get("by", [])).values()
        lines = asked.get("join", "").join(said(asked.get("line", ""), group) for group in groups)
        return said(asked["text"].replace("{lines}", "\0"), found).replace("\0", lines) if found else NOT_MEASURED
    if not found:
        return table([], [])
    columns, each, across = asked["columns"], asked.get("each", []), values_across(asked, found)

    def line(group: Rows, place: int) -> list[str]:
        """Write the heads (place 0) or cells (place 1) of some rows."""
        parts = {value: [row for row in group if value_of(row, asked["across"]) == value] for value in across}
        more = [said(column[place], here) if here else "–" if place else str(value)
                for value, here in parts.items() for column in each]  # fmt: skip
        return [*(said(column[place], group) for column in columns), *more]

    lines = [[row] for row in found]
    if "by" in asked:
        parted = grouped(found, *asked["by"])
        lines = nested(parted) if across else list(parted.values())
    more = [[said(cell, found) for cell in cells] for cells in asked.get("more", [])]
    return table(line(found, 0), asked.get("above", []) + [line(group, 1) for group in lines] + more)
