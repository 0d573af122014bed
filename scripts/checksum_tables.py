"""The tables about what a total does for reading numbers, from checksums.jsonl.

Of each set, half and engine the row that was measured last is quoted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench_tables import NOT_MEASURED, part, table
from measure_checksums import SURE
from sumnist.evaluation.text import percent

__all__ = ["TABLES"]

Row = dict[str, Any]
Rows = list[Row]

KINDS = {"all": "all", "settled": "settled by the total", "accepted": f"accepted, {SURE:.0%} sure"}


def last(rows: Rows, name: str, *keys: str) -> Rows:
    """Of the rows of a part that agree in `keys` the one that was measured last."""
    ordered = sorted(part(rows, name), key=lambda row: row["date"])
    return list({tuple(row[key] for key in keys): row for row in ordered}.values())


def count(row: Row, share: str, of: str) -> str:
    """How many make up a share; a dash if there are none that it is of."""
    return "–" if row[share] is None else f"{round(row[share] * row[of]):,}"


def triples(rows: Rows) -> str:
    """Triples with a wrong digit, before and after they are known to add up."""
    body = [
        [f"{row['triples']:,}", f"{count(row, 'images_wrong', 'images')} of {row['images']:,}",
         *(count(row, f"wrong_{name}", "triples") for name in ("before", "after")),
         f"{row['wrong_before'] / row['wrong_after']:.0f}" if row["wrong_after"] else "none is left",
         count(row, "wrong_by_digit", "triples")]
        for row in last(rows, "checksum-triples", "seed")
    ]  # fmt: skip
    head = ["triples", "images misread", "triples with a wrong digit, each digit alone", "given that they add up",
            "times fewer", "by the most probable digits, one by one"]  # fmt: skip
    return table(head, body)


def sums(rows: Rows) -> str:
    """Numbers and sums that are wrong, before and after the total is known: all, those settled, those accepted."""
    found = last(rows, "checksum-sums", "set", "half", "engine", "kind", "seed")
    body = [
        [row["set"], row["half"], row["engine"], f"{row['pictures']:,}", KINDS[row["kind"]], f"{row['sums']:,}",
         percent(row["share"]), percent(row["numbers_wrong_before"]), percent(row["numbers_wrong_after"]),
         count(row, "sums_wrong_before", "sums"), count(row, "sums_wrong_after", "sums")]
        for row in found
    ]  # fmt: skip
    head = ["real numbers", "half", "read with", "pictures", "which sums", "sums", "of all, %",
            "wrong numbers, read alone, %", "given the total, %", "sums with a wrong number, read alone",
            "given the total"]  # fmt: skip
    return table(head, body)


def measured(rows: Rows) -> str:
    """When, where and with what the rows were measured, as a sentence."""
    found = [("triples", row) for row in last(rows, "checksum-triples", "seed")]
    found += [(f"{row['set']} read with {row['engine']}", row)
              for row in last(rows, "checksum-sums", "set", "half", "engine")]  # fmt: skip
    networks: dict[str, list[str]] = {}
    for name, row in found:
        known = f"{name} (SHA-256 of its networks: {row['model_sha256'][:12]}…)"
        where = f"on {row['date'][:10]} at commit {row['commit'][:9]} on {row['machine']['processor']}"
        networks.setdefault(where, []).append(known)
    told = [f"{where}: {', '.join(dict.fromkeys(names))}" for where, names in networks.items()]
    return f"Measured {'; '.join(told)}." if told else NOT_MEASURED.strip()


TABLES: dict[str, Callable[[Rows], str]] = {
    "checksum-triples": triples,
    "checksum-sums": sums,
    "checksum-measured": measured,
}
