"""Measure what each rule of the picture path earns: the packaged reader with each switched off in turn, on the
development half, and append the rows to docs/results/rules.jsonl.

    python scripts/rules.py                    on the suites
    python scripts/rules.py --scanned FOLDER   and on real scanned digits, as scripts/measure_real.py takes them

A rule that earns nothing is to go. The package must be committed, and its commit is in the rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from measure import RESULTS, clean_commit, machine
from measure_real import of_half
from sumnist.environment import now
from sumnist.inference import judge
from sumnist.inference.reader import Reader
from sumnist.lab.study.rows import append_jsonl
from sumnist.lab.suites.answers import answers_of
from sumnist.lab.suites.archive import Half
from sumnist.lab.suites.corruptions import CORRUPTIONS, corrupted
from sumnist.lab.suites.out_of_distribution import OUT_OF_DISTRIBUTION
from sumnist.lab.suites.robustness import mnist_half, pictured
from sumnist.lab.suites.scenes import KINDS, scenes
from sumnist.pictures import background, ink, proposals
from sumnist.pictures.decode import Picture

ROWS = RESULTS.with_name("rules.jsonl")
HALF: Half = "development"
IMAGES, SCENES, CORRUPTED, STRANGERS = 150, 40, 20, 150
"""Pictures of each set of digits, scenes of each kind, images of each corruption, strangers of each kind."""
Sets = dict[str, tuple[list[Picture], list[int]]]


def without_view(part: str) -> Any:
    """A patch under which no view is looked at whose name has `part` in it."""
    at = proposals.Look.at

    def other(self: proposals.Look, view: proposals.View, *given: Any) -> list[proposals.Proposal]:
        return [] if part in view.how else at(self, view, *given)

    return patch.object(proposals.Look, "at", other)


def same(components: Any) -> Any:
    """All of them: nothing is dropped."""
    return components


RULES: dict[str, Callable[[], Any]] = {
    "uneven light removed": lambda: patch.object(
        background, "ground_of", lambda paper, widest: np.float32(np.median(paper))
    ),
    "specks dropped": lambda: patch.object(ink, "without_specks", same),
    "what hugs the border dropped": lambda: patch.object(ink, "without_debris", same),
    "parts that lie together are one digit": lambda: patch.object(ink, "are_together", lambda box, other: False),
    "small digits looked at closer": lambda: patch.object(proposals, "CLEAR", 0),
    "28×28 pictures also as they are": lambda: patch.object(proposals, "as_they_are", lambda *given: []),
    "the other polarity tried": lambda: patch.object(proposals, "OTHER_POLARITY", 0.0),
    "borders cut off": lambda: without_view("of each side cut off"),
    "more ground around": lambda: without_view("more ground"),
    "narrow strokes first": lambda: patch.object(proposals, "SMALLEST_SCENE", np.inf),
    "narrow strokes have even ground around": lambda: patch.object(ink, "on_even_ground", lambda *given: True),
    "sheets' edges are no strokes": lambda: patch.object(ink, "without_outlines", same),
    "a mean over the proposals": lambda: patch.object(judge, "mixed", lambda best, verdicts: best),
    "a second digit looked for": lambda: patch.object(judge, "with_rivals", lambda best, verdicts: best),
}
"""Each rule, and what switches it off."""


def main() -> None:
    """Measure all rules."""
    parser = argparse.ArgumentParser(description="Measure what each rule of the picture path earns.")
    parser.add_argument("--scanned", type=Path, help="a folder of real digits")
    parser.add_argument("--rows", type=Path, default=ROWS)
    given = parser.parse_args()
    head, sets, reader = clean_commit("rules"), sets_of(given.scanned), Reader()
    for rule in (None, *RULES):
        with switched_off(rule):
            figures = {name: figure(reader, *pictures) for name, pictures in sets.items()}
        row = {"part": "rules", "date": now(), "commit": head, "machine": machine(), "without": rule,
               "pictures": {name: len(digits) for name, (_, digits) in sets.items()}, "figures": figures}  # fmt: skip
        append_jsonl(given.rows, row)
        print(rule, {name: [round(100 * share, 1) for share in shares] for name, shares in figures.items()}, flush=True)


@contextmanager
def switched_off(rule: str | None) -> Iterator[None]:
    """Nothing, or one rule switched off."""
    if rule is None:
        yield
    else:
        with RULES[rule]():
            yield


def figure(reader: Reader, pictures: list[Picture], digits: list[int]) -> list[float]:
    """The shares of pictures that are read right and accepted, and right of the accepted (0 if none is)."""
    answers = answers_of(reader, pictures)
    right = answers.digits == np.array(digits)
    accepted = right[answers.accepted]
    return [float(right.mean()), float(answers.accepted.mean()), float(accepted.mean()) if len(accepted) else 0.0]


def sets_of(scanned: Path | None) -> Sets:
    """The pictures of the development half, by what the tables call them."""
    mnist = mnist_half(HALF, IMAGES)
    sets: Sets = {}
    for digits in (*pictured(HALF, mnist, IMAGES), *(scenes(HALF, kind, SCENES) for kind in KINDS)):
        name = next((name for part, name in NAMES.items() if part in digits.name), digits.name)
        pictures, truths = sets.setdefault(name, ([], []))
        order = np.random.default_rng(0).permutation(len(digits))[:IMAGES]
        pictures += [digits.pictures[i] for i in order]
        truths += digits.digits[order].tolist()
    images = mnist.images[:CORRUPTED]
    sets["corrupted"] = (
        [image for name in CORRUPTIONS for image in corrupted(name, images)],
        mnist.digits[:CORRUPTED].tolist() * len(CORRUPTIONS),
    )
    if scanned is not None:
        found = [(path, digit) for digit in range(10) for path in of_half(scanned / str(digit), HALF)]
        sets["real scans"] = [path for path, _ in found], [digit for _, digit in found]
    kinds = [make for name, make in OUT_OF_DISTRIBUTION.items() if name != "look-alikes"]
    strangers = [picture for make in kinds for picture in make(HALF)[:STRANGERS]]
    sets["no digit"] = strangers, [-2] * len(strangers)
    return sets


NAMES = {"photographs": "photographs", "tight crops": "tight crops", "scenes": "scenes"}
"""Which sets are one in the tables."""


if __name__ == "__main__":
    main()
