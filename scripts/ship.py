"""Put a trained network into the package: calibrated, verified, exported, with its model card.

    python scripts/ship.py digits|numbers|cells     train what is missing, calibrate, verify, install
    python scripts/ship.py digits --runs FOLDER     the same with the runs that are there already
    python scripts/ship.py learned                  the small network that learned to add, which the page asks
    python scripts/ship.py labels                   the soft labels of MNIST's training images, `data/soft-labels.npz`

What is worse than what it would replace, too large, or does not give torch's answers is not installed. What is measured
on test images is measured once for each network: its row is in docs/results, with those of calibrations.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from jinja2 import StrictUndefined, Template
from numpy.typing import NDArray

from evidence import RESULTS, Row, add, with_envelope
from measure import TRIED
from sumnist.config import Config, preset
from sumnist.data import mnist
from sumnist.data.augment import augmentation
from sumnist.data.cells import Cells
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import PairBatches, as_image
from sumnist.data.sampling import NUMBERS as ADDENDS
from sumnist.data.sampling import draw_numbers, epoch_seed, folds, hold_out
from sumnist.environment import commit, now
from sumnist.evaluation.metrics import answer_grid, calibration_error, risk_curve
from sumnist.files import CELLS, CONFIG, LEARNED, NUMBERS, ONNX, PRETRAINED, WEIGHTS, make_folder, write_atomically
from sumnist.inference.cells import CellReader
from sumnist.inference.onnx import LEFT_OUT as KEY
from sumnist.inference.onnx import with_checksum
from sumnist.inference.reader import Reader, Reading
from sumnist.lab.study.rows import read_jsonl
from sumnist.lab.study.runs import LEFT_OUT
from sumnist.lab.suites.digits import drawn_cells, tight_crops
from sumnist.lab.suites.photographs import photographs
from sumnist.model.checkpoint import load_config, save_network
from sumnist.model.encoders import count_parameters
from sumnist.model.folder import METRICS, RECORD
from sumnist.model.network import TwoInputNet, load_network
from sumnist.model.strip_network import CellNet, StripNet
from sumnist.pictures.decode import Picture
from sumnist.training.calibrate import (
    calibrate,
    digit_logits,
    figures_of,
    fitted_temperature,
    log_probabilities,
    nll_of,
)
from sumnist.training.devices import ProcessGroup
from sumnist.training.evaluate import evaluate_run
from sumnist.training.export import export_run, right_of
from sumnist.training.loop import build_optimizer, learning_rate, set_learning_rate, train, training_step
from sumnist.training.tasks import CellTask, NumberTask

FOLDS = 5


def record_of(run: Path) -> Row:
    """What the folder of a run says of it."""
    record: Row = json.loads((run / RECORD).read_text(encoding="utf-8"))
    return record


def finished(run: Path) -> bool:
    """Whether the folder of a run is there, and its training came to its end."""
    return (run / RECORD).exists() and bool(record_of(run).get("finished"))


def card(template: str, **facts: Any) -> str:
    """A model card."""
    text = Path(__file__).with_name(f"{template}-card.md.j2").read_text(encoding="utf-8")
    found: str = Template(text, undefined=StrictUndefined, keep_trailing_newline=True).render(**facts)
    return found


def at_most(largest: int, exported: Path) -> bytes:
    """The content of a file. Raises `SystemExit` if it is too large to be shipped."""
    content = exported.read_bytes()
    if len(content) > largest:
        raise SystemExit(f"{exported}: {len(content):,} bytes, expected at most {largest:,}")
    return content


def tested(rows: Path, content: bytes, measure: Callable[[], Row]) -> Row:
    """What is measured on test images: the row of this network if there is one, for it is looked at once."""
    checksum = hashlib.sha256(content).hexdigest()
    for row in read_jsonl(rows):
        if row["model_sha256"] == checksum:
            return row
    row = with_envelope(rows.stem, model_sha256=checksum, bytes=len(content)) | measure()
    add(rows, row)
    return row


# The network of digits.
#
# One training, `FOLDER/fold-1`, leaves out a fifth of the images. What that network says of them, as they are and, by
# the whole path from a picture to a reading, as tight crops, in drawn cells and on photographs, sets the temperature;
# what it says of them as they are sets the thresholds. (The teachers of the soft labels of the other images have seen
# this fifth, so a trace of it is in what that network learned.) The other one, `FOLDER/final`, on all 60,000 with seed
# 0, is the network.

FIGURES = "evaluation.json"
LEFT_OUT_FOLDS = (1,)
"""The folds, of five, whose images calibrate; each takes a training."""
PICTURES = 300
"""Images of each of those folds, of which pictures of every kind are made."""
SEED = 7
"""Of the pictures, which no suite has."""
MAY_LOSE = 0.0003
"""How much less accurate than the packaged network a new one may be."""


def plan() -> dict[str, Config]:
    """The runs by the names of their folders."""
    config = preset("best", validation=0, threads=1)  # two can train beside each other
    return {**{f"fold-{k}": replace(config, fold=k) for k in LEFT_OUT_FOLDS}, "final": config}


def digits(runs: Path, into: Path, rows: Path) -> None:
    """Train, calibrate and verify the network of digits, and install it. Raises `SystemExit` if it is not fit."""
    for name, config in plan().items():
        train(config, runs / name, resume=True)
    run = runs / "final"
    net, config = load_network(run)
    if config.fusion != "exact" or config.validation or config.fold or config.data_dir or not finished(run):
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
    make_folder(into)
    for name in (WEIGHTS, CONFIG, ONNX, FIGURES):
        write_atomically(into / name, (run / name).read_bytes())
    tried = [f"{row['evaluation']['digit']['value']:.2%}" for row in read_jsonl(RESULTS / "runs.jsonl")
             if row["plan"] == TRIED]  # fmt: skip
    facts = {"parameters": count_parameters(net), "config": config, "e": evaluation, "record": record_of(run)}
    write_atomically(into / "README.md", card("model", **facts, c=row, tried=tried))
    add(rows, row)
    print(f"{into}: {evaluation.digit.value:.2%} on the grid, {exported.bytes:,} bytes of ONNX")


def calibration_row(runs: Path) -> dict[str, Any]:
    """The calibration from what networks say of the images that each was trained without."""
    train_set = load_mnist("train")
    logits, truths, seen, shown, rows = [], [], [], [], []
    for k in LEFT_OUT_FOLDS:
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
        record = record_of(run)
        rows.append({"fold": k, "images": len(part), "seconds": record["seconds"], "threads": record["threads"],
                     **figures(logits[-1], part.digits, config.last_smoothing)})  # fmt: skip
    smoothing = plan()["final"].last_smoothing
    raw, truth = np.concatenate(logits), np.concatenate(truths)
    whole, digit = np.concatenate([raw, *seen]), np.concatenate([truth, *shown])
    calibration = calibrate(
        raw, truth, smoothing, plan()["final"].outliers > 0, fitted_temperature(whole, digit, smoothing)
    )
    return with_envelope(
        "calibration", config=json.loads(plan()["final"].to_json()),
        **calibration | figures(raw, truth, smoothing, calibration["temperature"]),
        runners_up=runners_up(raw, truth, smoothing, calibration["temperature"]), pictures=len(whole) - len(raw),
        whole_path=figures(whole[len(raw):], digit[len(raw):], smoothing, calibration["temperature"]), folds=rows,
    )  # fmt: skip


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


# The networks of strips and of cells. A run leaves out 5,000 images of the training set; what is composed of these
# calibrates it, and must be read well enough.

LARGEST_NUMBERS, LARGEST_CELLS = 3_000_000, 450_000
"""Bytes of the files that ship, at most."""
NUMBERS_MAY_LOSE = 0.005
"""How much less accurate on held-out strips than the packaged network a new one may be, in 8 bits."""
LEAST = {"box": 0.95, "digit": 0.95, "strip": 0.95}
"""Shares of the held-out cells that must be read rightly: a little less than the first network that shipped did."""
TEST_SEED, TEST_BATCHES, TEST_BATCH = 0x7E57, 64, 128
"""Of the cells of test images: another seed than any training's."""
DARK = 0.8
"""Ink of the test images that stand in blank boxes."""


def ready(run: Path, task: str, threads: int) -> Config:
    """Train what is missing of a run. Raises `SystemExit` if it is of another task, or holds out nothing."""
    if not finished(run):
        train(preset(task, threads=threads), run, resume=True)
    config = load_config(run)
    if config.task != task or not config.validation or config.data_dir or not finished(run):
        raise SystemExit(f"{run}: expected a finished run with --task {task} and held-out images, on MNIST")
    return config


def numbers(run: Path, into: Path, _: Path) -> None:
    """Train, calibrate and verify the network of strips, and install it. Raises `SystemExit` if it is not fit."""
    config = ready(run, "numbers", 2)
    net, _config, _recipe = StripNet.load(run)
    task = NumberTask(config, torch.device("cpu"), ProcessGroup())
    held, fitted = task.composed, task.calibrate(net)
    save_network(net, run)
    exported = export_run(run, int8=True)
    right, before = (right_of(file, held) if file.exists() else 0.0 for file in (exported.path, into))
    if right < before - NUMBERS_MAY_LOSE:
        raise SystemExit(f"{run}: {right:.2%} right, expected at least {before - NUMBERS_MAY_LOSE:.2%}")
    content = at_most(LARGEST_NUMBERS, exported.path)
    install(run, into, content, "number", net, config, calibration=fitted, right_in_eight_bits=right)


def cells(run: Path, into: Path, rows: Path) -> None:
    """Train, calibrate and verify the network of cells, have it read those of test images, and install it. Raises
    `SystemExit` if it is not fit."""
    config = ready(run, "cells", 1)
    net, _config, _recipe = CellNet.load(run)
    fitted = CellTask(config, torch.device("cpu"), ProcessGroup()).calibrate(net)
    save_network(net, run)
    for name, least in LEAST.items():
        if fitted[name] < least:
            raise SystemExit(f"{run}: {name} {fitted[name]:.2%} right, expected at least {least:.2%}")
    content = at_most(LARGEST_CELLS, export_run(run).path)
    row = tested(rows, content, lambda: {"figures": cell_figures(CellReader(content))})
    install(run, into, content, "cell", net, config, calibration=fitted, test=row["figures"])


def install(run: Path, into: Path, content: bytes, template: str, net: Any, config: Config, **more: Any) -> None:
    """Write a network with its facts and its card."""
    facts = {
        "date": now(), "commit": commit(), "config": json.loads(config.to_json()), "record": record_of(run),
        "parameters": count_parameters(net), "bytes": len(content), **more,
        "last_epoch": read_jsonl(run / METRICS)[-1],
    }  # fmt: skip
    write_atomically(into, content)
    write_atomically(into.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
    write_atomically(into.with_suffix(".md"), card(template, **facts))
    print(f"{into}: {json.dumps(more)}, {len(content):,} bytes of ONNX")


def cell_figures(reader: CellReader) -> dict[str, float]:
    """The figures of cells composed of test images, and of blank boxes with one of them each, as it is."""
    test = load_mnist("test")
    cells = Cells(test, TEST_SEED, count=CellTask.held_drawn)
    batches = [cells.batch(step, TEST_BATCH) for step in range(TEST_BATCHES)]
    said = np.concatenate(
        [reader.posteriors(part.numpy()) for batch in batches for part in (batch.boxes, batch.strips)]
    )
    clean = np.pad(test.images * np.float32(DARK / 255), ((0, 0), (4, 4), (1, 1)))  # N, 36, 30
    right = reader([*clean]).argmax(1) == test.digits
    figures = figures_of(torch.from_numpy(said), batches)
    return {"cells": len(said), **figures, "clean": float(right.mean())}


# The small network that learned to add. It learns from pairs of an image and a number, without one number for each
# digit (`LEFT_OUT` of the study), so that one can see what a network makes of sums that it never saw. Its weights are
# rounded to 16 bits, which halves the file; it computes with 32. It chooses nothing: one training of the preset
# `tiny` with fixed settings, measured on the images that it leaves out and then on the test images. The ONNX file
# says in its metadata which pairs were left out.

CONFIGURATION: Config = preset(
    "tiny", fusion="concat", epochs=20, lr=4e-3, numbers_per_image=1, augment="handwriting", threads=1, precision="fp32"
)
LARGEST_LEARNED = 50_000
"""Bytes of the file, at most."""
SMALL = 100
"""Weights that are not worth a cast."""


def learned(_: Path, into: Path, rows: Path) -> None:
    """Train the small network, measure it, and install it. Raises `SystemExit` if it is too large."""
    torch.set_num_threads(1)
    training = load_mnist("train")
    rest, held = hold_out(training.digits, CONFIGURATION.validation)
    net = trained(CONFIGURATION, training.part(rest))
    content = sixteen_bits(net)
    if len(content) > LARGEST_LEARNED:
        raise SystemExit(f"{len(content):,} bytes, expected at most {LARGEST_LEARNED:,}")
    row = tested(rows, content, lambda: {
        "parameters": count_parameters(net), "config": json.loads(net.config.to_json()), "left_out": LEFT_OUT.tolist(),
        "validation": sum_shares(net, training.part(held)), "test": sum_shares(net, load_mnist("test")),
    })  # fmt: skip
    write_atomically(into, content)
    print(f"{into}: {len(content):,} bytes; {json.dumps(row['test'])}")


def trained(config: Config, training: DigitSet) -> TwoInputNet:
    """A network that never saw a digit with the number that is left out for it."""
    torch.manual_seed(config.seed)
    net = TwoInputNet.from_config(config)
    optimizer = build_optimizer(net, config)
    index = np.arange(len(training))

    def draw(epoch: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """One of the nine numbers that follow the one left out."""
        others = draw_numbers(config.seed, epoch, index, ADDENDS - 2)
        return (LEFT_OUT[training.digits] + 1 + others) % ADDENDS

    batches = PairBatches(
        training, config.batch_size, config.seed, torch.device("cpu"),
        augment=augmentation(config.augment, config.augment_strength), draw=draw,
    )  # fmt: skip
    steps, step = config.epochs * len(batches), 0
    for epoch in range(config.epochs):
        net.train()
        torch.manual_seed(epoch_seed(config.seed, epoch))
        for batch in batches.epoch(epoch, learning_rate(epoch / config.epochs, config) / config.lr):
            set_learning_rate(optimizer, learning_rate(step / steps, config))
            training_step(net, optimizer, batch, config, torch.autocast("cpu", enabled=False))
            step += 1
    return net.half().float().eval()


def sixteen_bits(net: TwoInputNet) -> bytes:
    """The network as an ONNX file that says which pairs were left out."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / CONFIG).write_text(net.config.to_json(), encoding="utf-8")
        save_network(net, folder)
        model = onnx.load_from_string(export_run(folder).path.read_bytes())
    store_in_16_bits(model.graph)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {KEY: json.dumps(LEFT_OUT.tolist()), **metadata})  # the checksum stays the last
    return with_checksum(model.SerializeToString())


def store_in_16_bits(graph: onnx.GraphProto) -> None:
    """Keep every large array of weights, which 16 bits hold exactly, in as many, and cast it where it is used."""
    for place, weights in enumerate(graph.initializer):
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == np.float32 and values.size > SMALL:
            small = f"{weights.name}.16"
            cast = onnx.helper.make_node("Cast", [small], [weights.name], to=onnx.TensorProto.FLOAT)
            graph.initializer[place].CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), small))
            graph.node.insert(0, cast)


def sum_shares(net: TwoInputNet, digits: DigitSet) -> dict[str, float]:
    """The shares of right digits, and of right sums of pairs that training showed and of those it did not."""
    answers = answer_grid(net, digits)
    unseen = LEFT_OUT[answers.truth][:, None] == np.arange(ADDENDS)  # [N, 10]
    right = answers.sum == answers.true_sum
    return {
        "digit": float((answers.digit == answers.truth[:, None]).mean()),
        "sum_seen": float(right[~unseen].mean()), "sum_unseen": float(right[unseen].mean()),
        "pairs_mostly_wrong": int(sum(right[answers.truth == d, n].mean() < 0.5 for d in range(10) for n in range(10))),
    }  # fmt: skip


# The soft labels. Each of five teachers is trained without a fifth of the images, on labels that are not smoothed,
# since smoothing would hide from its answers which digits resemble each other. It then answers that fifth: the images
# as they are, and changed at random as in its training. The means of these answers are the file.

TEACHER = preset("default", label_smoothing=0.0, validation=0, threads=1)  # two can train beside each other
CHANGED = 15
"""How many times each image is answered, changed at random, besides as it is."""
BATCH = 500


def labels(runs: Path, into: Path, rows: Path) -> None:
    """Train the teachers that are missing, ask them all, and write what they say."""
    for k in range(1, FOLDS + 1):
        train(replace(TEACHER, fold=k), runs / f"fold-{k}", resume=True)
    answers, row = taught(runs)
    stream = io.BytesIO()
    np.savez_compressed(stream, answers=mnist.encoded(answers, load_mnist("train").digits))
    write_atomically(into, stream.getvalue())
    add(rows, row)


def taught(runs: Path) -> tuple[NDArray[np.float64], dict[str, object]]:
    """The teachers' mean probabilities `[N, 10]` for the images that each was trained without, and the row."""
    digits = load_mnist("train")
    answers, seconds = np.empty((len(digits), 10)), []
    for k, held in enumerate(folds(digits.digits, FOLDS), 1):
        net, config = load_network(runs / f"fold-{k}")
        if config != replace(TEACHER, fold=k):
            raise SystemExit(f"{runs}/fold-{k}: not the run of the teacher without fold {k}: train it again")
        seconds.append(record_of(runs / f"fold-{k}")["seconds"])
        answers[held] = answers_of(net, digits.part(held), config, k)
    said = answers[np.arange(len(digits)), digits.digits]
    runner_up = np.sort(answers, 1)[:, -2]
    wrong = answers.argmax(1) != digits.digits
    return answers, with_envelope(
        "teachers", config=json.loads(TEACHER.to_json()), images=len(digits), changed=CHANGED, seconds=seconds,
        accuracy=float(1 - wrong.mean()), nll=float(-np.log(said).mean()),
        second_of_misread=float((said == runner_up)[wrong].mean()),
    )  # fmt: skip


@torch.inference_mode()
def answers_of(net: TwoInputNet, digits: DigitSet, config: Config, seed: int) -> NDArray[np.float64]:
    """The mean probabilities `[N, 10]` over each image as it is, and changed `CHANGED` times."""
    change, generator = augmentation(config.augment), torch.Generator().manual_seed(seed)
    assert change is not None
    means = []
    for part in torch.tensor(digits.images).split(BATCH):
        image, number = as_image(part), torch.zeros(len(part), dtype=torch.int64)
        views = [image, *(change(image, generator, 1.0) for _ in range(CHANGED))]
        means.append(torch.stack([net(view, number).digit.double().exp() for view in views]).mean(0))
    return torch.cat(means).numpy()


# The program.

SHIPPED: dict[str, tuple[Callable[[Path, Path, Path], None], Path, str]] = {
    "digits": (digits, PRETRAINED, "calibration"),
    "numbers": (numbers, NUMBERS, "numbers"),
    "cells": (cells, CELLS, "cells"),
    "learned": (learned, LEARNED, "learned"),
    "labels": (labels, Path(mnist.__file__).with_name(mnist.SOFT_LABELS), "teachers"),
}
"""What can be shipped: what does it, what it writes, and the file of its rows."""


def main() -> None:
    """Ship what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=SHIPPED)
    parser.add_argument("--runs", type=Path, help="folder of the run, or of the runs (default: a temporary one)")
    parser.add_argument("--into", type=Path, help="what to write (default: what the package has)")
    parser.add_argument("--rows", type=Path, help="the file of the rows that say what was measured")
    given = parser.parse_args()
    ship, into, rows = SHIPPED[given.what]
    with tempfile.TemporaryDirectory() as place:
        runs = given.runs or Path(place) / "run"
        ship(runs, given.into or into, given.rows or RESULTS / f"{rows}.jsonl")


if __name__ == "__main__":
    main()
