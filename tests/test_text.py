"""Evaluating a run folder, and the text that people get to read."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from sumnist.config import Config, preset
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.errors import DataError, OutputError, RunError
from sumnist.evaluation.metrics import Accuracy, Evaluation, answer_grid
from sumnist.evaluation.text import comparison, duration, markdown_table, percent, table
from sumnist.model.checkpoint import save_network
from sumnist.model.encoders import count_parameters
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.evaluate import compare_runs, evaluate_run


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be changed."""
    return shutil.copytree(small_run, tmp_path / "run")


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


def test_evaluating_a_run_gives_the_figures_of_its_network_on_its_own_test_images_or_on_others(
    run: Path, small_config: Config
) -> None:
    digits = load_mnist("test", small_config.data_dir)
    expected = Evaluation.of(answer_grid(load_network(run)[0], digits), digits.name)
    assert evaluate_run(run, device="cpu", plots=False) == expected
    written = json.loads((run / "evaluation.json").read_text())
    assert Evaluation.from_dict(written) == expected
    assert datetime.fromisoformat(written["date"]).utcoffset() is not None
    assert "commit" in written
    assert not (run / "plots").exists()
    moved = shutil.copytree(str(small_config.data_dir), run.parent / "moved")
    assert evaluate_run(run, data_dir=moved, device="cpu").data == f"{moved} test"
    plots = {path.name for path in (run / "plots").iterdir()}
    assert plots == {"confusion-digit.png", "confusion-sum.png", "reliability.png", "mistakes.png", "training.png"}


def test_data_that_are_gone_are_a_data_error_that_names_run_and_folder(run: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    (run / "config.json").write_text(preset("tiny", data_dir=gone).to_json())
    with pytest.raises(DataError) as caught:
        evaluate_run(run, plots=False)
    start = f"{run} was trained on data of its own, which cannot be loaded: --data-dir {gone}: does not exist"
    assert str(caught.value).startswith(start)
    assert not (run / "evaluation.json").exists()


def test_a_network_without_numbers_for_answers_is_a_run_error(run: Path) -> None:
    net = TwoInputNet("tiny", "exact")
    torch.nn.init.constant_(next(net.parameters()), 3e38)  # finite itself, but not what comes of it
    save_network(net, run)
    with pytest.raises(RunError) as caught:
        evaluate_run(run, plots=False)
    path = run / "model.safetensors"
    assert str(caught.value) == f"{path}: its answers are not numbers: train the run again, with a lower --lr"


@pytest.mark.parametrize("blocked", ["evaluation.json", "plots"])
def test_a_place_that_cannot_be_written_is_an_output_error(run: Path, blocked: str) -> None:
    if blocked == "plots":
        (run / blocked).write_text("a file where the folder should be")
    else:
        (run / blocked).mkdir()
    with pytest.raises(OutputError, match=blocked):
        evaluate_run(run, device="cpu", plots=blocked == "plots")


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


def test_a_table_says_how_the_sum_came_about_what_bits_are_and_what_is_disputed() -> None:
    computed = table(made_up(computed=True))
    assert "The sum is computed from the digit: digit, sum and joint are one figure." in computed
    assert ("learned" in computed, computed.count("% right")) == (False, 2)
    told = replace(
        made_up(data="cards test"), sum_by_bits=Accuracy(0.9333, 0.92, 0.94, "bootstrap"), errors=1,
        errors_outside_disputed=None, digit_risk=[(0.98, 0.0001), (0.99, 0.0004), (1.0, 0.003)],
    )  # fmt: skip
    text = table(told)
    for line in ("sum by bits  93.33 %", "Sum by bits: each bit set or not on its own", "1 image with a wrong answer.",
                 "Of the 99 % of the digits it is surest of, 0.04 % are wrong."):  # fmt: skip
        assert line in text
    assert "disputed" not in text
    assert not any(word in table(made_up()) for word in ("bits", "surest"))


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


def test_shares_and_tables_of_markdown_have_the_form_that_was_asked_for() -> None:
    assert [percent(0.98765), percent(0.98765, 1), percent(1, 0), percent(None)] == ["98.77", "98.8", "100", "–"]
    head, rows = ["network", "right"], [["fast", "99.26"], ["best", "99.60"]]
    lines = ["| network | right |", "| --- | ---: |", "| fast | 99.26 |", "| best | 99.60 |"]
    assert markdown_table(head, rows).split("\n") == lines
    assert markdown_table(head, rows, figures=False).split("\n") == [lines[0], "| --- | --- |", *lines[2:]]


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


def test_runs_are_compared_from_their_folders_once_they_were_evaluated(run: Path, small_config: Config) -> None:
    with pytest.raises(RunError) as caught:
        compare_runs([run])
    assert (
        str(caught.value) == f"{run}: no evaluation.json, expected an evaluated run: run `sumnist evaluate {run}` first"
    )
    (run / "evaluation.json").write_text("{}")
    with pytest.raises(RunError, match="not an evaluation of this version of sumnist"):
        compare_runs([run])
    evaluation = evaluate_run(run, device="cpu", plots=False)
    seconds = json.loads((run / "record.json").read_text())["seconds"]
    rows = [(str(folder), small_config, evaluation, seconds) for folder in (run, run.parent / "run")]
    assert compare_runs([run, run.parent / "run"]) == comparison(rows)


def test_a_set_of_a_single_digit_can_be_evaluated_and_shown() -> None:
    digits = load_mnist("train")
    nines = np.flatnonzero(digits.digits == 9)[:3]
    one_digit = DigitSet(digits.images[nines], digits.digits[nines], "nines")
    assert "–" in table(Evaluation.of(answer_grid(TwoInputNet("tiny", "concat"), one_digit), one_digit.name))


def test_text_is_imported_without_torch_and_figures_without_matplotlib() -> None:
    code = "import sys; sys.modules['torch'] = None; import sumnist.evaluation.text\n"
    code += "del sys.modules['torch']; sys.modules['matplotlib'] = None; import sumnist.evaluation.metrics"
    subprocess.run([sys.executable, "-c", code], check=True)
