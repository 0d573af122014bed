"""Make the soft labels of MNIST's training images, `src/sumnist/data/soft-labels.npz`, and append a row about them.

    python scripts/teach.py                    train five teachers, ask them, write the file
    python scripts/teach.py --runs FOLDER      the same with the teachers there already; trains those that are not

Each teacher, `FOLDER/fold-1` to `fold-5`, is trained without a fifth of the images, on labels that are not smoothed,
since smoothing would hide from its answers which digits resemble each other. It then answers that fifth: the images as
they are, and changed at random as in its training. The means of these answers are the file; how good they are is a row
of docs/results/teachers.jsonl.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from measure import RESULTS, machine
from sumnist.config import Config, preset
from sumnist.data import soft_labels
from sumnist.data.augment import augmentation
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import as_image
from sumnist.data.sampling import folds
from sumnist.environment import commit, now
from sumnist.files import write_atomically
from sumnist.lab.study.rows import append_jsonl
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.folder import RECORD
from sumnist.training.loop import train

ROWS = RESULTS.with_name("teachers.jsonl")
TARGET = Path(soft_labels.__file__).with_name(soft_labels.FILE)
TEACHER = preset("default", label_smoothing=0.0, validation=0, threads=1)  # two can train beside each other
FOLDS = 5
CHANGED = 15
"""How many times each image is answered, changed at random, besides as it is."""
BATCH = 500


def main() -> None:
    """Train the teachers that are missing, ask them all, write what they say."""
    parser = argparse.ArgumentParser(description="Make the soft labels of MNIST's training images.")
    parser.add_argument("--runs", type=Path, help="folder of the five runs (default: a temporary one)")
    parser.add_argument("--into", type=Path, default=TARGET)
    parser.add_argument("--rows", type=Path, default=ROWS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        runs = given.runs or Path(place)
        for k in range(1, FOLDS + 1):
            train(replace(TEACHER, fold=k), runs / f"fold-{k}", resume=True)
        answers, row = taught(runs)
    stream = io.BytesIO()
    np.savez_compressed(stream, answers=soft_labels.encoded(answers, load_mnist("train").digits))
    write_atomically(given.into, stream.getvalue())
    append_jsonl(given.rows, row)
    print(f"{given.into}: {row['accuracy']:.2%} as labelled, {len(stream.getvalue()):,} bytes")


def taught(runs: Path) -> tuple[NDArray[np.float64], dict[str, object]]:
    """The teachers' mean probabilities `[N, 10]` for the images that each was trained without, and the row."""
    digits = load_mnist("train")
    answers, seconds = np.empty((len(digits), 10)), []
    for k, held in enumerate(folds(digits.digits, FOLDS), 1):
        net, config = load_network(runs / f"fold-{k}")
        if config != replace(TEACHER, fold=k):
            raise SystemExit(f"{runs}/fold-{k}: not the run of the teacher without fold {k}: train it again")
        seconds.append(json.loads((runs / f"fold-{k}" / RECORD).read_text(encoding="utf-8"))["seconds"])
        answers[held] = answers_of(net, digits.part(held), config, k)
    said = answers[np.arange(len(digits)), digits.digits]
    runner_up = np.sort(answers, 1)[:, -2]
    wrong = answers.argmax(1) != digits.digits
    return answers, {
        "date": now(), "commit": commit(), "machine": machine(), "config": json.loads(TEACHER.to_json()),
        "images": len(digits), "changed": CHANGED, "seconds": seconds, "accuracy": float(1 - wrong.mean()),
        "nll": float(-np.log(said).mean()), "second_of_misread": float((said == runner_up)[wrong].mean()),
    }  # fmt: skip


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


if __name__ == "__main__":
    main()
