"""The page about your own pictures: made-up rows in, the cells that they must become out."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sumnist.lab.suites.corruptions import CORRUPTIONS
from sumnist.lab.suites.layout import KINDS
from sumnist.lab.suites.out_of_distribution import OUT_OF_DISTRIBUTION
from sumnist.lab.suites.robustness import SEEN, CorruptionResult, DigitResult, OodResult, Robustness
from tables import cells

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/your-own-pictures.md"
MACHINE = {"processor": "made up", "cores": 2, "versions": {"torch": "0"}}
WRITERS = {"Breip": 0.975, "Kalam": 1.0}

Row = dict[str, Any]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    return load("picture_tables")


@pytest.fixture(scope="module")
def write_docs() -> ModuleType:
    return load("write_docs")


def robustness_row(half: str = "reported", date: str = "2026-12-01", model: str = "a" * 64, low: float = 0.0) -> Row:
    """A row as it is measured, all its accuracies lower by `low`."""
    reported = half == "reported"
    mnist = f"MNIST {'test' if reported else 'training'} images"
    figures = Robustness(
        half="reported" if reported else "development",
        mnist=DigitResult(mnist, 10_000, 0.997 - low, 0.99, 0.9991, 0.0, {}),
        corruptions=tuple(
            CorruptionResult(name, name in SEEN, 10_000, 0.9 - i / 100 - low, 0.95 - i / 100 - low, 0.8)
            for i, name in enumerate(CORRUPTIONS)
        ),
        digits=(
            DigitResult("scikit-learn's digits", 899, 0.98 - low, 0.97, 0.9912, 0.0011, {}),
            DigitResult("handwriting fonts", 640, 0.9875 - low, 0.95, None, 0.0, WRITERS),
            DigitResult(f"photographs of {mnist}", 1000, 0.96 - low, 0.9, 0.985, 0.002, {}),
            DigitResult("photographs of handwriting fonts", 640, 0.9, 0.9, 0.9, 0.0, {"Breip": 0.85, "Kalam": 0.95}),
        ),
        out_of_distribution=tuple(OodResult(name, 500, 0.01234, 0.99876) for name in OUT_OF_DISTRIBUTION),
    )
    row = {"part": "robustness", "date": date, "commit": "0123456789abcdef", "machine": MACHINE, "model": "shipped",
           "model_sha256": model, "mnist_images": 10_000, "photographs": 1000, **figures.as_dict()}  # fmt: skip
    return thawed(row)


def calibration_row(accuracy: float = 0.9965) -> Row:
    fold = {"images": 12_000, "accuracy": 0.9961, "nll": 0.01234, "ece": 0.0017, "seconds": 930.0}
    return {
        "date": "2026-12-01", "commit": "0123456789abcdef", "machine": MACHINE, "config": {}, "images": 60_000,
        "temperature": 1.0567, "least_is_digit": 0.3456, "least_confidence": 0.5678, "nll_before": 0.0131,
        "nll": 0.0129,
        "accepted": 0.996, "accuracy": accuracy, "ece": 0.0009,
        "folds": [{"fold": k, **fold} for k in range(1, 6)],
        "risk_coverage": [[0.9, 0.0001], [0.99, 0.00077], [1.0, 1 - accuracy]],
    }  # fmt: skip


WHOLE = {"accuracy": 0.9812, "nll": 0.0634, "ece": 0.0123}
TOLD = {"misread": 45, "second": 0.889, "log_probability": -2.345, "ties": 3}
TEACHERS = {"date": "2026-12-01", "changed": 15, "images": 60_000, "accuracy": 0.99614, "nll": 0.01661,
            "second_of_misread": 0.866, "seconds": [600.0] * 5}  # fmt: skip


def real_row(half: str, model: str = "a" * 64, accuracy: float = 0.988) -> Row:
    figures = DigitResult("scanned digits", 1000, accuracy, 0.96, 0.995, 0.0, {})
    return thawed({"part": "real", "half": half, "model_sha256": model, **vars(figures)})


def rule_row(without: str | None, right: float, commit: str = "c") -> Row:
    return {"part": "rules", "commit": commit, "without": without,
            "figures": {"drawn cells": [right, 0.9, 0.95], "no digit": [0.0, 0.012, 0.0]}}  # fmt: skip


def run_row(seed: int, accuracy: float, **more: Any) -> Row:
    evaluation = {"images": 10_000, "digit": {"value": accuracy}, "digit_nll": 0.0101, "digit_ece": 0.0021, **more}
    return {"plan": "packaged", "seed": seed, "evaluation": evaluation}


def thawed(row: Row) -> Row:
    """The row as it comes out of its file."""
    result: Row = json.loads(json.dumps(row))
    return result


def test_without_rows_everything_says_that_it_was_not_measured(tables: ModuleType) -> None:
    for name, make in tables.TABLES.items():
        assert make([]).strip() == "*Not measured yet.*", name
    assert "Not measured yet." in tables.risk_plot([])


def test_rows_of_other_parts_and_plans_measure_nothing_here(tables: ModuleType) -> None:
    other = [{"part": "latency", "date": "2027"}, {"plan": "fast-exact", "seed": 0}, {"variant": "exact"}]
    for name, make in tables.TABLES.items():
        assert make(other) == make([]), name


def test_each_corruption_has_its_line_and_the_means_are_those_of_the_row(tables: ModuleType) -> None:
    text = tables.TABLES["pictures-corruptions"]([robustness_row()])
    assert cells(text, "shot noise") == ["yes", "90.00", "95.00", "80.00"]
    assert cells(text, "canny edges") == ["yes", "76.00", "81.00", "80.00"]
    assert cells(text, "**mean of 15**") == ["", "83.00", "88.00", "80.00"]
    assert cells(text, "published: a plain CNN, mean of 15")[1] == "75.9"
    assert sum("| yes |" in line for line in text.splitlines()) == len(SEEN)


def test_the_unseen_corruptions_have_a_mean_of_their_own(tables: ModuleType) -> None:
    row = robustness_row() | {"network_mean_unseen": 0.8, "reader_mean_unseen": 0.85}
    for place, one in enumerate(row["corruptions"]):
        one["seen"] = place >= 3
    text = tables.TABLES["pictures-corruptions"]([row])
    assert cells(text, "**mean of the 3 unseen**") == ["", "80.00", "85.00", "80.00"]


def test_where_every_corruption_was_seen_there_is_no_mean_of_the_unseen(tables: ModuleType) -> None:
    row = robustness_row() | {"network_mean_unseen": None, "reader_mean_unseen": None}
    for one in row["corruptions"]:
        one["seen"] = True
    text = tables.TABLES["pictures-corruptions"]([row])
    assert "unseen" not in text


def test_digits_are_told_with_mnist_first_and_what_is_not_known_as_a_dash(tables: ModuleType) -> None:
    text = tables.TABLES["pictures-digits"]([robustness_row()])
    assert text.splitlines()[3].startswith("| MNIST test images | 10,000 |")
    assert cells(text, "scikit-learn's digits") == ["899", "98.00", "97.00", "99.12", "0.11"]
    assert cells(text, "handwriting fonts") == ["640", "98.75", "95.00", "–", "0.00"]


def test_scenes_have_a_table_of_their_own_where_a_row_has_them(tables: ModuleType) -> None:
    row, older = robustness_row(), robustness_row()
    row["digits"] += [vars(DigitResult(f"scenes: {kind}", 60, 0.95, 0.9, 0.98, 0.05, {})) for kind in KINDS]
    text = tables.TABLES["pictures-digits"]([row])
    first, second = text.strip().split("\n\n")
    assert first == tables.TABLES["pictures-digits"]([older]).strip()
    assert second.splitlines()[0].startswith("| paper on a desk, drawn | pictures | right, % |")
    assert [line.split("|")[1].strip() for line in second.splitlines()[2:]] == list(KINDS)
    assert cells(second, "note") == ["60", "95.00", "90.00", "98.00", "5.00"]
    assert cells(tables.halves_table([row]), "scenes: note, right %") == ["–", "95.00"]


def test_each_hand_has_a_line_with_its_pictures_and_its_photographs(tables: ModuleType) -> None:
    text = tables.TABLES["pictures-writers"]([robustness_row()])
    assert cells(text, "writer") == ["handwriting fonts, right, %", "photographs of handwriting fonts, right, %"]
    assert cells(text, "Breip") == ["97.50", "85.00"]
    assert cells(text, "Kalam") == ["100.00", "95.00"]


def test_what_is_no_digit_is_told_by_kind_and_the_look_alikes_come_last(tables: ModuleType) -> None:
    text = tables.TABLES["pictures-ood"]([robustness_row()])
    assert cells(text, "clothes") == ["500", "1.23", "0.9988"]
    lines = text.strip().splitlines()
    assert len(lines) == 2 + len(OUT_OF_DISTRIBUTION)
    assert lines[-1].startswith("| *look-alikes, a list of their own*: O o I l ")


def test_the_reported_half_is_the_first_row_of_the_newest_model(tables: ModuleType) -> None:
    old = [robustness_row(date=date, model="b" * 64, low=0.3) for date in ("2026-11-01", "2027-03-01")]
    again, first = robustness_row(date="2027-02-01", low=0.2), robustness_row(date="2026-12-01", low=0.1)
    rows = [again, *old, first, robustness_row("development", "2027-01-01")]
    assert tables.reported(rows) is first
    assert cells(tables.TABLES["pictures-digits"](rows), "MNIST test images")[1] == "89.70"
    assert "2026-12-01 at commit 012345678, with 10,000 MNIST" in tables.TABLES["pictures-measured"](rows)


def test_a_new_model_that_has_no_reported_row_is_not_told_with_the_old_ones(tables: ModuleType) -> None:
    rows = [robustness_row(), robustness_row("development", "2027-01-01", "c" * 64)]
    assert tables.reported(rows) is None
    assert "Not measured yet" in tables.TABLES["pictures-ood"](rows)


def test_a_picture_path_of_a_new_design_is_told_instead_of_the_old_one(tables: ModuleType) -> None:
    old, new = robustness_row(date="2026-12-01", low=0.2), robustness_row(date="2026-12-02", low=0.1) | {"path": 2}
    assert tables.reported([old, new]) is new
    assert tables.reported([new, old, robustness_row("development", "2027-01-01") | {"path": 3}]) is None


def test_the_halves_stand_beside_each_other_and_development_is_the_newest(tables: ModuleType) -> None:
    stale, newest = (robustness_row("development", date, low=low) for date, low in (("2026", 0.4), ("2027", 0.1)))
    text = tables.halves_table([newest, stale, robustness_row()])
    assert cells(text, "corruptions, reader, right %") == ["78.00", "88.00"]
    assert cells(text, "MNIST images, right %") == ["89.70", "99.70"]
    assert cells(text, "photographs of MNIST images, right %") == ["86.00", "96.00"]
    assert cells(text, "blank, AUROC") == ["0.9988", "0.9988"]
    assert cells(tables.halves_table([newest]), "MNIST images, right %") == ["89.70", "–"]


def test_test_figures_are_told_seed_by_seed_and_as_a_mean(tables: ModuleType) -> None:
    rows = [run_row(1, 0.997, digit_risk=[[0.9, 0.0], [0.99, 0.0004]]), run_row(0, 0.998, risk_at_99=0.0002)]
    text = tables.test_figures(rows)
    assert cells(text, "0") == ["99.80", "0.0101", "0.21", "0.020"]
    assert cells(text, "1") == ["99.70", "0.0101", "0.21", "0.040"]
    assert cells(text, "mean of 2 seeds") == [
        "99.75 ± 0.07", "0.0101 ± 0.0000", "0.21 ± 0.00", "0.030 ± 0.014"
    ]  # fmt: skip


def test_a_run_without_a_risk_curve_has_a_dash_there(tables: ModuleType) -> None:
    text = tables.test_figures([run_row(0, 0.998)])
    assert cells(text, "0") == ["99.80", "0.0101", "0.21", "–"]
    assert "mean of" not in text
    assert cells(tables.test_figures([run_row(0, 0.998), run_row(1, 0.998)]), "mean of 2 seeds")[-1] == "–"


def test_the_calibration_is_told_by_fold_and_all_together_from_the_last_row(tables: ModuleType) -> None:
    text = tables.TABLES["pictures-calibration"]([calibration_row(0.5), calibration_row()])
    assert cells(text, "fold 5") == ["12,000", "99.61", "0.0123", "0.17", "–", "15.5 min"]
    assert cells(text, "all, before the temperature") == ["60,000", "99.65", "0.0131", "–", "–", ""]
    assert cells(text, "**all, as calibrated**") == ["60,000", "99.65", "0.0129", "0.09", "0.077", ""]


def test_what_the_calibration_is_worth_after_judging_is_a_sentence(tables: ModuleType) -> None:
    row = calibration_row() | {"whole_path": WHOLE, "pictures": 2100, "runners_up": TOLD}
    told = tables.TABLES["pictures-whole-path"]([row])
    assert "On 2,100 pictures" in told
    assert "98.12 % right, 0.0634 nats of negative log-likelihood, 1.23 % of calibration error" in told
    told = tables.TABLES["pictures-runners-up"]([row])
    assert "Of the 45 training images that are misread" in told
    assert "second for 88.9 %, and its mean log-probability is -2.35" in told or "is -2.34" in told
    assert "in 3 of 60,000 answers" in told
    for name in ("pictures-whole-path", "pictures-runners-up"):
        assert tables.TABLES[name]([calibration_row()]) == "*Not measured yet.*", name


def test_the_teachers_are_told_from_their_last_row(tables: ModuleType) -> None:
    told = tables.TABLES["pictures-teachers"]([TEACHERS | {"accuracy": 0.5}, TEACHERS])
    assert "agree with 99.61 % of the 60,000 labels, at 0.0166 nats" in told
    assert "second in 86.6 %" in told
    assert "mean of 16 answers, and the five trainings took 50 minutes" in told


def test_real_pictures_are_told_of_the_newest_network_alone(tables: ModuleType) -> None:
    rows = [real_row("reported", "b" * 64, 0.5), real_row("development", accuracy=0.99), real_row("reported")]
    lines = tables.TABLES["pictures-real"](rows).strip().splitlines()[2:]
    assert [line.split(" | ")[1:4] for line in lines] == [
        ["development", "1,000", "99.00"], ["reported", "1,000", "98.80"]
    ]  # fmt: skip


def test_each_rule_has_a_line_with_what_is_read_right_without_it_and_the_strangers_accepted(tables: ModuleType) -> None:
    rows = [rule_row("old", 0.1, "b"), rule_row(None, 0.98), rule_row("specks dropped", 0.97)]
    text = tables.TABLES["pictures-rules"](rows)
    assert cells(text, "*all rules*") == ["98.0", "1.2"]
    assert cells(text, "without: specks dropped") == ["97.0", "1.2"]
    assert "old" not in text


def test_the_thresholds_are_a_sentence(tables: ModuleType) -> None:
    assert tables.TABLES["pictures-thresholds"]([calibration_row()]) == (
        "An answer stands if `is_digit_probability` is at least 0.346 and `confidence` at least 0.568: 99.60 % of the "
        "60,000 training images pass, each answered by a network that was trained without it. The temperature is 1.057."
    )


def test_the_plot_is_the_same_for_the_same_rows_and_changes_with_them(tables: ModuleType) -> None:
    tested = run_row(0, 0.997, digit_risk=[[0.9, 0.0], [0.99, 0.0004], [1.0, 0.003]])
    drawn = tables.risk_plot([calibration_row(), tested])
    assert drawn == tables.risk_plot([calibration_row(), tested])
    assert "60,000 training images, out of fold" in drawn
    assert "10,000 test images, one seed" in drawn
    assert "Not measured yet" not in drawn
    assert drawn != tables.risk_plot([calibration_row(0.99), tested])
    assert drawn != tables.risk_plot([calibration_row(), run_row(0, 0.997, digit_risk=[[0.9, 0.001], [1.0, 0.003]])])


def test_curves_of_several_seeds_are_averaged_where_all_of_them_have_a_point(tables: ModuleType) -> None:
    curves = [[(0.9, 0.0), (0.95, 0.5), (1.0, 0.02)], [(0.9, 0.01), (1.0, 0.04)]]
    assert tables.mean_curve(curves) == [(0.9, 0.005), (1.0, pytest.approx(0.03))]


def test_an_altered_row_changes_the_page(write_docs: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    calibrated = calibration_row() | {"whole_path": WHOLE, "pictures": 2100, "runners_up": TOLD}
    rows = [robustness_row(), robustness_row("development"), thawed(calibrated), run_row(0, 0.997), TEACHERS,
            real_row("reported"), rule_row(None, 0.98)]  # fmt: skip
    before = write_docs.filled(page, rows)
    assert "Not measured yet" not in before
    for i, key in [
        (0, "reader_mean"),
        (1, "reader_mean"),
        (2, "least_is_digit"),
        (2, "nll"),
        (2, "pictures"),
        (4, "nll"),
        (4, "second_of_misread"),
        (5, "accuracy_accepted"),
    ]:
        changed = thawed({"rows": rows})["rows"]
        changed[i][key] += 0.1
        assert write_docs.filled(page, changed) != before, key
    for i, path in [(0, ("corruptions", 3, "accepted")), (0, ("digits", 1, "several")),
                    (0, ("out_of_distribution", 2, "auroc")),
                    (2, ("whole_path", "ece")), (2, ("runners_up", "second")),
                    (6, ("figures", "drawn cells", 0)), (6, ("figures", "no digit", 1)),
                    (0, ("digits", 1, "by_writer", "Breip")), (3, ("evaluation", "digit", "value"))]:  # fmt: skip
        changed = thawed({"rows": rows})["rows"]
        place = changed[i]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] -= 0.1
        assert write_docs.filled(page, changed) != before, path


def test_the_page_has_a_mark_for_every_table_and_shows_the_plot(write_docs: ModuleType, tables: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert {name for _, name, _, _ in write_docs.MARK.findall(page)} == set(tables.TABLES)
    assert all(f"images/{name}.svg" in page for name in tables.PLOTS)


def test_the_page_names_every_reason_that_a_reading_can_give() -> None:
    from sumnist.inference.reader import NOT_A_DIGIT, REASONS, UNSURE

    page = PAGE.read_text(encoding="utf-8")
    for reason in (*REASONS.values(), NOT_A_DIGIT, UNSURE):
        assert f"\n| {reason} |" in page, reason
