"""The tables of docs/numbers.md, from numbers.jsonl and bench.jsonl.

The reported half is looked at once: of the rows of an engine's newest network the first ones are quoted, whatever came
after.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from bench_tables import NOT_MEASURED, agreeing, median, names, part, table
from picture_tables import reader_of
from sumnist.evaluation.text import percent
from sumnist.inference.closer import TRUST

__all__ = ["TABLES"]

Row = dict[str, Any]
Rows = list[Row]

SPACINGS = "spaced", "close", "touching"
ENGINES = "ours", "ocr", "ocr alone", "both"
SHARES = {"right, %": "accuracy", "accepted, %": "accepted", "right of the accepted, %": "accuracy_accepted",
          "truth among the candidates, %": "in_candidates"}  # fmt: skip
"""Columns that are shares."""
UNSORTED = "nobody has looked at it yet"
"""The cause of a misread number without one."""
PACKAGED = "packaged"
"""The packaged weights, beside those of trials."""
BESIDE = "numbers-accuracy", "numbers-latency", "numbers-rate", "numbers-size"
"""The parts of the benchmarks."""


# Which rows are quoted.


def quoted(rows: Rows, /, **where: Any) -> Rows:
    """The rows that agree with `where`, of the newest network of each engine: of the reported half as first measured,
    of development as last measured."""
    found: dict[tuple[Any, ...], Row] = {}
    newest = newest_readers(rows)
    for row in sorted(part(rows, "strips"), key=lambda row: row["date"]):
        if reader_of(row) == newest[row["engine"]]:
            key = tuple(row.get(name) for name in ("engine", "kind", "set", "half", "name"))
            if row["half"] == "development" or key not in found:
                found[key] = row
    in_order = sorted(found.values(), key=lambda row: ENGINES.index(row["engine"]))
    return agreeing(in_order, **where)


def newest_readers(rows: Rows) -> dict[str, tuple[str, int]]:
    """By engine, the digest of its networks and the generation of the path to the line, first measured last."""
    in_order = sorted(part(rows, "strips"), key=lambda row: row["date"])
    return dict(list(dict.fromkeys((row["engine"], reader_of(row)) for row in in_order)))


# Figures as text.


def by_length(rows: Rows) -> str:
    """How many strings are read right, by the number of digits and how far they are apart."""
    found = quoted(rows, kind="strings", half="reported", engine="ours")
    body = []
    for digits in dict.fromkeys(row["digits"] for row in found if row["digits"]):
        here = {row["spacing"]: row for row in agreeing(found, digits=digits)}
        shares = [percent(here[name]["accuracy"]) if name in here else "–" for name in SPACINGS]
        body.append([str(digits), f"{max(row['pictures'] for row in here.values()):,}", *shares])
    return table(["digits", "strings of each", *(f"{name}, right, %" for name in SPACINGS)], body)


def by_spacing(rows: Rows) -> str:
    """Strings of two digits and more, by how far these are apart and by engine."""
    found = [row for row in quoted(rows, kind="strings", half="reported") if row["digits"] is None]
    found.sort(key=lambda row: SPACINGS.index(row["spacing"]))
    body = [[row["spacing"], row["engine"], *figures(row)] for row in found]
    return table(["2 to 12 digits", "read with", *HEAD], body)


def real(rows: Rows) -> str:
    """Real strips, by engine: both halves."""
    found = sorted(quoted(rows, kind="real"), key=lambda row: (row["name"], row["half"]))
    body = [[row["name"], row["half"], row["engine"], *figures(row)] for row in found]
    return table(["real strips", "half", "read with", *HEAD], body)


HEAD = ["pictures", *SHARES, "NLL, nats", "ECE-15, %"]


def figures(row: Row) -> list[str]:
    """The cells of `HEAD`."""
    shares = (percent(row[key]) for key in SHARES.values())
    nll = "–" if row["nll"] is None else f"{row['nll']:.3f}"
    return [f"{row['pictures']:,}", *shares, nll, percent(row["ece"])]


def relabelled(rows: Rows) -> str:
    """Real strips without those that count as misread only because their label is wrong, as a person saw: by engine."""
    body = []
    for row in sorted(quoted(rows, kind="real"), key=lambda row: (row["name"], row["half"])):
        wrong = {one["picture"] for one in agreeing(part(rows, "strips-labels"), set=row["set"], half=row["half"])}
        out = [one for one in row.get("misread", ()) if one["picture"] in wrong]
        if wrong and row["accuracy_accepted"] is not None:
            count, left = row["pictures"], row["pictures"] - len(out)
            accepted = row["accepted"] * count
            kept = accepted - sum(one["accepted"] for one in out)
            shares = (
                row["accuracy"] * count / left,
                row["accuracy_accepted"] * accepted / kept if kept else None,
                (row["in_candidates"] * count - sum(one["in_candidates"] for one in out)) / left,
            )
            body.append([row["name"], row["half"], row["engine"], str(len(out)), *map(percent, shares)])
    head = ["right, %", "right of the accepted, %", "truth among the candidates, %"]
    return table(["real strips", "half", "read with", "left out", *head], body)


def trials(rows: Rows) -> str:
    """Short trainings by which the recipe was chosen, in the order in which they were made."""
    body = [
        [row["strips"], row["network"], row["optimizer"], f"{row['lr']:g}", str(row["batch"]), f"{row['seen']:,}",
         f"{row['seconds']:.0f}", percent(row["right"], 1), f"{row['nll']:.3f}"]
        for row in part(rows, "strips-trials")
    ]  # fmt: skip
    head = ["composed", "network", "optimizer", "rate", "batch", "strips seen", "seconds", "right, %", "NLL, nats"]
    return table(head, body)


def closer(rows: Rows) -> str:
    """The development half by how much a closer look counts."""
    found = sorted(part(rows, "strips-closer"), key=lambda row: (ENGINES.index(row["engine"]), row["trust"]))
    labels = [(row["engine"], f"{row['trust']:g}{', used' * (row['trust'] == TRUST)}") for row in found]
    head, *body = by_set(["read with", "trust"], labels, found)
    return table(head, body)


def longer(rows: Rows) -> str:
    """The development half by what became of the weights after the training."""
    packaged = [
        row | {"weights": PACKAGED} for row in agreeing(part(rows, "strips-closer"), engine="ours", trust=TRUST)
    ]
    found = [*packaged, *part(rows, "strips-longer")]
    head, *body = map(list, zip(*by_set(["weights"], [(row["weights"],) for row in found], found), strict=True))
    return table(head, body)


def by_set(head: list[str], labels: Sequence[tuple[str, ...]], rows: Rows) -> list[list[str]]:
    """A head, and for each label, which the rows have in their order, what was last measured on each set: the share
    that is read right, and the NLL."""
    by_date = sorted(zip(labels, rows, strict=True), key=lambda one: one[1]["date"])
    newest = {(label, row["name"]): row for label, row in by_date}
    sets = {row["name"]: row["pictures"] for row in newest.values()}
    body = []
    for label in dict.fromkeys(labels):
        here = [newest.get((label, name)) for name in sets]
        body.append([*label, *(f"{percent(row['accuracy'])} ({row['nll']:.3f})" if row else "–" for row in here)])
    return [[*head, *(f"{name}, {count:,} pictures" for name, count in sets.items())], *body]


def refused(rows: Rows) -> str:
    """What is no number, by kind: the share that each engine accepts all the same."""
    found = quoted(rows, kind="no number", half="reported")
    engines = list(dict.fromkeys(row["engine"] for row in found))
    body = []
    for name in names(found):
        here = {row["engine"]: row for row in agreeing(found, name=name)}
        shares = [f"{percent(here[one]['accepted'])} of {here[one]['pictures']:,}" if one in here else "–"
                  for one in engines]  # fmt: skip
        body.append([name, *shares])
    return table(["no number", *(f"accepted by {engine}, %" for engine in engines)], body)


def causes(rows: Rows) -> str:
    """Why numbers of the development half of real strips were misread, as a person sorted them: how many, by set."""
    sorted_out = {(row["set"], row["picture"]): row["cause"] for row in part(rows, "strips-misses")}
    known = {name for name, _ in sorted_out}
    found = [
        {"set": row["set"], "cause": sorted_out.get((row["set"], one["picture"]), UNSORTED)}
        for row in quoted(rows, kind="real", half="development", engine="ours") if row["set"] in known
        for one in row["misread"]
    ]  # fmt: skip
    sets = list(dict.fromkeys(row["set"] for row in found))
    kinds = dict.fromkeys(row["cause"] for row in found)
    body = [[kind, *(str(len(agreeing(found, cause=kind, set=name))) for name in sets)] for kind in kinds]
    body.sort(key=lambda row: -sum(map(int, row[1:])))
    return table(["why ours misread it", *sets], body)


def measured(rows: Rows) -> str:
    """What the figures of the reported half were measured with, and when, as a sentence."""
    told = []
    for engine in dict.fromkeys(row["engine"] for row in quoted(rows, half="reported")):
        row = quoted(rows, half="reported", engine=engine)[0]
        told.append(f"{engine} on {row['date'][:10]} at commit {row['commit'][:9]} on {row['machine']['processor']} "
                    f"(SHA-256 of its networks: {row['model_sha256'][:12]}…)")  # fmt: skip
    return f"Measured: {'; '.join(told)}." if told else NOT_MEASURED.strip()


def beside(rows: Rows) -> str:
    """The same strings, read with everything there is."""
    found = part(rows, "numbers-accuracy")
    body = []
    for name in names(found):
        shares = [agreeing(found, name=name, spacing=spacing) for spacing in SPACINGS]
        cells = [percent(statistics.fmean(row["right"] for row in here)) if here else "–" for here in shares]
        body.append([name, f"{sum(row['strings'] for row in agreeing(found, name=name)):,}", *cells])
    return table(["the same strings, read with", "strings", *(f"{name}, right, %" for name in SPACINGS)], body)


def speed(rows: Rows) -> str:
    """Time, throughput and size of each engine."""
    latency, rate, size = (part(rows, name) for name in BESIDE[1:])
    kinds = list(dict.fromkeys(row["kind"] for row in latency))
    body = []
    for name in names(latency):
        times = [f"{1e3 * median(latency, 'p50', name=name, kind=kind):.3g} ms" for kind in kinds]
        rates = agreeing(rate, name=name)
        per_second = f"{median(rates, 'strips_per_second'):,.0f}" if rates else "–"
        sizes = agreeing(size, name=name)
        body.append([name, *times, per_second, *(megabytes(sizes, key) for key in ("network_bytes", "peak_bytes"))])
    head = ["read with", *kinds, "strips a second, two threads", "networks", "memory"]
    return table(head, body)


def times(rows: Rows) -> str:
    """How many times as fast as a general reader the package's own network is, round by round, and where."""
    found = part(rows, BESIDE[1])
    told = []
    for kind in dict.fromkeys(row["kind"] for row in found):
        ours, ocr = (
            {row["round"]: row["p50"] for row in agreeing(found, kind=kind, name=name)} for name in ("ours", "ocr")
        )
        ratios = [ocr[turn] / ours[turn] for turn in sorted(ours.keys() & ocr.keys())]
        if ratios:
            told.append(
                f"{statistics.median(ratios):.1f} times as fast ({kind}: {min(ratios):.1f} to {max(ratios):.1f})"
            )
    if not told:
        return NOT_MEASURED.strip()
    row = found[0]
    return (
        f"Beside `ocr`, `ours` is {', '.join(told)}: medians of rounds in turn, and their range, measured on "
        f"{row['date'][:10]} with one thread of {row['machine']['processor']}."
    )


def megabytes(rows: Rows, key: str) -> str:
    """Bytes in MB, where they are known."""
    known = [row[key] for row in rows if row[key]]
    return f"{statistics.median(known) / 1e6:.1f} MB" if known else "–"


TABLES: dict[str, Callable[[Rows], str]] = {
    "numbers-length": by_length,
    "numbers-spacing": by_spacing,
    "numbers-real": real,
    "numbers-labels": relabelled,
    "numbers-causes": causes,
    "numbers-trials": trials,
    "numbers-closer": closer,
    "numbers-longer": longer,
    "numbers-refused": refused,
    "numbers-beside": beside,
    "numbers-speed": speed,
    "numbers-times": times,
    "numbers-measured": measured,
}
