"""The study: its draws, its runs, its rows, its report."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sumnist.cli import main
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.errors import ConfigError, OutputError, StudyError
from sumnist.evaluation.metrics import answer_grid
from sumnist.lab.study import conduct as conducting
from sumnist.lab.study.conduct import conduct, jobs_of, read_rows, repeat
from sumnist.lab.study.figures import FIGURES
from sumnist.lab.study.network import StudyNet
from sumnist.lab.study.recipe import Recipe
from sumnist.lab.study.report import Report, report
from sumnist.lab.study.results import Results
from sumnist.lab.study.rows import Row, append_jsonl, open_rows, read_jsonl
from sumnist.lab.study.runs import LEFT_OUT, draw_for, measure, one_cycle, train
from sumnist.lab.study.variants import MAIN, STRUGGLING, VARIANTS, Variant, quick, variant

DIGITS = np.arange(10).repeat(200)


def drawn(recipe: Recipe, epoch: int = 0) -> np.ndarray[Any, np.dtype[np.int64]]:
    return draw_for(recipe, 1, DIGITS)(epoch)


def test_fresh_numbers_differ_from_epoch_to_epoch_and_fixed_ones_do_not() -> None:
    assert not np.array_equal(drawn(Recipe()), drawn(Recipe(), 1))
    assert np.array_equal(drawn(Recipe(numbers="fixed")), drawn(Recipe(numbers="fixed"), 1))


def test_left_out_combinations_are_never_drawn_and_all_others_are() -> None:
    seen = set()
    for epoch in range(5):
        seen |= set(zip(DIGITS.tolist(), drawn(Recipe(numbers="left-out"), epoch).tolist(), strict=True))
    assert seen == {(d, n) for d, n in product(range(10), repeat=2) if n != LEFT_OUT[d]}
    assert sorted(LEFT_OUT) == list(range(10))  # each number is left out for one digit


def test_skewed_numbers_fall_off_by_their_ratio() -> None:
    counts = np.bincount(np.concatenate([drawn(Recipe(numbers="skewed"), epoch) for epoch in range(20)]), minlength=10)
    expected = counts.sum() * 0.6 ** np.arange(10) * 0.4 / (1 - 0.6**10)
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_numbers_to_8_never_reach_9() -> None:
    assert set(drawn(Recipe(largest_number=8)).tolist()) == set(range(9))


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    assert one_cycle(0) == pytest.approx(0.04)
    assert one_cycle(0.2) == pytest.approx(1)
    assert one_cycle(1) == pytest.approx(0, abs=1e-12)


@pytest.fixture(scope="module")
def few() -> tuple[DigitSet, DigitSet]:
    digits = load_mnist("train")
    return (DigitSet(digits.images[:1500], digits.digits[:1500], "few"),
            DigitSet(digits.images[-300:], digits.digits[-300:], "held"))  # fmt: skip


def test_a_training_gives_the_same_weights_again_and_other_ones_with_another_seed(
    few: tuple[DigitSet, DigitSet],
) -> None:
    torch.set_num_threads(1)
    one, again, other = (train(Recipe(epochs=1), seed, *few).net.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["fusion.sum.weight"], other["fusion.sum.weight"])


def test_a_curve_is_looked_at_where_it_says_and_at_the_end_of_every_epoch(few: tuple[DigitSet, DigitSet]) -> None:
    curve = train(Recipe(epochs=3, batch_size=50), 0, *few).curve
    assert [step for step, _, _ in curve] == [10, 15, 20, 30, 45, 50, 60, 75, 90]


class Oracle(StudyNet):
    """A network that knows every answer to the images whose first pixel is their digit / 255."""

    def __init__(self, recipe: Recipe, wrong: int | None = None, off: float = 0.0) -> None:
        super().__init__(recipe)
        self.encoder = torch.nn.Flatten()
        self.wrong, self.off = wrong, off
        self.fusion.forward = self.answers  # type: ignore[method-assign]

    def answers(self, features: torch.Tensor, number: torch.Tensor) -> Any:
        from sumnist.model.fusion import Heads

        digit = (features[:, 0] * 255).round().long()
        total = digit + number + (number == self.wrong) if self.wrong is not None else digit + number
        raw = total[:, None] + self.off if self.recipe.target == "value" else 20 * torch.eye(19)[total.clamp(0, 18)]
        return Heads(20 * torch.eye(10)[digit], raw)


def known(count: int = 20) -> DigitSet:
    digits = np.arange(count) % 10
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 0, 0] = digits
    return DigitSet(images, digits.astype(np.int64), "known")


def test_a_network_that_knows_every_answer_measures_as_perfect() -> None:
    figures = measure(Oracle(Recipe()), known())
    assert {figures[name] for name in ("digit", "sum", "joint", "sum_seen", "sum_unseen")} == {1.0}
    assert figures["sum_beyond"] is None  # a one-hot number cannot be above 9


def test_a_number_that_is_always_added_wrongly_is_seen_in_its_place() -> None:
    figures = measure(Oracle(Recipe(), wrong=4), known())
    assert figures["sum_by_number"] == [1, 1, 1, 1, 0, 1, 1, 1, 1, 1]
    assert figures["sum"] == pytest.approx(0.9)
    assert figures["digit"] == 1.0


def test_a_value_is_rounded_and_cutting_it_is_counted_apart() -> None:
    figures = measure(Oracle(Recipe(target="value", encoding="scalar"), off=-0.3), known())
    assert figures["sum"] == figures["sum_beyond"] == 1.0  # 6.7 is a 7
    assert figures["sum_cut"] == pytest.approx(2 / 200)  # cut, it is a 6; only -0.3 becomes the 0 that it means
    assert figures["sum_nll"] is None


@pytest.mark.parametrize("name", [v.name for v in VARIANTS if v.group != "full"])
def test_every_variant_can_be_measured(name: str) -> None:
    figures = measure(StudyNet(variant(name).recipe).eval(), known(10))
    assert all(value is None or np.min(value) >= 0 for value in figures.values())


@pytest.mark.parametrize(
    ("recipe", "silent"),
    [
        (Recipe(digit_loss="none"), {"digit", "digit_nll", "joint"}),
        (Recipe(sum_weight=0.0), {"sum", "sum_nll", "joint", "sum_by_number", "sum_seen", "sum_unseen"}),
    ],
)
def test_what_is_not_trained_has_no_figure(recipe: Recipe, silent: set[str]) -> None:
    figures = measure(StudyNet(recipe), known())
    assert {name for name in figures if figures[name] is None} - {"sum_beyond", "sum_cut", "sum_unrounded"} == silent


def test_the_exact_fusion_adds_as_well_as_it_reads_with_numbers_above_9_too() -> None:
    torch.manual_seed(0)
    net, digits = StudyNet(Recipe(join="computed")), known(50)
    figures = measure(net, digits)
    assert figures["digit"] == figures["sum"] == figures["joint"] == figures["sum_beyond"]
    assert figures["digit"] == answer_grid(net, digits).digit_right.mean()


# ---- variants


def test_there_are_forty_variants_and_more_with_five_seeds_and_the_main_ones_have_twenty() -> None:
    assert sum(v.seeds >= 5 for v in VARIANTS) >= 40
    assert {v.name for v in VARIANTS if v.seeds == 20} == set(MAIN)
    assert len({v.name for v in VARIANTS}) == len(VARIANTS)
    assert sum(v.published is not None for v in VARIANTS) >= 8
    assert set(STRUGGLING) <= {v.name for v in VARIANTS}


def test_the_reference_is_the_recipe_without_any_change() -> None:
    assert variant("reference").recipe == Recipe()


def test_an_unknown_variant_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"^variant referense: expected one of .*; did you mean reference\?$"):
        variant("referense")


# ---- conducting


def fake_run(name: str, recipe: Recipe, seed: int) -> Row:
    """A row as a run would give it, from nothing but the job."""
    rng = np.random.default_rng([int(recipe.key, 16) % 2**32, seed])
    level = 0.9 + 0.1 * float(rng.random())
    figures = dict.fromkeys(("digit", "sum", "joint", "sum_seen", "sum_unseen"), level) | {
        "digit_nll": 0.1, "sum_nll": 0.1, "sum_by_number": [level] * 10, "sum_beyond": None, "sum_cut": None,
        "sum_unrounded": None,
    }  # fmt: skip
    return {
        "variant": name, "seed": seed, "recipe": recipe.as_dict(), "date": "2026-01-01", "commit": "c",
        "machine": {"processor": "p", "versions": {"torch": "2"}}, "seconds": 1.0, "parameters": 10, "weights": "w",
        "curve": [[10, 0.5, 0.2], [215, 0.9, 0.7], [860, level, level]], "validation": figures, "test": figures,
        "number_singular_values": [2.0, 1.0, 0.0],
    }  # fmt: skip


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conducting, "run", fake_run)


@pytest.fixture
def jobs() -> list[Any]:
    return jobs_of([Variant("a", "A", "fusion", Recipe(), 3), Variant("b", "B", "fusion", Recipe(hidden=()), 2)])


def test_jobs_go_seed_by_seed(jobs: list[Any]) -> None:
    assert [(name, seed) for name, _, seed in jobs] == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)]


@pytest.mark.usefixtures("fake")
def test_what_has_a_row_is_not_run_again(jobs: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert conduct(jobs[:2], path, workers=1, progress=False) == 2
    assert conduct(jobs, path, workers=1, progress=False) == 3
    assert [(row["variant"], row["seed"]) for row in read_rows(path)] == [(name, seed) for name, _, seed in jobs]


@pytest.mark.usefixtures("fake")
def test_a_changed_recipe_is_run_again_and_the_old_row_stays(jobs: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    conduct(jobs[:1], path, workers=1, progress=False)
    changed = [("a", Recipe(lr=1e-3), 0)]
    assert conduct(changed, path, workers=1, progress=False) == 1
    assert len(read_rows(path)) == 2


@pytest.mark.usefixtures("fake")
def test_a_row_cut_short_is_taken_out_and_run_again(jobs: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    conduct(jobs, path, workers=1, progress=False)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert len(read_rows(path)) == 4
    assert conduct(jobs, path, workers=1, progress=False) == 1
    assert path.read_bytes() == whole


@pytest.mark.usefixtures("fake")
def test_a_second_study_does_not_add_to_the_rows_of_one_that_runs(jobs: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with open_rows(path):
        with pytest.raises(OutputError) as caught:
            conduct(jobs, path, workers=1, progress=False)
        assert str(caught.value) == f"{path}: another process adds rows to it: wait for it, or name another file"
    assert conduct(jobs, path, workers=1, progress=False) == len(jobs)


def test_a_row_is_appended_as_soon_as_another_process_is_done_and_after_one_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a":')
    other = open_rows(path)
    threading.Timer(0.2, other.close).start()
    append_jsonl(path, {"a": 2})
    assert read_jsonl(path) == [{"a": 1}, {"a": 2}]


def test_rows_that_are_a_folder_are_refused_in_a_line(
    jobs: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "--rows", str(tmp_path), "--report"]) == 1
    said = capsys.readouterr().err
    assert said == f"sumnist: {tmp_path}: cannot be read (is a directory), expected a file of rows: name another file\n"
    with pytest.raises(OutputError, match="is a folder, expected the name of a file"):
        conduct(jobs, tmp_path, workers=1, progress=False)


@pytest.mark.usefixtures("fake")
def test_a_file_of_something_else_is_refused_and_stays(jobs: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    for text in ("one line", "two\nlines", '{"a": 1}\n', "[" * 100_000 + "\n"):
        path.write_text(text)
        with pytest.raises((OutputError, StudyError)):
            conduct(jobs, path, workers=1, progress=False)
        assert path.read_text() == text


def test_a_line_that_is_no_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"variant": 1}\n')
    with pytest.raises(
        StudyError, match=r"rows\.jsonl, line 1: not a row of a study: take it out, or choose another file$"
    ):
        read_rows(path)


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_study
from sumnist.lab.study import conduct as conducting
def slow(*job):
    time.sleep(0.02)
    return test_study.fake_run(*job)
conducting.run = slow
conducting.conduct(conducting.jobs_of(test_study.VARIANTS[:40]), Path({path!r}), workers=1, progress=False)
"""


def test_killed_three_times_and_restarted_no_row_is_lost_and_none_doubled(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    code = KILLED.format(tests=str(Path(__file__).parent), path=str(path))
    wanted = [(name, seed) for name, _, seed in jobs_of(VARIANTS[:40])]
    for kill in range(3):
        process = subprocess.Popen([sys.executable, "-c", code])
        while process.poll() is None and len(path.read_bytes().splitlines() if path.exists() else []) < 30 * (kill + 1):
            time.sleep(0.01)
        assert process.poll() is None, "it was to be killed at work"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, "-c", code], check=True)
    assert sorted((row["variant"], row["seed"]) for row in read_rows(path)) == sorted(wanted)


@pytest.mark.usefixtures("fake")
def test_a_repeated_run_says_what_differs(jobs: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.jsonl"
    conduct([("reference", Recipe(), 0)], path, workers=1, progress=False)
    assert repeat(path, "reference", 0) == []
    path.write_text(path.read_text().replace('"weights": "w"', '"weights": "x"'))
    assert main(["study", "--rows", str(path), "--repeat", "reference"]) == 1
    assert capsys.readouterr().out == "reference, seed 0: differs in weights\n"
    with pytest.raises(StudyError, match=r"no row of reference with seed 7: choose one that is there$"):
        repeat(path, "reference", 7)


@pytest.mark.heavy
def test_a_run_repeated_is_the_same_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    v = Variant("scalar", "", "number", Recipe(encoding="scalar", epochs=1), 1)
    conduct(jobs_of([v]), path, workers=1, progress=False)
    assert repeat(path, "scalar", 0) == []


@pytest.mark.ray
@pytest.mark.heavy
def test_a_ray_cluster_does_the_same_runs(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    v = Variant("linear", "", "fusion", Recipe(hidden=(), epochs=1, batch_size=2048), 2)
    for engine in ("local", "ray"):
        conduct(jobs_of([v]), tmp_path / engine, engine, workers=1, progress=False)
    digests = [sorted((row["seed"], row["weights"]) for row in read_rows(tmp_path / e)) for e in ("local", "ray")]
    assert digests[0] == digests[1]


# ---- the report


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [fake_run(*job) for job in jobs_of(VARIANTS)]


def markdown_of(page: Report) -> str:
    """Both pages, the report and its appendix, one after the other."""
    return page.files["design-choices.md"] + page.files["appendix-designs.md"]


def pictures_of(page: Report) -> dict[str, str]:
    """The pictures by their short names."""
    files = page.files.items()
    return {name[13:-4]: text for name, text in files if name.startswith("images/study-")}


def test_the_report_is_the_same_for_the_same_rows_in_any_order(rows: list[Row]) -> None:
    one, other = report(rows, VARIANTS), report(rows[::-1], VARIANTS)
    assert one == other


@pytest.mark.parametrize("name", ["reference", "exact", "left-out-film", "narrow-full", "value-rate-quarter"])
def test_a_changed_row_changes_the_report(rows: list[Row], name: str) -> None:
    changed = json.loads(json.dumps(rows))
    row = next(row for row in changed if row["variant"] == name)
    for figure in ("digit", "sum", "joint", "sum_unseen"):
        row["test"][figure] -= 0.4
    one, other = report(rows, VARIANTS), report(changed, VARIANTS)
    assert one.files["study.html"] != other.files["study.html"]
    assert markdown_of(one) != markdown_of(other) or pictures_of(one) != pictures_of(other)


def test_every_picture_is_inside_the_html_page_and_nothing_is_loaded_from_elsewhere(rows: list[Row]) -> None:
    page = report(rows, VARIANTS)
    assert page.files["study.html"].count("data:image/svg+xml;base64,") == len(pictures_of(page))
    assert "images/study-" not in page.files["study.html"]
    assert "<script" not in page.files["study.html"]
    assert "https://" not in page.files["study.html"].replace("data:", "")


def test_rows_of_recipes_that_have_changed_are_left_out(rows: list[Row]) -> None:
    old = json.loads(json.dumps(rows[0]))
    old["recipe"]["lr"] = 1.0
    results = Results([*rows, old], VARIANTS)
    assert results.stale == 1
    assert results.count() == len(rows)


def apart(rows: list[Row]) -> list[Row]:
    """The rows with shares all over 0 to 1, so that a figure of a report is hardly that of another row by chance."""
    rng, changed = np.random.default_rng(5), json.loads(json.dumps(rows))
    for row in changed:
        shares = rng.random(7).tolist()
        names = ("digit", "sum", "joint", "sum_seen", "sum_unseen", "sum_cut", "sum_unrounded")
        row["test"] |= dict(zip(names, shares, strict=True)) | {"sum_by_number": rng.random(10).tolist()}
    return changed  # type: ignore[no-any-return]


def cells(page: str, title: str, place: int = 0) -> list[str]:
    """The cells of the lines that begin with `title`: of the one at `place`, after the title."""
    lines = [line for line in page.splitlines() if line.startswith(f"| {title} |")]
    return [cell.strip() for cell in lines[place].strip("|").split("|")[1:]]


T_OF_4 = 2.7764
"""Student's t, two-sided 95 %, four degrees of freedom, by table."""


def of_seeds(rows: list[Row], name: str, figure: str) -> list[float]:
    return [100 * row["test"][figure] for row in rows if row["variant"] == name]


def expected(values: list[float]) -> str:
    """Mean and half-width of the interval of five seeds, worked out here."""
    assert len(values) == 5
    half = T_OF_4 * statistics.stdev(values) / math.sqrt(5)
    return f"{statistics.fmean(values):.2f}\u00a0±\u00a0{half:.2f}"


def test_the_figures_of_the_tables_are_worked_out_from_the_rows(rows: list[Row]) -> None:
    rows = apart(rows)
    page = markdown_of(report(rows, VARIANTS))
    film, reference = ({f: of_seeds(rows, n, f) for f in ("digit", "sum", "joint")} for n in ("film", "reference"))
    differences = [a - b for a, b in zip(film["sum"], reference["sum"][:5], strict=True)]
    mean, spread = statistics.fmean(differences), statistics.stdev(differences)
    half = T_OF_4 * spread / math.sqrt(5)
    found = cells(page, variant("film").title)
    assert found[:3] == [expected(film[figure]) for figure in ("digit", "sum", "joint")]
    assert found[6:] == [
        f"{mean:+.2f} ({mean - half:+.2f}\u00a0to\u00a0{mean + half:+.2f})", f"{mean / spread:+.1f}", "5"
    ]  # fmt: skip
    table = cells(page, variant("twenty").title)
    assert table[:3] == ["99.16", "99.12", expected(of_seeds(rows, "twenty", "digit"))]
    unseen = cells(page, variant("film").title, 1)
    assert unseen == [*(expected(of_seeds(rows, "left-out-film", f)) for f in ("sum_seen", "sum_unseen")), "5"]
    cut = cells(page, variant("value").title, 1)
    assert cut[1:] == ["the value cut, not rounded", expected(of_seeds(rows, "value", "sum_cut"))]
    main = sorted(of_seeds(rows, "exact", "joint"))
    assert cells(page, variant("exact").title)[2:4] == [f"{main[0]:.2f}", f"{main[-1]:.2f}"]


def test_every_percentage_in_the_text_is_the_mean_of_a_variant(rows: list[Row]) -> None:
    rows = apart(rows)
    text = "\n".join(line for line in markdown_of(report(rows, VARIANTS)).splitlines() if not line.startswith("|"))
    names = ("digit", "sum", "joint", "sum_seen", "sum_unseen")
    means = {f"{statistics.fmean(of_seeds(rows, v.name, name)):.2f}" for v in VARIANTS for name in names}
    nines = ([row["test"]["sum_by_number"][9] for row in rows if row["variant"] == v.name] for v in VARIANTS)
    means |= {f"{100 * statistics.fmean(values):.2f}" for values in nines}
    shares = re.findall(r"(?<![-+\d.])\d+\.\d\d(?= %)", text)
    assert len(shares) == 35
    assert [figure for figure in shares if figure not in means] == []


@pytest.mark.parametrize("gone", ["", *(v.name for v in VARIANTS)])
def test_where_a_variant_has_no_row_the_sentences_about_it_are_left_out(
    rows: list[Row], gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sumnist.lab.study.report.draw", lambda results: dict.fromkeys(FIGURES, ""))
    page = markdown_of(report([row for row in rows if row["variant"] != gone and row["seed"] < 2], VARIANTS))
    text = [line for line in page.splitlines() if not line.startswith("|")]
    assert [line for line in text if "–" in line.replace('"–" means', "")] == []
    assert ("**This is part of the study**" in page) == bool(gone)


def test_a_quick_look_says_what_was_done_and_nothing_that_was_not() -> None:
    page = report([fake_run(*job) for job in jobs_of(quick())], quick())
    for lie in ("four", "4 epochs", "1 seeds", "1 epochs", "5 seeds", "two seeds", "– of pairs", "nan"):
        assert lie not in markdown_of(page), lie
    assert "trained on 55,000 images for 1 epoch with" in markdown_of(page)
    assert "3 designs, 1 seed, on" in markdown_of(page)
    assert "*Not enough seeds yet.*" in markdown_of(page)
    assert "Holm" not in markdown_of(page)
    assert set(pictures_of(page)) == set(FIGURES) - {"digit-effect"}  # one seed tells nothing of an effect
    assert "digit-effect" not in markdown_of(page)
    assert "(one seed)" in pictures_of(page)["main"]


def test_a_report_of_no_rows_has_no_figures() -> None:
    page = report([], VARIANTS)
    assert "These are 0 runs of 0 designs." in markdown_of(page)
    assert list(pictures_of(page)) == ["number-path"]
    assert "nan" not in markdown_of(page)


def test_the_command_writes_the_report_of_the_rows_there_are(
    rows: list[Row], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["study", "--report", "--rows", str(tmp_path / "rows.jsonl"), "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert "0 runs added" in capsys.readouterr().out
    assert (tmp_path / "design-choices.md").read_text().startswith("# Design choices\n")
    assert (tmp_path / "study.html").stat().st_size > 50_000
    assert len(list((tmp_path / "images").glob("study-*.svg"))) == 7
