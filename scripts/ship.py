"""Put a trained network into the package: calibrated, verified, exported, with its model card.

    python scripts/ship.py                 train the preset `best` twice, calibrate, verify, install
    python scripts/ship.py --runs FOLDER   the same with the runs that are there already; trains those that are not

One training, `FOLDER/fold-1`, leaves out a fifth of the images. What that network says of them, as they are and, by the
whole path from a picture to a reading, as tight crops, in drawn cells and on photographs, sets the temperature; what it
says of them as they are sets the thresholds. (The teachers of the soft labels of the other images have seen this fifth,
so a trace of it is in what that network learned.) The other one, `FOLDER/final`, on all 60,000 with seed 0, is the
network: it must be no worse on the grid than the one that it replaces, give or take what two seeds differ by, and its
ONNX file must give torch's answers. Otherwise nothing is installed. The calibration is appended to
docs/results/calibration.jsonl.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import StrictUndefined, Template
from numpy.typing import NDArray

from measure import CALIBRATIONS, RESULTS, TRIED, machine
from sumnist.config import Config, preset
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.sampling import folds
from sumnist.environment import commit, now
from sumnist.evaluation.metrics import Evaluation, calibration_error, risk_curve
from sumnist.files import CONFIG, ONNX, PRETRAINED, WEIGHTS, write_atomically
from sumnist.inference.reader import Reader, Reading
from sumnist.lab.study.rows import append_jsonl, read_jsonl
from sumnist.lab.suites.crops import drawn_cells, tight_crops
from sumnist.lab.suites.photographs import photographs
from sumnist.model.encoders import count_parameters
from sumnist.model.folder import replaced
from sumnist.model.network import load_network, save_network
from sumnist.pictures.decode import Picture
from sumnist.training.calibrate import calibrate, digit_logits, fitted_temperature, log_probabilities, nll_of
from sumnist.training.evaluate import evaluate_run
from sumnist.training.export import export_run
from sumnist.training.folder import RECORD
from sumnist.training.loop import train

CARD = "README.md"
CARD_TEMPLATE = Path(__file__).with_name("model-card.md.j2")
FIGURES = "evaluation.json"
FOLDS = 5
LEFT_OUT = (1,)
"""The folds, of five, whose images calibrate; each takes a training."""
PICTURES = 300
"""Images of each of those folds, of which pictures of every kind are made."""
SEED = 7
"""Of the pictures, which no suite has."""
MAY_LOSE = 0.0003
"""How much less accurate than the packaged network a new one may be."""


def main() -> None:
    """Train what is missing, calibrate, verify, install."""
    parser = argparse.ArgumentParser(description="Install a trained network in the package.")
    parser.add_argument("--runs", type=Path, help="folder of the runs (default: a temporary one)")
    parser.add_argument("--into", type=Path, default=PRETRAINED)
    parser.add_argument("--rows", type=Path, default=CALIBRATIONS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        runs = given.runs or Path(place)
        for name, config in plan().items():
            train(config, runs / name, resume=True)
        install(runs, given.into, given.rows)


def plan() -> dict[str, Config]:
    """The runs by the names of their folders."""
    config = preset("best", validation=0, threads=1)  # two can train beside each other
    return {**{f"fold-{k}": replace(config, fold=k) for k in LEFT_OUT}, "final": config}


def install(runs: Path, into: Path, rows: Path) -> None:
    """Calibrate and verify the final run, and install it. Raises `SystemExit` if it is not fit to be shipped."""
    run = runs / "final"
    net, config = load_network(run)
    record = json.loads((run / RECORD).read_text(encoding="utf-8"))
    if config.fusion != "exact" or config.validation or config.fold or config.data_dir or not record.get("finished"):
        raise SystemExit(f"{run}: expected a finished run with --fusion exact --validation 0, on MNIST")
    row = calibration_row(runs)
    net.calibration.set(row["temperature"], row["least_is_digit"], row["least_confidence"])
    save_network(net, run)
    evaluation = evaluate_run(run, plots=False)
    if (into / FIGURES).exists():
        before = json.loads((into / FIGURES).read_text(encoding="utf-8"))["digit"]["value"]
        if evaluation.digit.value < before - MAY_LOSE:
            raise SystemExit(f"{run}: {evaluation.digit.value:.2%} right, expected at least {before - MAY_LOSE:.2%}")
    exported = export_run(run)
    with replaced(into) as build:
        for name in (WEIGHTS, CONFIG, ONNX, FIGURES):
            shutil.copyfile(run / name, build / name)
    write_atomically(into / CARD, card(run, evaluation, record, row))
    append_jsonl(rows, row)
    print(f"{into}: {evaluation.digit.value:.2%} on the grid, {exported.bytes:,} bytes of ONNX")


def calibration_row(runs: Path) -> dict[str, Any]:
    """The calibration from what networks say of the images that each was trained without."""
    train_set = load_mnist("train")
    logits, truths, seen, shown, rows = [], [], [], [], []
    for k in LEFT_OUT:
        run = runs / f"fold-{k}"
        net, config = load_network(run)
        if config != plan()[f"fold-{k}"]:
            raise SystemExit(f"{run}: not the run of the preset `best` without fold {k}: train it again")
        part = train_set.part(folds(train_set.digits, FOLDS)[k - 1])
        logits.append(digit_logits(net, part))
        truths.append(part.digits)
        answers, digits = whole_path(run, part)
        seen.append(answers)
        shown.append(digits)
        record = json.loads((run / RECORD).read_text(encoding="utf-8"))
        rows.append({"fold": k, "images": len(part), "seconds": record["seconds"], "threads": record["threads"],
                     **figures(logits[-1], part.digits, config.last_smoothing)})  # fmt: skip
    smoothing = plan()["final"].last_smoothing
    raw, truth = np.concatenate(logits), np.concatenate(truths)
    whole, digit = np.concatenate([raw, *seen]), np.concatenate([truth, *shown])
    calibration = calibrate(
        raw, truth, smoothing, plan()["final"].outliers > 0, fitted_temperature(whole, digit, smoothing)
    )
    return {
        "date": now(), "commit": commit(), "machine": machine(), "config": json.loads(plan()["final"].to_json()),
        **calibration.as_dict(), **figures(raw, truth, smoothing, calibration.temperature),
        "runners_up": runners_up(raw, truth, smoothing, calibration.temperature),
        "pictures": len(whole) - len(raw),
        "whole_path": figures(whole[len(raw):], digit[len(raw):], smoothing, calibration.temperature), "folds": rows,
    }  # fmt: skip


def whole_path(run: Path, digits: DigitSet) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What a network says, by the whole path, of pictures made of images: log-probabilities `[N, 10]` and digits `[N]`,
    where there was any ink."""
    images = digits.images[:PICTURES]
    pictures: list[Picture] = [
        *(picture for scale in (1, 6) for dark in (False, True) for picture in tight_crops(images, scale, dark)),
        *drawn_cells(images, SEED), *photographs(list(images), SEED),
    ]  # fmt: skip
    truth = np.tile(digits.digits[:PICTURES], len(pictures) // len(images))
    readings = Reader(run).read_each(pictures, [0] * len(pictures))
    good = [i for i, reading in enumerate(readings) if isinstance(reading, Reading) and reading.how is not None]
    answers = np.array([readings[i].digit_probabilities for i in good])  # type: ignore[union-attr]
    return np.log(answers.clip(1e-30)).astype(np.float32), truth[good]


def runners_up(
    logits: NDArray[np.float32], truth: NDArray[np.int64], smoothing: float, temperature: float
) -> dict[str, Any]:
    """Of the images that are misread: how often the truth comes second, its mean log-probability, and how many answers
    have two digits of the same probability."""
    scores = log_probabilities(logits, smoothing, temperature).astype(np.float32)
    order = np.argsort(-scores, 1)
    wrong = order[:, 0] != truth
    ordered = np.sort(scores, 1)
    return {"misread": int(wrong.sum()), "second": float((order[:, 1] == truth)[wrong].mean()),
            "log_probability": float(scores[np.arange(len(truth)), truth][wrong].mean()),
            "ties": int((ordered[:, 1:] == ordered[:, :-1]).any(1).sum())}  # fmt: skip


def figures(
    logits: NDArray[np.float32], truth: NDArray[np.int64], smoothing: float, temperature: float = 1.0
) -> dict[str, Any]:
    """Accuracy, loss, calibration error and risk–coverage curve of held-out images."""
    scores = log_probabilities(logits, smoothing, temperature)
    right, confidence = scores.argmax(1) == truth, np.exp(scores.max(1)).astype(np.float32)
    return {"accuracy": float(right.mean()), "nll": nll_of(scores, truth),
            "ece": calibration_error(confidence[:, None], right[:, None]),
            "risk_coverage": risk_curve(confidence, right)}  # fmt: skip


def card(run: Path, evaluation: Evaluation, record: dict[str, Any], calibration: dict[str, Any]) -> str:
    """The model card, from the run, its evaluation and its calibration, and what was measured before it."""
    net, config = load_network(run)
    tried = [f"{row['evaluation']['digit']['value']:.2%}" for row in read_jsonl(RESULTS) if row["plan"] == TRIED]
    template = Template(
        CARD_TEMPLATE.read_text(encoding="utf-8"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    text: str = template.render(
        parameters=count_parameters(net), config=config, e=evaluation, record=record, c=calibration, tried=tried
    )
    return text


if __name__ == "__main__":
    main()
