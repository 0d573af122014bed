"""Put the small network that learned to add into the package: what the page asks beside the one whose sum is computed.

    python scripts/ship_learned.py

It learns from pairs of an image and a number, without one number for each digit (`LEFT_OUT` of the study), so that one
can see what a network makes of sums that it never saw. Its weights are rounded to 16 bits, which halves the file; it
computes with 32. It chooses nothing: one training of the preset `tiny` with fixed
settings, measured on the images that it leaves out and then on the test images, once for each network: the row is in
docs/results/learned.jsonl. The ONNX file says in its metadata which pairs were left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch

from measure import RESULTS
from sumnist.config import Config, preset
from sumnist.data.augment import augmentation
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import PairBatches
from sumnist.data.sampling import NUMBERS, draw_numbers, epoch_seed, hold_out
from sumnist.environment import commit, now
from sumnist.evaluation.metrics import answer_grid
from sumnist.files import CONFIG, LEARNED, write_atomically
from sumnist.inference.onnx import LEFT_OUT as KEY
from sumnist.inference.onnx import with_checksum
from sumnist.lab.study.rows import Row, append_jsonl, read_jsonl
from sumnist.lab.study.runs import LEFT_OUT
from sumnist.model.encoders import count_parameters
from sumnist.model.network import TwoInputNet, save_network
from sumnist.training.digits import DigitTask
from sumnist.training.export import export_run
from sumnist.training.loop import build_optimizer, learning_rate, set_learning_rate, training_step

ROWS = RESULTS.with_name("learned.jsonl")
CONFIGURATION: Config = preset(
    "tiny", fusion="concat", epochs=20, lr=4e-3, numbers_per_image=1, augment="handwriting", threads=1, precision="fp32"
)
LARGEST = 50_000
"""Bytes of the file, at most."""
SMALL = 100
"""Weights that are not worth a cast."""


def main() -> None:
    """Train, measure, install."""
    parser = argparse.ArgumentParser(description="Install the network that learned to add in the package.")
    parser.add_argument("--into", type=Path, default=LEARNED, help="the ONNX file to write")
    parser.add_argument("--rows", type=Path, default=ROWS, help="the file of the row that says what was measured")
    given = parser.parse_args()
    torch.set_num_threads(1)
    digits = load_mnist("train")
    rest, held = hold_out(digits.digits, CONFIGURATION.validation)
    net = trained(CONFIGURATION, digits.part(rest))
    print(json.dumps(figures(net, digits.part(held))))
    content = exported(net)
    if len(content) > LARGEST:
        raise SystemExit(f"{len(content):,} bytes, expected at most {LARGEST:,}")
    row = row_of(net, content, digits.part(held), given.rows)
    write_atomically(given.into, content)
    print(f"{given.into}: {len(content):,} bytes; {json.dumps(row['test'])}")


def trained(config: Config, training: DigitSet) -> TwoInputNet:
    """A network that never saw a digit with the number that is left out for it."""
    torch.manual_seed(config.seed)
    net = DigitTask.network(config)
    optimizer = build_optimizer(net, config)
    index = np.arange(len(training))

    def draw(epoch: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """One of the nine numbers that follow the one left out."""
        others = draw_numbers(config.seed, epoch, index, NUMBERS - 2)
        return (LEFT_OUT[training.digits] + 1 + others) % NUMBERS

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


def exported(net: TwoInputNet) -> bytes:
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


def row_of(net: TwoInputNet, content: bytes, held: DigitSet, rows: Path) -> Row:
    """What was measured: the row of this network if there is one, for the test images are looked at once."""
    checksum = hashlib.sha256(content).hexdigest()
    for row in read_jsonl(rows) if rows.exists() else []:
        if row["model_sha256"] == checksum:
            return row
    row = {
        "date": now(), "commit": commit(), "model_sha256": checksum, "bytes": len(content),
        "parameters": count_parameters(net), "config": json.loads(net.config.to_json()), "left_out": LEFT_OUT.tolist(),
        "validation": figures(net, held), "test": figures(net, load_mnist("test")),
    }  # fmt: skip
    append_jsonl(rows, row)
    return row


def figures(net: TwoInputNet, digits: DigitSet) -> dict[str, float]:
    """The shares of right digits, and of right sums of pairs that training showed and of those it did not."""
    answers = answer_grid(net, digits)
    unseen = LEFT_OUT[answers.truth][:, None] == np.arange(NUMBERS)  # [N, 10]
    right = answers.sum == answers.true_sum
    return {
        "digit": float((answers.digit == answers.truth[:, None]).mean()),
        "sum_seen": float(right[~unseen].mean()), "sum_unseen": float(right[unseen].mean()),
        "pairs_mostly_wrong": int(sum(right[answers.truth == d, n].mean() < 0.5 for d in range(10) for n in range(10))),
    }  # fmt: skip


if __name__ == "__main__":
    main()
