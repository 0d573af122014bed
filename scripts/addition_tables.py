"""The tables about learning from sums, from addition.jsonl.

Rows of a plan whose settings have since changed stay in the log; quoted are those of its preset as it is now.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from bench_tables import NOT_MEASURED, agreeing, part, spread, table
from measure_addition import PLANS, config_of
from sumnist.config import Config, preset

__all__ = ["TABLES"]

Row = dict[str, Any]
Rows = list[Row]

TITLES = {"lenet": "Sumnist, LeNet of the protocol", "own": "Sumnist, its encoder and augmentation"}
PUBLISHED: dict[str, dict[int, str]] = {
    "DeepProofLog (2026), exact": {4: "94.0 ± 0.3", 15: "80.8 ± 1.1", 100: "37.8 ± 2.9", 200: "23.2", 500: "6.0"},
    "DeepSoftLog": {4: "93.5", 15: "77.1"},
    "PLIA": {4: "91.8", 15: "79.0"},
    "A-NeSI": {1: "97.7", 2: "96.0", 4: "92.6", 15: "76.8"},
    "NeSyDM": {4: "92.5", 15: "77.3"},
    "DeepStochLog": {1: "97.9", 2: "96.4", 4: "92.7"},
    "ABLkit": {1: "98.0"},
}
"""The percent of sums of two numbers that published systems get right, by the digits of a number, as their papers and
the comparison in that of DeepProofLog give them."""
CHANGED = "lr", "epochs", "batch_size", "weight_decay", "warmup", "lr_floor", "ema", "schedule", "augment", "precision"
"""Settings that are chosen by rows of held-out images."""


def quoted(rows: Rows, /, **where: Any) -> Rows:
    """The rows of the test images that are of a plan as it is now, and agree with `where` in their settings; by default
    of sums of two numbers, learned from their totals."""
    where = {"addends": 2, "operation": "add", "supervision": "sums"} | where
    found = [row for row in agreeing(part(rows, "addition"), set="test") if as_planned(row)]
    return [row for row in found if all(row["config"][key] == value for key, value in where.items())]


def as_planned(row: Row) -> bool:
    """Whether a row's settings are those of its plan, whatever is measured with them."""
    given = config_of(row)
    asked = ("digits", "addends", "operation", "supervision", "seed", "threads")
    planned: Config = preset(PLANS[row["name"]], validation=0, **{key: getattr(given, key) for key in asked})
    return given == planned


def numbers(rows: Iterable[Row], key: str) -> list[float]:
    """A share of the evaluations, in percent."""
    found = (row["evaluation"][key] for row in rows)
    return [100 * (value["value"] if isinstance(value, dict) else value) for value in found]


def minutes(rows: Rows) -> str:
    """The mean time of training."""
    return f"{statistics.fmean(row['seconds'] for row in rows) / 60:.1f}" if rows else "–"


def lengths(rows: Rows) -> list[int]:
    """The digits of the numbers in the rows, in order."""
    return sorted({row["config"]["digits"] for row in rows})


def by_plan(rows: Rows) -> list[tuple[str, int, Rows]]:
    """The rows by plan and digits."""
    groups = [(name, digits, [row for row in agreeing(rows, name=name) if row["config"]["digits"] == digits])
              for name in PLANS for digits in lengths(rows)]  # fmt: skip
    return [group for group in groups if group[2]]


def beside(rows: Rows) -> str:
    """Sums of two numbers that are right, by the digits of a number, beside what is published."""
    found = quoted(rows)
    if not found:
        return NOT_MEASURED
    columns = sorted({*lengths(found), *(digits for system in PUBLISHED.values() for digits in system)})
    body = [[title, *(system.get(digits, "–") for digits in columns)] for title, system in PUBLISHED.items()]
    ours = {(name, digits): spread(numbers(here, "sum")) for name, digits, here in by_plan(found)}
    here = dict.fromkeys(name for name, _ in ours)
    body += [[TITLES[name], *(ours.get((name, digits), "–") for digits in columns)] for name in here]
    return table(["sums right, %; digits of a number", *map(str, columns)], body)


def learned(rows: Rows) -> str:
    """The same rows in full: what is right, what it took, and what went wrong on the way."""
    body = [
        [TITLES[name], str(digits), f"{here[0]['evaluation']['sums']:,}",
         *(spread(numbers(here, key)) for key in ("sum", "regrouped", "total", "digit")),
         mean_of(here, "sum_nll"), minutes(here), str(len(here)), str(sum(row["restarts"] for row in here)),
         str(sum(row["renamed"] > 0 for row in here))]
        for name, digits, here in by_plan(quoted(rows))
    ]  # fmt: skip
    head = ["network", "digits of a number", "sums", "sums right, %", "of 100 regroupings, %", "most probable total, %",
            "digits right, %", "NLL of a total, nats", "minutes", "seeds", "restarts", "renamed"]  # fmt: skip
    return table(head, body)


def mean_of(rows: Rows, key: str) -> str:
    """The mean of a figure of the evaluations."""
    return f"{statistics.fmean(row['evaluation'][key] for row in rows):.3f}"


def twins(rows: Rows) -> str:
    """Networks that learned from sums beside the same ones that were told every digit, of the seeds that have both."""
    body = []
    for name, digits, here in by_plan(quoted(rows)):
        told = {row["seed"]: row for row in quoted(rows, supervision="digits", digits=digits) if row["name"] == name}
        pairs = [(row, told[row["seed"]]) for row in here if row["seed"] in told]
        if pairs:
            sums, others = (numbers(column, "digit") for column in zip(*pairs, strict=True))
            points = [one - two for one, two in zip(sums, others, strict=True)]
            body.append(
                [TITLES[name], str(digits), spread(sums), spread(others), spread_signed(points), str(len(pairs))]
            )
    head = [
        "network",
        "digits of a number",
        "digits right, from sums, %",
        "from digits, %",
        "difference, points",
        "seeds",
    ]
    return table(head, body)


def spread_signed(points: Sequence[float]) -> str:
    """`spread`, with the sign of the mean."""
    return ("+" if statistics.fmean(points) > 0 else "") + spread(points).replace("-", "−")


def others(rows: Rows) -> str:
    """Sums of more numbers, and differences."""
    body = []
    for operation in ("add", "sub"):
        found = [row for row in part(rows, "addition") if row["config"]["operation"] == operation]
        for addends in sorted({row["config"]["addends"] for row in found}):
            if (operation, addends) != ("add", 2):
                for name, digits, here in by_plan(quoted(rows, operation=operation, addends=addends)):
                    kind = f"{addends} numbers added" if operation == "add" else "the difference of 2 numbers"
                    body.append([TITLES[name], kind, str(digits), *(spread(numbers(here, key)) for key in
                                 ("sum", "regrouped", "digit")), minutes(here), str(len(here))])  # fmt: skip
    head = ["network", "what is told", "digits of a number", "right, %", "of 100 regroupings, %", "digits right, %",
            "minutes", "seeds"]  # fmt: skip
    return table(head, body)


def chosen(rows: Rows) -> str:
    """What was tried on held-out images, best first by digits within plan and length."""
    found = agreeing(part(rows, "addition"), set="held out")
    body = []
    for name, digits, here in by_plan(found):
        groups: dict[tuple[Config, str], Rows] = {}
        for row in here:
            groups.setdefault((replace(config_of(row), seed=0, threads=0), dropout(row)), []).append(row)
        best_first = sorted(groups.items(), key=lambda pair: -statistics.fmean(numbers(pair[1], "digit")))
        for (config, dropped), group in best_first:
            settings = ", ".join([*(f"{key} {getattr(config, key)}" for key in CHANGED), dropped])
            body.append([TITLES[name], str(digits), settings, config.supervision, spread(numbers(group, "digit")),
                         spread(numbers(group, "sum")), mean_of(group, "sum_nll"), str(len(group))])  # fmt: skip
    head = ["network", "digits of a number", "settings", "told", "digits right, %", "sums right, %",
            "NLL of a total, nats", "seeds"]  # fmt: skip
    return table(head, body)


def dropout(row: Row) -> str:
    """What the encoder drops, and where."""
    return ", ".join(f"dropout {share:g} {where}" for where, share in row.get("dropout", {}).items()) or "no dropout"


def measured(rows: Rows) -> str:
    """Where the quoted rows were measured, with how many threads, and at which commits."""
    found = [row for row in agreeing(part(rows, "addition"), set="test") if as_planned(row)]
    if not found:
        return NOT_MEASURED.strip()
    where = sorted({f"{row['config']['threads']} threads of {row['machine']['processor']}" for row in found})
    commits = sorted({row["commit"][:9] for row in found})
    return f"{'; '.join(where)}; at {', '.join(commits)}".replace("1 threads", "one thread")


TABLES: dict[str, Callable[[Rows], str]] = {
    "addition-beside": beside,
    "addition-learned": learned,
    "addition-twins": twins,
    "addition-others": others,
    "addition-chosen": chosen,
    "addition-measured": measured,
}
