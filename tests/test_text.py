"""Evaluating a run folder, and the text that people get to read."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from sumnist.config import Config, Fusion, preset
from sumnist.data.mnist import FILES, DigitSet, load_mnist
from sumnist.errors import DataError, OutputError, RunError
from sumnist.evaluation.metrics import Accuracy, Evaluation, answer_grid
from sumnist.evaluation.text import comparison, duration, markdown_table, percent, table
from sumnist.model.encoders import count_parameters
from sumnist.model.network import TwoInputNet, save_network
from sumnist.training.evaluate import compare_runs, evaluate_run
from sumnist.training.folder import read_metrics

MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An IDX folder with 40 images for each purpose, none of them a nine."""
    folder = tmp_path_factory.mktemp("idx")
    digits = load_mnist("train")
    chosen = np.flatnonzero(digits.digits != 9)[:40]
    images, labels = digits.images[chosen], digits.digits[chosen].astype(np.uint8)
    for key, array in (("x", images), ("y", labels)):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        for split in ("train", "test"):
            (folder / FILES[f"{key}_{split}"]).write_bytes(header + array.tobytes())
    return folder


@pytest.fixture
def make_run(tmp_path: Path, data_dir: Path) -> MakeRun:
    """Makes the folder of a run whose network is as it was born, seed 0."""

    def make(fusion: Fusion = "exact", name: str = "run") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        config = preset("tiny", fusion=fusion, data_dir=data_dir)
        torch.manual_seed(0)
        (folder / "config.json").write_text(config.to_json())
        (folder / "record.json").write_text(json.dumps({"seconds": 75.2}))
        row = {"epoch": 1, "digit_loss": 1.0, "sum_loss": 1.0, "train_digit": 0.5, "train_sum": 0.5}
        (folder / "metrics.jsonl").write_text(json.dumps(row) + "\n")
        save_network(TwoInputNet.from_config(config), folder)
        return folder

    return make


def made_up(
    digit: float = 0.9905, total: float = 0.9712, computed: bool = False, data: str = "MNIST test"
) -> Evaluation:
    """An evaluation with figures chosen so that each can be found in the text."""
    shares: list[float | None] = [0.9 + i / 100 for i in range(10)]
    return Evaluation(
        data=data, images=10_000, digit=Accuracy(digit, 0.9884, 0.9922, "wilson"),
        sum=Accuracy(total, 0.9679, 0.9743, "bootstrap"),
        joint=Accuracy(min(digit, total), 0.9641, 0.9711, "bootstrap"),
        digit_nll=0.03127, sum_nll=0.09876, digit_ece=0.00214, sum_ece=0.01432, digit_by_digit=[*shares[:9], None],
        sum_by_digit=shares, digit_by_number=[1.0] * 10, sum_by_number=[0.5] * 10, errors=412,
        errors_outside_disputed=400, sum_by_bits=None, sum_computed=computed,
    )  # fmt: skip


def test_evaluating_a_run_gives_the_figures_of_its_network_on_its_own_test_images(
    make_run: MakeRun, data_dir: Path
) -> None:
    folder = make_run("concat")
    torch.manual_seed(0)
    digits = load_mnist("test", data_dir)
    expected = Evaluation.of(answer_grid(TwoInputNet("tiny", "concat"), digits), digits.name)
    assert evaluate_run(folder, device="cpu", plots=False) == expected
    written = json.loads((folder / "evaluation.json").read_text())
    assert Evaluation.from_dict(written) == expected
    assert datetime.fromisoformat(written["date"]).utcoffset() is not None
    assert "commit" in written
    assert not (folder / "plots").exists()


def test_evaluating_a_run_draws_its_plots_and_leaves_no_partial_files(make_run: MakeRun) -> None:
    folder = make_run()
    before = {path.name for path in folder.iterdir()}
    evaluate_run(folder, device="cpu")
    assert {path.name for path in folder.iterdir()} - before == {"evaluation.json", "plots"}
    plots = {path.name for path in (folder / "plots").iterdir()}
    assert plots == {"confusion-digit.png", "confusion-sum.png", "reliability.png", "mistakes.png", "training.png"}


def test_another_data_dir_can_be_named(make_run: MakeRun, data_dir: Path, tmp_path: Path) -> None:
    folder, moved = make_run(), tmp_path / "moved"
    shutil.copytree(data_dir, moved)
    assert evaluate_run(folder, data_dir=moved, plots=False).data == f"{moved} test"


def test_data_that_are_gone_are_a_data_error_that_names_run_and_folder(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run()
    gone = tmp_path / "gone"
    (folder / "config.json").write_text(preset("tiny", data_dir=gone).to_json())
    with pytest.raises(DataError) as caught:
        evaluate_run(folder, plots=False)
    start = f"{folder} was trained on data of its own, which cannot be loaded: --data-dir {gone}: does not exist"
    assert str(caught.value).startswith(start)
    assert not (folder / "evaluation.json").exists()


def test_a_folder_that_is_no_run_is_a_run_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="expected a run folder"):
        evaluate_run(tmp_path, plots=False)


def test_a_network_without_numbers_for_answers_is_a_run_error(make_run: MakeRun, data_dir: Path) -> None:
    folder = make_run()
    net = TwoInputNet("tiny", "exact")
    torch.nn.init.constant_(next(net.parameters()), 3e38)  # finite itself, but not what comes of it
    save_network(net, folder)
    with pytest.raises(RunError) as caught:
        evaluate_run(folder, plots=False)
    path = folder / "model.safetensors"
    assert str(caught.value) == f"{path}: its answers are not numbers: train the run again, with a lower --lr"


@pytest.mark.parametrize("blocked", ["evaluation.json", "plots"])
def test_a_place_that_cannot_be_written_is_an_output_error(make_run: MakeRun, blocked: str) -> None:
    folder = make_run()
    if blocked == "plots":
        (folder / blocked).write_text("a file where the folder should be")
    else:
        (folder / blocked).mkdir()
    with pytest.raises(OutputError, match=blocked):
        evaluate_run(folder, device="cpu", plots=blocked == "plots")


def test_metrics_are_read_without_a_line_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    path.write_text('{"epoch": 1, "loss": 2.5}\n{"epoch": 2, "loss": 1.5}\n{"epoch": 3, "lo')
    assert read_metrics(path) == [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": 1.5}]


def test_the_table_shows_the_figures_in_percent_with_two_decimals() -> None:
    lines = table(made_up()).splitlines()
    assert lines[0] == "MNIST test: 10,000 images × 10 numbers = 100,000 pairs"
    assert lines[3].split() == ["digit", "99.05", "%", "98.84", "–", "99.22", "0.0313", "nats", "0.21", "%"]
    assert lines[4].split() == ["sum", "97.12", "%", "96.79", "–", "97.43", "0.0988", "nats", "1.43", "%"]
    assert lines[5].split() == ["joint", "97.12", "%", "96.41", "–", "97.11"]
    assert lines[8].split() == ["digit", "%", *["100.00"] * 10]
    assert lines[9].split() == ["sum", "%", *["50.00"] * 10]
    assert lines[12].split()[-3:] == ["97.00", "98.00", "–"]
    assert lines[-2] == "412 images with a wrong answer, 400 outside the 15 disputed labels."
    assert lines[-1].startswith("The sum is learned")


def test_the_table_of_a_computed_sum_says_so_and_has_one_row_for_all_three() -> None:
    text = table(made_up(computed=True))
    assert "The sum is computed from the digit: digit, sum and joint are one figure." in text
    assert "learned" not in text
    assert text.count("% right") == 2


def test_the_table_says_what_sums_by_bits_are() -> None:
    text = table(replace(made_up(), sum_by_bits=Accuracy(0.9333, 0.92, 0.94, "bootstrap")))
    assert "sum by bits  93.33 %" in text
    assert "Sum by bits: each bit set or not on its own" in text
    assert "bits" not in table(made_up())


def test_the_table_of_other_data_says_nothing_of_disputed_labels() -> None:
    text = table(replace(made_up(data="cards test"), errors=1, errors_outside_disputed=None))
    assert "disputed" not in text
    assert "\n1 image with a wrong answer.\n" in text


@pytest.mark.parametrize("computed", [True, False])
def test_the_table_fits_eighty_columns_at_its_widest(computed: bool) -> None:
    full = Accuracy(1.0, 1.0, 1.0, "wilson")
    widest = replace(
        made_up(1.0, 1.0, computed), sum_by_bits=full, digit=full, sum=full, joint=full, digit_ece=1.0, sum_nll=99.0,
        digit_by_digit=[1.0] * 10, errors=10_000, errors_outside_disputed=10_000,
    )  # fmt: skip
    lines = table(widest).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)


def test_the_comparison_has_a_row_for_each_network_and_says_which_of_them_learned_to_add() -> None:
    exact, learned = preset("fast"), preset("fast", fusion="concat")
    rows = [("exact", exact, made_up(computed=True), 12.34), ("concat", learned, made_up(0.9911, 0.9822), 754.0)]
    lines = comparison(rows).splitlines()
    header, first, second = lines[-5:-2]
    assert header.split() == ["network", "parameters", "training", "digit", "sum", "joint", "95", "%", "interval"]
    assert first.split()[:4] == ["exact", f"{count_parameters(TwoInputNet.from_config(exact)):,}", "12.3", "s"]
    assert second.split()[1] == f"{count_parameters(TwoInputNet.from_config(learned)):,}"
    assert second.split()[2:] == ["12", "min", "34", "s", "99.11", "98.22", "98.22", "96.41", "–", "97.11"]
    assert lines[-1] == "Sum computed from the digit: exact. Sum learned: concat."
    assert "MNIST test" in lines[0]
    assert len({len(line) for line in (header, first, second)}) == 1, "aligned"


def test_the_comparison_fits_eighty_columns_and_leaves_the_random_numbers_alone() -> None:
    full = Accuracy(1.0, 0.9999, 1.0, "wilson")
    rows = [
        ("fifteen letters"[:15], Config(encoder="original", fusion="original"), replace(made_up(), joint=full), 3599.0)
    ]
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert max(map(len, comparison(rows).splitlines())) <= 80
    assert torch.rand(1) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (3599.4, "59 min 59 s"), (3600.0, "1 h 0 min"),
     (9000.0, "2 h 30 min"), (math.nan, "–")],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_runs_are_compared_from_their_folders(make_run: MakeRun) -> None:
    folders = [make_run("exact", "one"), make_run("concat", "two")]
    results = [evaluate_run(folder, device="cpu", plots=False) for folder in folders]
    configs = [preset("tiny", fusion="exact"), preset("tiny", fusion="concat")]
    rows = [(n, c, e, 75.2) for n, c, e in zip(("one", "two"), configs, results, strict=True)]
    assert compare_runs(folders) == comparison(rows)


def test_a_run_that_was_not_evaluated_cannot_be_compared(make_run: MakeRun) -> None:
    folder = make_run()
    with pytest.raises(RunError) as caught:
        compare_runs([folder])
    expected = f"{folder}: no evaluation.json, expected an evaluated run: run `sumnist evaluate {folder}` first"
    assert str(caught.value) == expected
    (folder / "evaluation.json").write_text("{}")
    with pytest.raises(RunError, match="not an evaluation of this version of sumnist"):
        compare_runs([folder])


def test_a_set_of_a_single_digit_can_be_evaluated_and_shown() -> None:
    digits = load_mnist("train")
    nines = np.flatnonzero(digits.digits == 9)[:3]
    one_digit = DigitSet(digits.images[nines], digits.digits[nines], "nines")
    assert "–" in table(Evaluation.of(answer_grid(TwoInputNet("tiny", "concat"), one_digit), one_digit.name))


def test_the_risk_of_the_surest_answers_is_told_where_it_was_measured() -> None:
    told = replace(made_up(), digit_risk=[(0.98, 0.0001), (0.99, 0.0004), (1.0, 0.003)])
    assert "Of the 99 % of the digits it is surest of, 0.04 % are wrong." in table(told).splitlines()
    assert "surest" not in table(replace(told, digit_risk=None))


def test_a_share_in_percent_has_the_decimals_that_were_asked_for() -> None:
    assert [percent(0.98765), percent(0.98765, 1), percent(1, 0), percent(None)] == ["98.77", "98.8", "100", "–"]


def test_a_markdown_table_aligns_its_figures_to_the_right() -> None:
    head, rows = ["network", "right"], [["fast", "99.26"], ["best", "99.60"]]
    lines = ["| network | right |", "| --- | ---: |", "| fast | 99.26 |", "| best | 99.60 |"]
    assert markdown_table(head, rows).split("\n") == lines
    assert markdown_table(head, rows, figures=False).split("\n") == [lines[0], "| --- | --- |", *lines[2:]]


def test_text_is_imported_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import sumnist.evaluation.text"
    subprocess.run([sys.executable, "-c", code], check=True)
