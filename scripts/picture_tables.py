"""The tables and the plot of docs/your-own-pictures.md, from robustness.jsonl, calibration.jsonl and runs.jsonl.

The reported half is looked at once: of the rows of the newest model its first one is quoted, whatever came after.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib

from bench_tables import COLOURS, NOT_MEASURED, agreeing, figure, part, spread, table
from sumnist.evaluation.plots import GREY, STYLE, as_svg
from sumnist.evaluation.text import percent
from sumnist.lab.suites.out_of_distribution import LOOK_ALIKES

__all__ = ["PLOTS", "TABLES"]

Row = dict[str, Any]
Rows = list[Row]

SURE = 0.99
"""The coverage at which the tables tell the risk."""
LEAST_COVERAGE = 0.9
"""Where the plot of risk and coverage begins."""
PUBLISHED = {
    "published: a plain CNN": 75.9,
    "published: the same CNN with a Hopfield network at test time": 89.8,
}
"""Mean accuracy in percent over the fifteen corruptions of MNIST-C (Mu and Gilmer, 2019) on the published images, as
Sargolzaei and Rueda (2024, arXiv 2408.11309) report it: 75.92 and 89.76 in the notebook of their repository."""
NOT_MEASURED_HERE = NOT_MEASURED.strip()
"""What stands in a line of text where there is no row."""
KEPT_APART = "look-alikes"
STRANGERS = "no digit"
"""The set of `scripts/rules.py` of which none should be accepted."""
SCENES = "scenes: "
"""How the names of the sets begin that show paper on a desk."""


# Which rows are quoted.


def newest_reader(rows: Rows) -> tuple[str, int] | None:
    """The digest of the model, and the generation of the picture path, that were first measured last."""
    first: dict[tuple[str, int], str] = {}
    for row in part(rows, "robustness"):
        reader = reader_of(row)
        first[reader] = min(row["date"], first.get(reader, row["date"]))
    return max(first, key=lambda reader: first[reader]) if first else None


def reader_of(row: Row) -> tuple[str, int]:
    """The digest of the model and the generation of the picture path of a row."""
    return row["model_sha256"], row.get("path", 1)


def reported(rows: Rows) -> Row | None:
    """The reported half of the newest reader, as it was first measured."""
    reader = newest_reader(rows)
    measured = [row for row in agreeing(part(rows, "robustness"), half="reported") if reader_of(row) == reader]
    return min(measured, key=lambda row: row["date"], default=None)


def development(rows: Rows) -> Row | None:
    """The development half as it was last measured."""
    measured = agreeing(part(rows, "robustness"), half="development")
    return max(measured, key=lambda row: row["date"], default=None)


def calibration(rows: Rows) -> Row | None:
    """The last calibration."""
    return next((row for row in reversed(rows) if "least_is_digit" in row), None)


def calibration_with(part: str) -> Callable[[Rows], Row | None]:
    """The last calibration, if it has this `part`, which earlier ones lack."""

    def found(rows: Rows) -> Row | None:
        row = calibration(rows)
        return row if row and part in row else None

    return found


def trained(rows: Rows) -> Rows:
    """The runs with the packaged network's settings, by seed."""
    return sorted((row for row in rows if row.get("plan") == "packaged"), key=lambda row: row["seed"])


# Figures as text.


def curve(figures: Row) -> list[tuple[float, float]]:
    """The risk–coverage curve of an evaluation or a calibration, if it has one."""
    points = figures.get("digit_risk") or figures.get("risk_coverage") or []
    return [(coverage, risk) for coverage, risk in points]


def risk_at(figures: Row, share: float) -> float | None:
    """The share of wrong answers among the `share` that the network is surest of, if it is known."""
    return next((risk for coverage, risk in curve(figures) if math.isclose(coverage, share)), None)


def risk_at_99(figures: Row) -> float | None:
    """The share of wrong answers among the 99 % that the network is surest of, if it is known."""
    given: float | None = figures.get("risk_at_99")
    return risk_at(figures, SURE) if given is None else given


def of_row(
    which: Callable[[Rows], Row | None], make: Callable[[Row], str], otherwise: str = NOT_MEASURED
) -> Callable[[Rows], str]:
    """What `make` writes of the row that is `which`, or `otherwise` where there is none."""

    def written(rows: Rows) -> str:
        row = which(rows)
        return otherwise if row is None else make(row)

    return written


# The tables.


def test_figures(rows: Rows) -> str:
    """MNIST's test images, seed by seed, and the mean."""
    runs = trained(rows)
    evaluations = [row["evaluation"] for row in runs]
    body = [
        [str(row["seed"]), percent(e["digit"]["value"]), f"{e['digit_nll']:.4f}", percent(e["digit_ece"]),
         percent(risk_at_99(e), 3)]
        for row, e in zip(runs, evaluations, strict=True)
    ]  # fmt: skip
    if len(runs) > 1:
        risks = [100 * risk for e in evaluations if (risk := risk_at_99(e)) is not None]
        body.append([
            f"mean of {len(runs)} seeds", spread([100 * e["digit"]["value"] for e in evaluations], 2),
            spread([e["digit_nll"] for e in evaluations], 4), spread([100 * e["digit_ece"] for e in evaluations], 2),
            spread(risks, 3) if len(risks) == len(runs) else "–",
        ])  # fmt: skip
    return table(["seed", "digit %", "NLL, nats", "ECE-15, %", "wrong of the surest 99 %, %"], body)


def corruption_table(row: Row) -> str:
    """The corruptions one by one, the means, and what others published."""
    every = row["corruptions"]
    unseen = [result for result in every if not result["seen"]]
    body = [
        [result["name"].replace("_", " "), "yes" if result["seen"] else "no",
         *(percent(result[key]) for key in ("network", "reader", "accepted"))]
        for result in every
    ]  # fmt: skip
    for title, results, key in ((f"**mean of {len(every)}**", every, "mean"),
                                (f"**mean of the {len(unseen)} unseen**", unseen, "mean_unseen")):  # fmt: skip
        if not results:
            continue
        accepted = statistics.mean(result["accepted"] for result in results)
        body.append([title, "", percent(row[f"network_{key}"]), percent(row[f"reader_{key}"]), percent(accepted)])
    body += [[f"{title}, mean of 15", "no", f"{value:.1f}", "–", "–"] for title, value in PUBLISHED.items()]
    return table(["corruption", "a relative in training", "network alone, %", "reader, %", "accepted, %"], body)


def digit_table(row: Row) -> str:
    """Pictures of digits, MNIST's first; the scenes, where the row has them, in a table after the others."""
    every = [row["mnist"], *row["digits"]]
    others = [digits for digits in every if not digits["name"].startswith(SCENES)]
    scenes = [digits | {"name": digits["name"].removeprefix(SCENES)} for digits in every if digits not in others]
    return digit_lines("digits", others) + (digit_lines("paper on a desk, drawn", scenes) if scenes else "")


def digit_lines(title: str, sets: Rows) -> str:
    """Sets of pictures of digits, one a line."""
    shares = "accuracy", "accepted", "accuracy_accepted", "several"
    body = [
        [digits["name"], f"{digits['pictures']:,}", *(percent(digits[share]) for share in shares)] for digits in sets
    ]
    head = [title, "pictures", "right, %", "accepted, %", "right of the accepted, %", "called several, %"]
    return table(head, body)


def writer_table(row: Row) -> str:
    """The handwriting fonts writer by writer: as they are, and in synthetic photographs."""
    sets = [digits for digits in row["digits"] if digits["by_writer"]]
    writers = list(dict.fromkeys(writer for digits in sets for writer in digits["by_writer"]))
    body = [[writer, *(percent(digits["by_writer"].get(writer)) for digits in sets)] for writer in writers]
    return table(["writer", *(f"{digits['name']}, right, %" for digits in sets)], body)


def ood_table(row: Row) -> str:
    """What is no digit, by kind; the letters that look like one come last, as a list of their own."""
    kinds = sorted(row["out_of_distribution"], key=lambda kind: kind["name"] == KEPT_APART)
    body = [
        [ood_name(kind["name"]), f"{kind['pictures']:,}", percent(kind["accepted"]), f"{kind['auroc']:.4f}"]
        for kind in kinds
    ]
    return table(["no digit", "pictures", "accepted all the same, %", "AUROC"], body)


def ood_name(name: str) -> str:
    """The kind; of the look-alikes also which letters they are."""
    return f"*{name}, a list of their own*: {' '.join(LOOK_ALIKES)}" if name == KEPT_APART else name


def halves_table(rows: Rows) -> str:
    """The half that choices were made on, beside the one that was looked at once."""
    halves = [{} if row is None else summary(row) for row in (development(rows), reported(rows))]
    lines = dict.fromkeys(line for half in halves for line in half)
    return table(["", "development", "reported"], [[line, *(half.get(line, "–") for half in halves)] for line in lines])


def summary(row: Row) -> dict[str, str]:
    """The main figures of a half, by what they are of; under the same names in both."""
    figures = {
        f"{title}, {answering}, right %": percent(row[f"{answering}_{key}"])
        for title, key in (("corruptions", "mean"), ("unseen corruptions", "mean_unseen"))
        for answering in ("network", "reader")
    }
    for digits in (row["mnist"], *row["digits"]):
        name = re.sub("MNIST (training|test) images", "MNIST images", digits["name"])
        figures[f"{name}, right %"] = percent(digits["accuracy"])
    return figures | {f"{kind['name']}, AUROC": f"{kind['auroc']:.4f}" for kind in row["out_of_distribution"]}


def measured(row: Row) -> str:
    """What the figures of the reported half were measured with, and when, as a sentence."""
    return (
        f"Measured on {row['date'][:10]} at commit {row['commit'][:9]}, with {row['mnist_images']:,} MNIST images and "
        f"at most {row['photographs']:,} photographs of each set, on {row['machine']['processor']}; the model's "
        f"SHA-256 begins with {row['model_sha256'][:12]}."
    )


def calibration_table(row: Row) -> str:
    """Each network on the images that it was trained without, and all of these together."""
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


def whole_path(row: Row) -> str:
    """What the calibration is worth on pictures, by the whole path, as a sentence."""
    whole = row["whole_path"]
    return (
        f"On {row['pictures']:,} pictures made of images that the network was trained without (tight crops, drawn "
        f"cells, synthetic photographs), after judging and with this temperature: {percent(whole['accuracy'])} % "
        "right, "
        f"{whole['nll']:.4f} nats of negative log-likelihood, {percent(whole['ece'])} % of calibration error."
    )


def runners_up(row: Row) -> str:
    """What small probabilities are worth, as a sentence."""
    told = row["runners_up"]
    return (
        f"Of the {told['misread']:,} training images that are misread, each by a network that was trained without it, "
        f"the truth comes second for {percent(told['second'], 1)} %, and its mean log-probability is "
        f"{told['log_probability']:.2f}. Two digits have the same probability in {told['ties']:,} of "
        f"{row['images']:,} answers."
    )


def teachers(rows: Rows) -> str:
    """How good the answers are that the soft labels come from, as a sentence."""
    row = next((row for row in reversed(rows) if "changed" in row), None)
    if row is None:
        return NOT_MEASURED_HERE
    return (
        f"Their answers agree with {percent(row['accuracy'])} % of the {row['images']:,} labels, at "
        f"{row['nll']:.4f} nats; where they do not, the label comes second in "
        f"{percent(row['second_of_misread'], 1)} %. Each is the mean of {row['changed'] + 1} answers, and the five "
        f"trainings took {sum(row['seconds']) / 60:.0f} minutes of one core."
    )


def real_table(rows: Rows) -> str:
    """Real pictures that the project does not hold: both halves, as the newest network reads them."""
    found = part(rows, "real")
    if not found:
        return NOT_MEASURED
    body = [
        [row["name"], row["half"], f"{row['pictures']:,}",
         *(percent(row[share]) for share in ("accuracy", "accepted", "accuracy_accepted"))]
        for row in found if row["model_sha256"] == found[-1]["model_sha256"]
    ]  # fmt: skip
    return table(["real pictures", "half", "pictures", "right, %", "accepted, %", "right of the accepted, %"], body)


def rules_table(rows: Rows) -> str:
    """What each rule earns: the shares without it, beside those with all."""
    found = part(rows, "rules")
    if not found:
        return NOT_MEASURED
    newest = agreeing(found, commit=found[-1]["commit"])
    names = list(newest[0]["figures"])
    body = [
        ["*all rules*" if row["without"] is None else f"without: {row['without']}",
         *(percent(row["figures"][name][1 if name == STRANGERS else 0], 1) for name in names)]
        for row in newest
    ]  # fmt: skip
    return table(["", *(f"{name}, {'accepted' if name == STRANGERS else 'right'}, %" for name in names)], body)


def thresholds(row: Row) -> str:
    """The thresholds, and what share of the digits passes them, as a sentence."""
    return (
        f"An answer stands if `is_digit_probability` is at least {row['least_is_digit']:.3f} and `confidence` at least "
        f"{row['least_confidence']:.3f}: {percent(row['accepted'])} % of the {row['images']:,} training images pass, "
        f"each answered by a network that was trained without it. The temperature is {row['temperature']:.3f}."
    )


TABLES: dict[str, Callable[[Rows], str]] = {
    "pictures-test": test_figures,
    "pictures-measured": of_row(reported, measured, NOT_MEASURED_HERE),
    "pictures-corruptions": of_row(reported, corruption_table),
    "pictures-digits": of_row(reported, digit_table),
    "pictures-writers": of_row(reported, writer_table),
    "pictures-ood": of_row(reported, ood_table),
    "pictures-halves": halves_table,
    "pictures-calibration": of_row(calibration, calibration_table),
    "pictures-whole-path": of_row(calibration_with("whole_path"), whole_path, NOT_MEASURED_HERE),
    "pictures-runners-up": of_row(calibration_with("runners_up"), runners_up, NOT_MEASURED_HERE),
    "pictures-teachers": teachers,
    "pictures-real": real_table,
    "pictures-rules": rules_table,
    "pictures-thresholds": of_row(calibration, thresholds, NOT_MEASURED_HERE),
}


# The plot.


@matplotlib.rc_context(STYLE)
def risk_plot(rows: Rows) -> str:
    """Risk against coverage: the training images, each out of fold, and the test images, the mean over seeds."""
    row = calibration(rows)
    tested = [row["evaluation"] for row in trained(rows) if curve(row["evaluation"])]
    drawn, axes = figure(gain(row), "share of the images answered, the surest first", "wrong answers among them, %")
    lines = []
    if row is not None and curve(row):
        lines.append((f"{row['images']:,} training images, out of fold", curve(row)))
        axes.axvline(row["accepted"], color=GREY, lw=1, ls=(0, (4, 2)), label="share that the thresholds accept")
    if tested:
        seeds = f"mean of {len(tested)} seeds" if len(tested) > 1 else "one seed"
        lines.append((f"{tested[0]['images']:,} test images, {seeds}", mean_curve([curve(e) for e in tested])))
    for (label, points), colour in zip(lines, COLOURS, strict=False):
        x, y = zip(*(point for point in points if point[0] >= LEAST_COVERAGE), strict=True)
        axes.plot(x, [100 * risk for risk in y], "o-", ms=3, color=colour, label=label, clip_on=False)
    axes.set_xlim(LEAST_COVERAGE, 1.001)
    axes.set_ylim(bottom=0)
    if lines:
        axes.legend(fontsize=9, loc="upper left")
    else:
        axes.text(0.5, 0.5, NOT_MEASURED_HERE.strip("*"), transform=axes.transAxes, ha="center", color=GREY)
    return as_svg(drawn)


def gain(row: Row | None) -> str:
    """How many answers are wrong with and without the least sure ones, as a title."""
    every, surest = (risk_at(row, coverage) if row else None for coverage in (1.0, SURE))
    if every is None or surest is None:
        return "Risk and coverage"
    return (
        f"Without the least sure {percent(1 - SURE, 0)} %, {percent(surest)} % are wrong instead of {percent(every)} %"
    )


def mean_curve(curves: Sequence[list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """The mean risk at each coverage that all of `curves` have."""
    known = [dict(points) for points in curves]
    common = [coverage for coverage, _ in curves[0] if all(coverage in risks for risks in known)]
    return [(coverage, statistics.fmean(risks[coverage] for risks in known)) for coverage in common]


PLOTS: dict[str, Callable[[Rows], str]] = {"risk-coverage": risk_plot}
