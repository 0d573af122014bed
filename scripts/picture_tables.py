"""The tables and the plot of docs/your-own-pictures.md, from robustness.jsonl, calibration.jsonl and runs.jsonl.

The reported half is looked at once: of the rows of the newest model its first one is quoted, whatever came after.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from bench_tables import COLOURS, GREY, NOT_MEASURED, figure, part, table
from sumnist.evaluation.plots import as_svg
from sumnist.suites.out_of_distribution import LOOK_ALIKES

__all__ = ["PLOTS", "TABLES"]

Row = dict[str, Any]
Rows = list[Row]

PLAN = "best-exact"
SURE = 0.99
"""The coverage at which the risk is told in the tables."""
PUBLISHED = {
    "published: a plain CNN": 75.9,
    "published: the same CNN with a Hopfield network at test time": 89.8,
}
"""Mean accuracy in percent over the fifteen corruptions of MNIST-C (Mu and Gilmer, 2019) on the published images, as
Sargolzaei and Rueda (2024, arXiv 2408.11309) report it: 75.92 and 89.76 in the notebook of their repository."""
UNTOLD = NOT_MEASURED.strip()
"""What stands in a line of text where there is no row."""
KEPT_APART = "look-alikes"


# Which rows are quoted.


def newest_model(rows: Rows) -> str | None:
    """The digest of the model that was first measured last."""
    first: dict[str, str] = {}
    for row in part(rows, "robustness"):
        digest = row["model_sha256"]
        first[digest] = min(row["date"], first.get(digest, row["date"]))
    return max(first, key=lambda digest: first[digest]) if first else None


def reported(rows: Rows) -> Row | None:
    """The reported half of the newest model, as it was first measured."""
    model = newest_model(rows)
    found = [r for r in part(rows, "robustness") if r["half"] == "reported" and r["model_sha256"] == model]
    return min(found, key=lambda row: row["date"]) if found else None


def development(rows: Rows) -> Row | None:
    """The development half as it was last measured."""
    found = [row for row in part(rows, "robustness") if row["half"] == "development"]
    return max(found, key=lambda row: row["date"]) if found else None


def calibration(rows: Rows) -> Row | None:
    """The last calibration."""
    return next((row for row in reversed(rows) if "least_is_digit" in row), None)


def trained(rows: Rows) -> Rows:
    """The runs of the preset `best`, by seed."""
    return sorted((row for row in rows if row.get("plan") == PLAN), key=lambda row: row["seed"])


# Figures as text.


def percent(share: float | None, digits: int = 2) -> str:
    """A share in percent, without the sign."""
    return "–" if share is None else f"{100 * share:.{digits}f}"


def spread(numbers: Sequence[float], digits: int) -> str:
    """Mean ± standard deviation."""
    mean = f"{statistics.mean(numbers):.{digits}f}"
    return f"{mean} ± {statistics.stdev(numbers):.{digits}f}" if len(numbers) > 1 else mean


def curve(figures: Row) -> list[tuple[float, float]]:
    """The risk–coverage curve of an evaluation or a calibration, if it has one."""
    found = figures.get("digit_risk") or figures.get("risk_coverage") or []
    return [(coverage, risk) for coverage, risk in found]


def risk_at_99(figures: Row) -> float | None:
    """The share of wrong answers among the 99 % that the network is surest of, if it is known."""
    given: float | None = figures.get("risk_at_99")
    on_curve = (risk for coverage, risk in curve(figures) if math.isclose(coverage, SURE))
    return next(on_curve, None) if given is None else given


def told_of(
    which: Callable[[Rows], Row | None], make: Callable[[Row], str], untold: str = NOT_MEASURED
) -> Callable[[Rows], str]:
    """What `make` writes of the row that is `which`, or `untold` where there is none."""

    def written(rows: Rows) -> str:
        row = which(rows)
        return untold if row is None else make(row)

    return written


# The tables.


def test_figures(rows: Rows) -> str:
    """MNIST's test images, seed by seed, and the mean."""
    found = [row["evaluation"] for row in trained(rows)]
    body = [
        [str(row["seed"]), percent(e["digit"]["value"]), f"{e['digit_nll']:.4f}", percent(e["digit_ece"]),
         percent(risk_at_99(e), 3)]
        for row, e in zip(trained(rows), found, strict=True)
    ]  # fmt: skip
    if len(found) > 1:
        risks = [100 * risk for e in found if (risk := risk_at_99(e)) is not None]
        body.append([
            f"mean of {len(found)} seeds", spread([100 * e["digit"]["value"] for e in found], 2),
            spread([e["digit_nll"] for e in found], 4), spread([100 * e["digit_ece"] for e in found], 2),
            spread(risks, 3) if len(risks) == len(found) else "–",
        ])  # fmt: skip
    return table(["seed", "digit %", "NLL, nats", "ECE-15, %", "wrong of the surest 99 %, %"], body)


def corruption_table(row: Row) -> str:
    """The corruptions one by one, the means, and what others published."""
    every = row["corruptions"]
    unseen = [one for one in every if not one["seen"]]
    body = [
        [one["name"].replace("_", " "), "yes" if one["seen"] else "no", percent(one["network"]),
         percent(one["reader"]), percent(one["accepted"])]
        for one in every
    ]  # fmt: skip
    for title, ones, key in ((f"**mean of {len(every)}**", every, "mean"),
                             (f"**mean of the {len(unseen)} unseen**", unseen, "mean_unseen")):  # fmt: skip
        accepted = statistics.mean(one["accepted"] for one in ones) if ones else None
        body.append([title, "", percent(row[f"network_{key}"]), percent(row[f"reader_{key}"]), percent(accepted)])
    body += [[f"{title}, mean of 15", "no", f"{value:.1f}", "–", "–"] for title, value in PUBLISHED.items()]
    return table(["corruption", "a relative in training", "network alone, %", "reader, %", "accepted, %"], body)


def digit_table(row: Row) -> str:
    """Pictures of digits, MNIST's first."""
    body = [
        [one["name"], f"{one['pictures']:,}", percent(one["accuracy"]), percent(one["accepted"]),
         percent(one["accuracy_accepted"]), percent(one["several"])]
        for one in (row["mnist"], *row["digits"])
    ]  # fmt: skip
    head = ["digits", "pictures", "right, %", "accepted, %", "right of the accepted, %", "called several, %"]
    return table(head, body)


def writer_table(row: Row) -> str:
    """The handwriting fonts hand by hand: as they are, and in synthetic photographs."""
    sets = [one for one in row["digits"] if one["by_writer"]]
    hands = list(dict.fromkeys(hand for one in sets for hand in one["by_writer"]))
    body = [[hand, *(percent(one["by_writer"].get(hand)) for one in sets)] for hand in hands]
    return table(["hand", *(f"{one['name']}, right, %" for one in sets)], body)


def ood_table(row: Row) -> str:
    """What is no digit, by kind; the letters that look like one come last, as a list of their own."""
    kinds = sorted(row["out_of_distribution"], key=lambda one: one["name"] == KEPT_APART)
    body = [[ood_name(one["name"]), f"{one['pictures']:,}", percent(one["accepted"]), f"{one['auroc']:.4f}"]
            for one in kinds]  # fmt: skip
    return table(["no digit", "pictures", "accepted all the same, %", "AUROC"], body)


def ood_name(name: str) -> str:
    """The kind; of the look-alikes also which letters they are."""
    return f"*{name}, a list of their own*: {' '.join(LOOK_ALIKES)}" if name == KEPT_APART else name


def halves_table(rows: Rows) -> str:
    """The half that choices were made on, beside the one that was looked at once."""
    both = [development(rows), reported(rows)]
    if both == [None, None]:
        return NOT_MEASURED
    told = [{} if row is None else summary(row) for row in both]
    lines = list(dict.fromkeys(line for one in told for line in one))
    return table(["", "development", "reported"], [[line, *(one.get(line, "–") for one in told)] for line in lines])


def summary(row: Row) -> dict[str, str]:
    """The main figures of a half, by what they are of; under the same names in both."""
    found = {
        f"{title}, {what}, right %": percent(row[f"{what}_{key}"])
        for title, key in (("corruptions", "mean"), ("unseen corruptions", "mean_unseen"))
        for what in ("network", "reader")
    }
    for one in (row["mnist"], *row["digits"]):
        found[f"{re.sub('MNIST (training|test) images', 'MNIST images', one['name'])}, right %"] = percent(
            one["accuracy"]
        )
    return found | {f"{one['name']}, AUROC": f"{one['auroc']:.4f}" for one in row["out_of_distribution"]}


def measured(row: Row) -> str:
    """What the figures of the reported half were measured with, and when, as a sentence."""
    return (
        f"Measured on {row['date'][:10]} at commit {row['commit'][:9]}, with {row['mnist_images']:,} MNIST images and "
        f"at most {row['photographs']:,} photographs of each set, on {row['machine']['processor']}; the model's "
        f"SHA-256 begins with {row['model_sha256'][:12]}."
    )


def calibration_table(row: Row) -> str:
    """The five networks, each on the images that it was trained without, and all of these together."""
    body = [[f"fold {fold['fold']}", *out_of_fold(fold), f"{fold['seconds'] / 60:.1f} min"] for fold in row["folds"]]
    cells = out_of_fold(row)
    body.append(["all, before the temperature", *cells[:2], f"{row['nll_before']:.4f}", "–", "–", ""])
    body.append(["**all, as calibrated**", *cells, ""])
    head = ["left out", "images", "digit %", "NLL, nats", "ECE-15, %", "wrong of the surest 99 %, %", "training"]
    return table(head, body)


def out_of_fold(figures: Row) -> list[str]:
    """Cells: images, accuracy, loss, calibration error, risk."""
    return [f"{figures['images']:,}", percent(figures["accuracy"]), f"{figures['nll']:.4f}",
            percent(figures.get("ece")), percent(risk_at_99(figures), 3)]  # fmt: skip


def thresholds(row: Row) -> str:
    """The thresholds, and what share of the digits passes them, as a sentence."""
    return (
        f"An answer stands if `is_digit_probability` is at least {row['least_is_digit']:.3f} and `confidence` at least "
        f"{row['least_confidence']:.3f}: {percent(row['accepted'])} % of the {row['images']:,} training images pass, "
        f"each answered by a network that was trained without it. The temperature is {row['temperature']:.3f}."
    )


TABLES: dict[str, Callable[[Rows], str]] = {
    "pictures-test": test_figures,
    "pictures-measured": told_of(reported, measured, UNTOLD),
    "pictures-corruptions": told_of(reported, corruption_table),
    "pictures-digits": told_of(reported, digit_table),
    "pictures-writers": told_of(reported, writer_table),
    "pictures-ood": told_of(reported, ood_table),
    "pictures-halves": halves_table,
    "pictures-calibration": told_of(calibration, calibration_table),
    "pictures-thresholds": told_of(calibration, thresholds, UNTOLD),
}


# The plot.


def risk_plot(rows: Rows) -> str:
    """Risk against coverage: the training images, each out of fold, and the test images, the mean over seeds."""
    drawn, axes = figure(
        "What is refused first is what would be wrong",
        "share of the images answered, the surest first",
        "wrong answers among them, %",
    )
    row = calibration(rows)
    tested = [row["evaluation"] for row in trained(rows) if curve(row["evaluation"])]
    lines = []
    if row is not None and curve(row):
        lines.append((f"{row['images']:,} training images, out of fold", curve(row)))
        axes.axvline(
            row["accepted"], color=GREY, linewidth=1, linestyle=(0, (4, 2)), label="share that the thresholds accept"
        )
    if tested:
        seeds = f"mean of {len(tested)} seeds" if len(tested) > 1 else "one seed"
        lines.append((f"{tested[0]['images']:,} test images, {seeds}", mean_curve([curve(one) for one in tested])))
    for (label, points), colour in zip(lines, COLOURS, strict=False):
        x, y = zip(*points, strict=True)
        axes.plot(x, [100 * risk for risk in y], "o-", ms=3, color=colour, label=label)
    axes.set_xlim(0.9, 1.001)
    axes.set_ylim(bottom=0)
    if lines:
        axes.legend(frameon=False, fontsize=9, loc="upper left")
    else:
        axes.text(0.5, 0.5, UNTOLD.strip("*"), transform=axes.transAxes, ha="center", color=GREY)
    return as_svg(drawn)


def mean_curve(curves: Sequence[list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """The mean risk at each coverage that all of `curves` have."""
    known = [dict(one) for one in curves]
    return [(c, statistics.fmean(one[c] for one in known)) for c, _ in curves[0] if all(c in one for one in known)]


PLOTS: dict[str, Callable[[Rows], str]] = {"risk-coverage": risk_plot}
