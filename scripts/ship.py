"""Put a trained network into the package: verified, exported, with its model card.

    python scripts/ship.py                 train the default preset (seed 0, all 60,000 images), verify it, install it
    python scripts/ship.py --run FOLDER    the same with a run that is there already

The network must be an exact one, trained on all of MNIST, and no worse on the grid than the one that it replaces, give
or take what two seeds differ by; its ONNX file must give torch's answers. Otherwise nothing is installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from sumnist.config import preset
from sumnist.evaluation import Evaluation
from sumnist.export import export_run
from sumnist.files import CONFIG, ONNX, PRETRAINED, WEIGHTS, make_folder, write_atomically
from sumnist.model.checkpoint import load_config, load_network
from sumnist.model.encoders import count_parameters
from sumnist.report import evaluate_run
from sumnist.run import RECORD
from sumnist.training import train

CARD = "README.md"
FIGURES = "evaluation.json"
MAY_LOSE = 0.0003
"""How much less accurate than the packaged network a new one may be."""


def main() -> None:
    """Train or take a run, verify it, install it."""
    parser = argparse.ArgumentParser(description="Install a trained network in the package.")
    parser.add_argument("--run", type=Path, help="a finished run (default: train one)")
    parser.add_argument("--into", type=Path, default=PRETRAINED)
    given = parser.parse_args()
    if given.run:
        install(given.run, given.into)
        return
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        train(preset("default", validation=0), run)
        install(run, given.into)


def install(run: Path, into: Path) -> None:
    """Verify the run and install it. Raises `SystemExit` if it is not fit to be shipped."""
    config = load_config(run)
    record = json.loads((run / RECORD).read_text(encoding="utf-8"))
    if config.fusion != "exact" or config.validation or config.data_dir or not record.get("finished"):
        raise SystemExit(f"{run}: expected a finished run with --fusion exact --validation 0, on MNIST")
    evaluation = evaluate_run(run, plots=False)
    if (into / FIGURES).exists():
        before = json.loads((into / FIGURES).read_text(encoding="utf-8"))["digit"]["value"]
        if evaluation.digit.value < before - MAY_LOSE:
            raise SystemExit(f"{run}: {evaluation.digit.value:.2%} right, expected at least {before - MAY_LOSE:.2%}")
    exported = export_run(run)
    make_folder(into)
    for name in (WEIGHTS, CONFIG, ONNX, FIGURES):
        shutil.copyfile(run / name, into / name)
    write_atomically(into / CARD, card(run, evaluation, record))
    print(f"{into}: {evaluation.digit.value:.2%} on the grid, {exported.bytes:,} bytes of ONNX")


def card(run: Path, evaluation: Evaluation, record: dict[str, object]) -> str:
    """The model card, from the run and its evaluation."""
    net, config = load_network(run)
    e = evaluation
    changes = [
        f"{config.epochs} epochs of {record['train_images']:,} images in batches of {config.batch_size}",
        f"{config.optimizer} at a peak rate of {config.lr:g}, weight decay {config.weight_decay:g}, one cycle",
        f"augmentation `{config.augment}` at strength {config.augment_strength:g}",
        f"label smoothing {config.label_smoothing:g}" + (" that fades with the rate" if config.smoothing_fades else ""),
        f"averaged weights, decay {config.ema:g} a step; the last ones are these",
    ]
    recipe = "\n".join(f"- {change}" for change in changes)
    return f"""---
license: apache-2.0
library_name: sumnist
tags: [mnist, handwritten-digits, addition, calibration]
---

# The digit reader of sumnist

A convolutional network of {count_parameters(net):,} parameters that reads a handwritten digit; the sum with a given number
follows from its probabilities exactly: P(sum = s) = P(digit = s − number).

```python
import sumnist

reader = sumnist.load()
reading = reader.read("five.png", 7)
```

## Figures

On all {e.images:,} images of MNIST's test set with every number 0..9, last weights, seed {config.seed}, chosen before the test set
was seen:

| | |
| --- | --- |
| digit, sum and joint accuracy (one figure) | {e.digit.value:.2%}, 95 % interval {e.digit.low:.2%} to {e.digit.high:.2%} |
| images with an error | {e.errors}, of which {e.errors_outside_disputed} have an undisputed label |
| negative log-likelihood | {e.digit_nll:.4f} nats |
| expected calibration error, 15 bins | {e.digit_ece:.2%} |

## Recipe

{recipe}

Preset `{config.preset}` with `--fusion exact --validation 0`; {record["seconds"]:.0f} s of training on {record["processor"]}, precision
{record["precision"]}, commit {str(record["commit"])[:9]}. Again: `python scripts/ship.py`.

## Files

`model.onnx` (inputs `image` float32 [batch, 1, 28, 28] in [0, 1] and `number` int64 [batch]; outputs `digit` [batch, 10] and `sum`
[batch, 19], log-probabilities) · `model.safetensors` and `config.json` for `TwoInputNet.from_pretrained()` · `evaluation.json`.

## Limits

Trained on MNIST alone: single digits of American writers, scanned about 1990, centred and scaled. It has no answer for what is not
a digit, and will name one all the same. Digits written otherwise (crossed sevens, ones with a long foot) are rarer in its data.

## Licence and data

The weights are under Apache-2.0. They were trained on MNIST by Yann LeCun and Corinna Cortes, made from NIST's Special Databases 1
and 3, which is under CC BY-SA 3.0.
"""


if __name__ == "__main__":
    main()
