"""Put a trained network into the package: calibrated, verified, exported, with its model card.

    python -m lab ship digits|lines|finder     train what is missing, calibrate, verify, install
    python -m lab ship digits --runs FOLDER            the same, with the runs that exist already

A network is not installed if it is worse than the one in the package, too large, or gives other answers than torch.
Each network is measured on test images once; its row is in docs/results, with the rows of calibrations. The soft labels
of MNIST's training images and the small network that learned to add were made once, by this program at commit 922c2e2
(`labels`, `learned`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import StrictUndefined, Template
from numpy.typing import NDArray

from lab.evidence import RESULTS, Row, add, with_envelope
from lab.measure import TRIED, record_of, run_of
from lab.recipes.export import FinderTrial, LineTrial, found_by, right_of
from lab.recipes.networks import FinderNet
from lab.recipes.settings import FinderTraining, LineTraining
from lab.recipes.tasks import Composed, FinderTask, LineTask, OutlierTask
from lab.records import row_of
from lab.study.rows import read_jsonl
from lab.suites.digits import drawn_cells, tight_crops
from lab.suites.photographs import photographs
from sumnist.config import Run, Training, preset
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.sampling import folds
from sumnist.environment import commit, now
from sumnist.evaluation.metrics import calibration_error, risk_curve
from sumnist.files import CONFIG, FINDER, NUMBERS, ONNX, PRETRAINED, WEIGHTS, make_folder, write_atomically
from sumnist.inference.reader import Reader, Reading
from sumnist.model.checkpoint import load_config, save_network
from sumnist.model.encoders import count_parameters
from sumnist.model.folder import METRICS, RECORD
from sumnist.model.network import load_network
from sumnist.pictures.decode import Picture
from sumnist.training.calibrate import calibrate, digit_logits, digits_of, fitted_temperature, log_probabilities, nll_of
from sumnist.training.evaluate import evaluate_run
from sumnist.training.export import Trial, export_run
from sumnist.training.loop import train
from sumnist.training.tasks import split_writers

LARGEST_NUMBERS, LARGEST_FINDER = 3_000_000, 800_000
"""Largest sizes of the files that ship, in bytes."""


def must(good: bool, what: object, expected: str) -> None:
    """Raise `SystemExit` with what was expected, unless `good`."""
    if not good:
        raise SystemExit(f"{what}, expected {expected}")


def finished(run: Path) -> bool:
    """Whether the folder of a run exists, and its training was finished."""
    return (run / RECORD).exists() and bool(record_of(run).get("finished"))


def card(template: str, **facts: Any) -> str:
    """Write a model card."""
    text = Path(__file__).with_name(f"{template}-card.md.j2").read_text(encoding="utf-8")
    found: str = Template(text, undefined=StrictUndefined, keep_trailing_newline=True).render(**facts)
    return found


# The network of digits.
#
# There are two trainings. `FOLDER/fold-1` leaves out a fifth of the images and of the pen writers, for calibration. Its
# network reads these images as they are, and by the whole path from a picture to a reading: as tight crops, in drawn
# cells and on photographs. Its answers set the temperature and the threshold for "this is a digit"; its answers to the
# writers can raise the least confidence. (The teachers of the other images' soft labels have seen this fifth, so this
# network has learned a trace of it.) `FOLDER/final` learns from all 60,000 images and all writers with seed 0; its
# network ships. Both trainings continue in `FOLDER/…-again`, for fewer epochs and with a lower learning rate, and the
# mean of the weights before and after is used.

FIGURES = "evaluation.json"
FOLD, FOLDS = 1, 5
"""`FOLD`: the fold whose images calibrate the network. `FOLDS`: how many folds there are."""
PICTURES = 300
"""How many images of that fold are made into pictures of every kind."""
SEED = 7
"""Seed of these pictures, which no suite uses."""
FINDER_MAY_LOSE = 0.02
"""Largest loss from 8 bits in the share of characters that the finder finds and reads right."""
AGAIN: dict[str, Any] = {"epochs": 8, "lr": 2e-3}
"""How a training continues. The mean of two weights in one valley is often better than either (Wortsman and others,
2022: model soups)."""
MAY_LOSE = 0.0003
"""How much less accurate than the packaged network a new one may be."""


def plan() -> dict[str, Training]:
    """Return the runs by the names of their folders."""
    config = preset("robust", validation=0, threads=1)  # two can train beside each other
    return {f"fold-{FOLD}": replace(config, fold=FOLD), "final": config}


def digits(runs: Path, into: Path, rows: Path) -> None:
    """Train, calibrate and verify the network of digits, and install it. Raises `SystemExit` if it is not fit."""
    means = runs / "means"
    for name, config in plan().items():
        train(config, runs / name, resume=True, task=OutlierTask)
        again = replace(config, **AGAIN, start_from=runs / name)
        train(again, runs / f"{name}-again", resume=True, task=OutlierTask)
        mean_of([runs / name, runs / f"{name}-again"], means / name)
    run = means / "final"
    net, config = load_network(run)
    fit = config.fusion == "exact" and not (config.validation or config.fold or config.data_dir) and finished(run)
    must(fit, run, "a finished run with --fusion exact --validation 0, on MNIST")
    row = calibration_row(means)
    net.calibration.set(row["temperature"], row["least_is_digit"], row["least_confidence"])
    save_network(net, run)
    evaluation = evaluate_run(run, plots=False)
    if (into / FIGURES).exists():
        least = json.loads((into / FIGURES).read_text(encoding="utf-8"))["digit"]["value"] - MAY_LOSE
        must(evaluation.digit.value >= least, f"{run}: {evaluation.digit.value:.2%} right", f"at least {least:.2%}")
    content = export_run(run).path.read_bytes()
    make_folder(into)
    for name in (WEIGHTS, CONFIG, ONNX, FIGURES):
        write_atomically(into / name, (run / name).read_bytes())
    tried = [f"{row['evaluation']['digit']['value']:.2%}" for row in read_jsonl(RESULTS / "runs.jsonl")
             if row["plan"] == TRIED]  # fmt: skip
    settings = row_of(config, outliers=OutlierTask.outlier_share)
    facts = {"parameters": count_parameters(net), "config": settings, "e": evaluation, "record": record_of(run)}
    write_atomically(into / "README.md", card("model", **facts, again=AGAIN, c=row, tried=tried))
    add(rows, row)
    add(rows.with_name("runs.jsonl"), packaged_row(run, evaluation.as_dict() | {"parameters": facts["parameters"]}))
    print(f"{into}: {evaluation.digit.value:.2%} on the grid, {len(content):,} bytes of ONNX")


def mean_of(runs: Sequence[Path], into: Path, load: Callable[[Path], Any] = load_network) -> None:
    """Write a run with the mean weights of some runs, and with the time of all of them."""
    shutil.copytree(runs[0], into, dirs_exist_ok=True)
    records = [record_of(run) for run in runs]
    times = {key: sum(record[key] for record in records) for key in ("seconds", "cpu_seconds")}
    write_atomically(into / RECORD, json.dumps(records[0] | times, indent=2) + "\n")
    (net, *_), *others = (load(run) for run in runs)
    every = [net.state_dict(), *(other.state_dict() for other, *_ in others)]
    net.load_state_dict({
        key: torch.stack([weights[key] for weights in every]).mean(0) if x.is_floating_point() else x
        for key, x in every[0].items()
    })  # fmt: skip
    save_network(net, into)


def packaged_row(run: Path, evaluation: Row) -> Row:
    """Return the row of the packaged network for the log of test evaluations."""
    record, config = record_of(run), row_of(load_config(run), outliers=OutlierTask.outlier_share)
    row = run_of(config, (record["seconds"], record["cpu_seconds"]), evaluation, record["commit"], record["precision"])
    return with_envelope("run", plan="packaged", seed=config["seed"]) | row


def calibration_row(runs: Path) -> Row:
    """Calibrate a network with its answers to images that it was not trained on, as they are and by the whole path."""
    run = runs / f"fold-{FOLD}"
    net, config = load_network(run)
    wanted = f"that of the preset `robust` without fold {FOLD}: train it"
    must(config == plan()[run.name], f"{run}: another run", wanted)
    train_set = load_mnist("train")
    part = train_set.part(folds(train_set.digits, FOLDS)[FOLD - 1])
    raw, smoothing, record, final = digit_logits(net, part), config.last_smoothing, record_of(run), plan()["final"]
    answers, shown, like = whole_path(run, part)
    strange = digits_of(split_writers(config)[1])
    hands = digit_logits(net, strange), strange.digits
    temperature = fitted_temperature(
        np.concatenate([raw, answers, hands[0]]), np.concatenate([part.digits, shown, hands[1]]), smoothing
    )  # fmt: skip
    calibration = calibrate(raw, part.digits, smoothing, temperature, hands, like)
    fold = {"fold": FOLD, "images": len(part), "seconds": record["seconds"], "threads": record["threads"],
            **figures(raw, part.digits, smoothing)}  # fmt: skip
    return with_envelope(
        "calibration", config=row_of(final, outliers=OutlierTask.outlier_share),
        **calibration | figures(raw, part.digits, smoothing, temperature),
        pictures=len(answers), whole_path=figures(answers, shown, smoothing, temperature), folds=[fold],
    )  # fmt: skip


def whole_path(run: Path, digits: DigitSet) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
    """Read pictures made of images by the whole path.

    Returns, for pictures with any ink: the log-probabilities `[N, 10]`, the true digits `[N]`, and the probabilities
    that there is a digit `[N]`.
    """
    images = digits.images[:PICTURES]
    pictures: list[Picture] = [
        *(picture for scale in (1, 6) for dark in (False, True) for picture in tight_crops(images, scale, dark)),
        *drawn_cells(images, SEED), *photographs(list(images), SEED),
    ]  # fmt: skip
    truth = np.tile(digits.digits[:PICTURES], len(pictures) // len(images))
    said = list(zip(Reader(run).read_each(pictures, [0] * len(pictures)), truth, strict=True))
    good = [(one, digit) for one, digit in said if isinstance(one, Reading) and one.how is not None]
    answers = np.array([one.digit_probabilities for one, _ in good])
    like = np.array([one.is_digit_probability or 0.0 for one, _ in good])
    return np.log(answers.clip(1e-30)).astype(np.float32), np.array([digit for _, digit in good]), like


def figures(logits: NDArray[np.float32], truth: NDArray[np.int64], smoothing: float, temperature: float = 1.0) -> Row:
    """Return accuracy, loss, calibration error and risk–coverage curve of held-out images."""
    scores = log_probabilities(logits, smoothing, temperature)
    right, confidence = scores.argmax(1) == truth, np.exp(scores.max(1)).astype(np.float32)
    return {"accuracy": float(right.mean()), "nll": nll_of(scores, truth),
            "ece": calibration_error(confidence[:, None], right[:, None]),
            "risk_coverage": risk_curve(confidence, right)}  # fmt: skip


# The network of lines. A run leaves out 5,000 training images and some writers. Lines composed of these calibrate its
# network, which must read them well enough.

PEOPLE = "SUMNIST_PEOPLE"
"""The environment variable with the path of the strokes that the network of lines learns from."""
NUMBERS_MAY_LOSE = 0.005
"""How much less accurate on held-out lines a network may be in 8 bits."""


def trained(task: type[Composed], config: Run, run: Path) -> None:
    """Train what is missing of a run. Raises `SystemExit` if an existing run holds out nothing."""
    if not finished(run):
        train(config, run, resume=True, task=task)
    known = load_config(run, type(config))
    fit = bool(known.validation) == bool(config.validation) and not known.data_dir
    must(fit, run, "a finished run with held-out images, on MNIST")


def composed(kind: type[LineTask], run: Path) -> tuple[Any, Any, Row]:
    """Calibrate a run; returns its network, its task, and the calibration."""
    net, config, _ = kind.network.load(run)
    task = kind(config, torch.device("cpu"))
    fitted = task.calibrate(net)
    save_network(net, run)
    return net, task, fitted


def exported(run: Path, largest: int, kind: type[Trial], int8: bool = False) -> bytes:
    """Export the network of a run as a file. Raises `SystemExit` if it is too large to ship."""
    content = export_run(run, int8=int8, kind=kind).path.read_bytes()
    must(len(content) <= largest, f"{run}: {len(content):,} bytes", f"at most {largest:,}")
    return content


def lines(run: Path, into: Path, _: Path) -> None:
    """Train, calibrate and verify the network of lines, and install it. Raises `SystemExit` if it is not fit."""
    must(PEOPLE in os.environ, f"{PEOPLE} is not set", "the path of pen-writers.jsonl (lab/recipes/hands.py)")
    trained(LineTask, LineTraining(threads=2, people=os.environ[PEOPLE]), run)
    net, task, fitted = composed(LineTask, run)
    content, exact = exported(run, LARGEST_NUMBERS, LineTrial, int8=True), export_run(run, kind=LineTrial).path
    right, least = right_of(content, task.composed), right_of(exact, task.composed) - NUMBERS_MAY_LOSE
    must(right >= least, f"{run}: {right:.2%} right", f"at least {least:.2%}")
    install(run, into, content, "line", net, calibration=fitted, right_in_eight_bits=right)


def finder(run: Path, into: Path, _: Path) -> None:
    """Train and verify the network that finds numbers, and install it. Raises `SystemExit` if it is not fit."""
    trained(FinderTask, FinderTraining(threads=2), run)
    net, config = FinderNet.load(run)[:2]
    content = exported(run, LARGEST_FINDER, FinderTrial, int8=True)
    held = FinderTask(config, torch.device("cpu")).composed
    right, exact = found_by(content, held), found_by(export_run(run, kind=FinderTrial).path, held)
    must(right >= exact - FINDER_MAY_LOSE, f"{run}: {right:.2%} found and right", f"at least {exact:.2%}, about")
    install(run, into, content, "finder", net, right_in_eight_bits=right, right=exact)


NAMED: dict[str, dict[str, Any]] = {
    "line": {"preset": "lines", "task": "lines", "optimizer": "muon"},
    "finder": {"preset": "finder", "task": "finder", "optimizer": "muon"},
}
"""What rows and cards say about the recipes, besides their settings, by the names of the cards."""


def install(run: Path, into: Path, content: bytes, template: str, net: Any, **more: Any) -> None:
    """Write a network with its facts and its card."""
    about = NAMED[template]
    facts = {
        "date": now(), "commit": commit(), "config": row_of(net.config, **about), "record": record_of(run),
        "parameters": count_parameters(net), "bytes": len(content), **more,
        "last_epoch": read_jsonl(run / METRICS)[-1],
    }  # fmt: skip
    write_atomically(into, content)
    write_atomically(into.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
    write_atomically(into.with_suffix(".md"), card(template, **facts))
    print(f"{into}: {json.dumps(more)}, {len(content):,} bytes of ONNX")


# The program.

SHIPPED: dict[str, tuple[Callable[[Path, Path, Path], None], Path, str]] = {
    "digits": (digits, PRETRAINED, "calibration"),
    "lines": (lines, NUMBERS, "numbers"),
    "finder": (finder, FINDER, "find"),
}
"""What can be shipped: the function that does it, the path that it writes, and the file of its rows."""


def main(words: Sequence[str] | None = None) -> None:
    """Ship what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=SHIPPED)
    parser.add_argument("--runs", type=Path, help="folder of the run, or of the runs (default: a temporary one)")
    parser.add_argument("--into", type=Path, help="what to write (default: what the package has)")
    parser.add_argument("--rows", type=Path, help="the file of the rows that say what was measured")
    given = parser.parse_args(words)
    ship, into, rows = SHIPPED[given.what]
    with tempfile.TemporaryDirectory() as place:
        runs = given.runs or Path(place) / "run"
        ship(runs, given.into or into, given.rows or RESULTS / f"{rows}.jsonl")
