"""Measure what the docs claim, and append rows to the files of docs/results, from which `make docs` writes the pages.

    python scripts/measure.py runs fast-exact reference --seeds 0 1 2      train, and evaluate on the grid
    python scripts/measure.py addition lenet own --digits 1 2 --seeds 0    the same of what is learned from sums alone
    python scripts/measure.py robustness reported                          pictures outside MNIST
    python scripts/measure.py real NAME FOLDER reported                    real pictures of digits
    python scripts/measure.py rules --scanned FOLDER                       what each rule of the picture path earns
    python scripts/measure.py numbers --suite --engines ours both          numbers of any length
    python scripts/measure.py checksums --triples                          what a known total does for reading them
    python scripts/measure.py sheets cells photographs --folder FOLDER     filled forms
    python scripts/measure.py page                                         the page, in a browser
    python scripts/measure.py queries                                      the queries of the page on arithmetic

The package must be committed, and its commit is in the rows. Choices are made on training images and on the development
half; the test images and the reported half are looked at once for each network and design of the path to it: what has a
row there is not measured again. Real pictures, which the project does not hold, are in folders 0 to 9 or have a
`labels.csv`; the last number in a file's name says which half it is in: even, development; odd, reported.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import measure_addition
import measure_numbers
import measure_sheets
import sumnist
from evidence import RESULTS, ROOT, Row, Rows, add, clean_commit, once, with_envelope
from sumnist.batch.sources import pictures_in
from sumnist.cli.words import solution_described
from sumnist.config import Config, preset
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import as_image
from sumnist.environment import commit
from sumnist.errors import EquationError, SumnistError
from sumnist.evaluation.metrics import Evaluation, answer_grid
from sumnist.files import ONNX, PRETRAINED
from sumnist.inference import reader as judging
from sumnist.inference.reader import Reader
from sumnist.lab.study.rows import read_jsonl
from sumnist.lab.suites.corruptions import CORRUPTIONS, corrupted
from sumnist.lab.suites.digits import HALVES, Half, mnist_half
from sumnist.lab.suites.measure import PHOTOGRAPHS, answers_of, digit_result, pictured, robustness
from sumnist.lab.suites.out_of_distribution import OUT_OF_DISTRIBUTION
from sumnist.lab.suites.photographs import KINDS, scenes
from sumnist.lab.suites.strips import strings
from sumnist.memory import keep_freed_memory
from sumnist.model.encoders import count_parameters
from sumnist.model.folder import RECORD
from sumnist.model.network import TwoInputNet, load_network
from sumnist.pictures import background, ink, proposals
from sumnist.pictures.decode import Picture
from sumnist.training.loop import train

# Training, and evaluating on the test grid.


@dataclass(frozen=True)
class Measured:
    """A run: its config, its cost, and the figures of its network."""

    config: Row
    seconds: float
    cpu_seconds: float
    commit: str | None
    evaluation: Row
    precision: str = "fp32"


def reference(seed: int, threads: int) -> Measured:
    """A recipe for 99 % in one epoch.

    5×5 convolution (24), pool, ReLU; 3×3 convolution (32), pool, ReLU; linear 256; Adam at 1e-2 with betas 0.7 and 0.9,
    OneCycle, batches of 256, fp32. It is given the memory format and the allocator settings of `sumnist train`.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.manual_seed(seed)
    data = load_mnist("train")
    net = nn.Sequential(
        nn.Conv2d(1, 24, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(24, 32, 3), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10),
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, betas=(0.7, 0.9), fused=True)
    began, began_cpu = time.perf_counter(), time.process_time()
    images, digits = torch.tensor(data.images), torch.tensor(data.digits)
    batches = torch.randperm(len(images)).split(256)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=len(batches), cycle_momentum=False)
    for index in batches:
        loss = nn.functional.cross_entropy(net(as_image(images[index])), digits[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return Measured({"seed": seed, "threads": threads}, seconds, cpu, commit(), digit_figures(net))


class OneByOne(Dataset[tuple[Tensor, Tensor]]):
    """MNIST as most tutorials load it: each image converted and normalised on its own, when it is asked for."""

    def __init__(self, digits: DigitSet) -> None:
        self.digits = digits

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = torch.from_numpy(self.digits.images[index]).float().div(255)[None]
        return (image - MEAN) / SPREAD, torch.tensor(self.digits.digits[index])


GOAL, MOST_EPOCHS = 0.99, 14
"""The share of right test images at which the usual example stops, and the epochs after which it gives up."""
MEAN, SPREAD = 0.1307, 0.3081
"""Of MNIST's pixels, as that example has them."""


def example(seed: int, threads: int) -> Measured:
    """The example that most people start from, until an epoch ends at 99 % of the test images.

    3×3 convolutions 32 and 64, pool, dropout 0.25, linear 128, dropout 0.5; Adadelta at 1.0, times 0.7 an epoch; 64 at
    a time from a DataLoader. It looks at the test set after each epoch to know when to stop, which is to its advantage.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    loader = DataLoader(OneByOne(load_mnist("train")), batch_size=64, shuffle=True)
    seconds, cpu, epoch = 0.0, 0.0, 0
    figures: Row = {"digit": {"value": 0.0}}
    while epoch < MOST_EPOCHS and figures["digit"]["value"] < GOAL:
        net.train()
        began, began_cpu = time.perf_counter(), time.process_time()
        for image, digit in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(image), digit).backward()
            optimizer.step()
        schedule.step()
        seconds, cpu = seconds + time.perf_counter() - began, cpu + time.process_time() - began_cpu
        figures = digit_figures(net.eval(), MEAN, SPREAD)
        epoch += 1
    return Measured({"seed": seed, "threads": threads, "epochs": epoch}, seconds, cpu, commit(), figures)


@torch.inference_mode()
def digit_figures(net: nn.Module, mean: float = 0.0, scale: float = 1.0) -> Row:
    """The share of the test images whose digit is right, as an evaluation has it."""
    test = load_mnist("test")
    parts = torch.tensor(test.images).split(500)
    answers = torch.cat([net((as_image(part) - mean) / scale).argmax(1) for part in parts])
    accuracy = float((answers == torch.tensor(test.digits)).float().mean())
    return {"data": "MNIST test", "digit": {"value": accuracy}, "parameters": count_parameters(net)}


Recipe = Callable[[int, int], Measured]
"""Seed and threads → the run of a recipe that is not of this package."""
PLANS: dict[str, Config | Recipe] = {
    "fast-exact": preset("fast", validation=0),
    "fast-concat": preset("fast", fusion="concat", epochs=4, validation=0),
    "default-exact": preset("default", validation=0),
    "best-exact": preset("best", validation=0),
    "default-concat": preset("default", fusion="concat", numbers_per_image=10, validation=0),
    "original": preset("original", validation=0),
    "original-as-written": preset("original-as-written", validation=0),
    "reference": reference,
    "example": example,
}
TRIED = "best-exact, tried"
"""The plan of rows about trainings of `best` that were measured on the test set and not installed."""


def run_flags(parser: argparse.ArgumentParser) -> None:
    """Which plans, and how often."""
    parser.add_argument("plans", nargs="+", choices=sorted(PLANS))
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/measured"))


def runs(given: argparse.Namespace) -> Iterator[Row]:
    """Train and evaluate plans; their seeds alternate, so that a noisy machine treats them alike. Rows of
    configurations that have since changed stay in the log; the pages quote the present ones."""
    done = {(row["plan"], row["seed"]) for row in current(read_jsonl(given.rows))}
    for seed in given.seeds:
        for name in given.plans:
            plan = PLANS[name]
            if (name, seed) in done:
                print(f"{name}, seed {seed}: measured already")
            else:
                measured = (
                    trained(name, plan, seed, given.runs, given.threads) if isinstance(plan, Config)
                    else plan(seed, given.threads)
                )  # fmt: skip
                yield with_envelope("run", plan=name, seed=seed) | asdict(measured)


def trained(name: str, config: Config, seed: int, runs: Path, threads: int) -> Measured:
    """Train the plan, unless `runs` holds it finished from before, and evaluate the last weights."""
    config = replace(config, seed=seed, threads=threads)
    folder = runs / f"{name}-{seed}"
    record = json.loads((folder / RECORD).read_text()) if (folder / RECORD).exists() else {}
    if not record.get("finished"):
        train(config, folder, overwrite=True)
        record = json.loads((folder / RECORD).read_text())
    torch.set_num_threads(2)
    net, config = load_network(folder)
    if config.outliers:  # as the packaged network is calibrated, from predictions out of fold
        last = read_jsonl(RESULTS / "calibration.jsonl")[-1]
        net.calibration.set(last["temperature"], last["least_is_digit"], last["least_confidence"])
    figures = Evaluation.of(answer_grid(net, load_mnist("test")), "MNIST test").as_dict()
    figures["parameters"] = count_parameters(net)
    plain = json.loads(config.to_json())
    return Measured(plain, record["seconds"], record["cpu_seconds"], record["commit"], figures, record["precision"])


def current(rows: Rows) -> Rows:
    """The rows whose configuration and network are those of a plan as it is now, whatever seed and threads."""
    return [row for row in rows if row["plan"] in PLANS and is_of(row, PLANS[row["plan"]])]


def is_of(row: Row, plan: Config | Recipe) -> bool:
    """Whether a row is of a plan as it is now."""
    if not isinstance(plan, Config):
        return True
    measured = Config.from_json(json.dumps(row["config"]), row["plan"])
    same = replace(measured, seed=0, threads=0) == replace(plan, seed=0, threads=0)
    return same and row["evaluation"]["parameters"] == parameters_of(plan)


@cache
def parameters_of(config: Config) -> int:
    """Trainable numbers of the network that `config` describes."""
    return count_parameters(TwoInputNet.from_config(config))


# Pictures of digits.

PATH = 3
"""The generation of the picture path: it rises when that is designed anew, and then the reported half may be looked at
once more for a network."""
MODEL = PRETRAINED / ONNX
RULED: Half = "development"
RULED_IMAGES, RULED_SCENES, RULED_CORRUPTED = 150, 40, 20
"""For the rules: pictures of each set, scenes of each kind, images of each corruption."""


def half_flag(parser: argparse.ArgumentParser) -> None:
    """Which half."""
    parser.add_argument("half", choices=HALVES)


def measured_robustness(given: argparse.Namespace) -> Iterator[Row]:
    """Read the suites with the packaged network, some ten minutes."""
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    once(read_jsonl(given.rows), half=given.half, model_sha256=digest, path=PATH)
    figures = robustness(Reader(MODEL.read_bytes()), given.half)
    yield with_envelope(
        "robustness", model="shipped", model_sha256=digest, path=PATH, mnist_images=figures.values["mnist"]["pictures"],
        photographs=PHOTOGRAPHS, **figures.values,
    )  # fmt: skip


def real_flags(parser: argparse.ArgumentParser) -> None:
    """Which pictures."""
    parser.add_argument("name", help="what the pages call the pictures")
    parser.add_argument("folder", type=Path)
    half_flag(parser)


def real(given: argparse.Namespace) -> Iterator[Row]:
    """Read real pictures with the packaged network; the folder has sub-folders 0 to 9, each named for its digit."""
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    if given.half == HALVES[1]:
        once(read_jsonl(given.rows), half=given.half, name=given.name, model_sha256=digest)
    pictures = of_half(given.folder, given.half)
    if not pictures:
        raise SystemExit(f"{given.folder}: no pictures of the {given.half} half in sub-folders 0 to 9")
    answers = answers_of(Reader(MODEL.read_bytes()), [path for path, _ in pictures])
    result = digit_result(given.name, answers, np.array([digit for _, digit in pictures]))
    yield with_envelope("real", model_sha256=digest, half=given.half, **result)


def of_half(folder: Path, half: Half) -> list[tuple[Path, int]]:
    """The pictures of one half in sub-folders 0 to 9, with their digits."""
    found = [(folder / str(digit) / name, digit) for digit in range(10) if (folder / str(digit)).is_dir()
             for name in pictures_in(folder / str(digit))]  # fmt: skip
    return [one for one in found if int(re.findall(r"\d+", one[0].stem)[-1]) % 2 == HALVES.index(half)]


def without_view(part: str) -> Any:
    """A patch under which no view is looked at whose name has `part` in it."""
    at = proposals.Look.at

    def other(self: proposals.Look, view: proposals.View, *given: Any) -> list[proposals.Proposal]:
        return [] if part in view.how else at(self, view, *given)

    return patch.object(proposals.Look, "at", other)


def same(components: Any) -> Any:
    """All of them: nothing is dropped."""
    return components


RULES: dict[str | None, Callable[[], Any]] = {
    None: nullcontext,
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
    "a mean over the proposals": lambda: patch.object(
        judging, "shares_of", lambda scores, power: np.eye(len(scores))[np.argmax(scores)]
    ),
    "a second digit looked for": lambda: patch.object(judging, "is_rival", lambda *given: False),
}
"""Each rule, and what switches it off; None: nothing."""


def rule_flags(parser: argparse.ArgumentParser) -> None:
    """Which pictures besides."""
    parser.add_argument("--scanned", type=Path, help="a folder of real digits")


def rules(given: argparse.Namespace) -> Iterator[Row]:
    """Read the development half with each rule of the picture path switched off in turn."""
    sets, reader = ruled(given.scanned), Reader()
    for rule, switched_off in RULES.items():
        with switched_off():
            figures = {name: ruled_figures(reader, *pictures) for name, pictures in sets.items()}
        yield with_envelope(
            "rules", without=rule, pictures={name: len(digits) for name, (_, digits) in sets.items()}, figures=figures
        )


def ruled_figures(reader: Reader, pictures: list[Picture], digits: list[int]) -> list[float]:
    """The shares of pictures that are read right and accepted, and right of the accepted (0 if none is)."""
    answers = answers_of(reader, pictures)
    right = answers.digits == np.array(digits)
    accepted = right[answers.accepted]
    return [float(right.mean()), float(answers.accepted.mean()), float(accepted.mean()) if len(accepted) else 0.0]


def ruled(scanned: Path | None) -> dict[str, tuple[list[Picture], list[int]]]:
    """The pictures of the development half with their digits, by what the tables call them."""
    mnist = mnist_half(RULED, RULED_IMAGES)
    sets: dict[str, tuple[list[Picture], list[int]]] = {}
    for digits in (*pictured(RULED, mnist, RULED_IMAGES), *(scenes(RULED, kind, RULED_SCENES) for kind in KINDS)):
        name = next((part for part in ("photographs", "tight crops", "scenes") if part in digits.name), digits.name)
        pictures, truths = sets.setdefault(name, ([], []))
        order = np.random.default_rng(0).permutation(len(digits))[:RULED_IMAGES]
        pictures += [digits.pictures[i] for i in order]
        truths += digits.digits[order].tolist()
    images = mnist.images[:RULED_CORRUPTED]
    sets["corrupted"] = (
        [image for name in CORRUPTIONS for image in corrupted(name, images)],
        mnist.digits[:RULED_CORRUPTED].tolist() * len(CORRUPTIONS),
    )
    if scanned is not None:
        found = of_half(scanned, RULED)
        sets["real scans"] = [path for path, _ in found], [digit for _, digit in found]
    kinds = [make for name, make in OUT_OF_DISTRIBUTION.items() if name != "look-alikes"]
    strangers = [picture for make in kinds for picture in make(RULED)[:RULED_IMAGES]]
    sets["no digit"] = strangers, [-2] * len(strangers)
    return sets


# The page, in a browser.

STATIC = ROOT / "build/static"
ANSWERED = "performance.getEntriesByName('stroke-to-answer').find((one) => one.startTime >= last)?.duration ?? null"
FIRST = "A 3"
"""The example that is clicked as soon as the page is there."""


def page_flags(parser: argparse.ArgumentParser) -> None:
    """How often, and which page."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--static", type=Path, default=STATIC, help="the page without a server, of `make static`")


def page(given: argparse.Namespace) -> Iterator[Row]:
    """Tell how many bytes travel, how long it takes from the end of a stroke to both answers, with a server and
    without, with the page's inside shown and not, and how soon the page without a server has read an example."""
    from compare import hosting
    from page_driver import chromium, served

    sizes = json.loads((given.static / "sizes.json").read_text(encoding="utf-8"))
    together = with_envelope("page-bytes")
    yield together | sizes["all"] | {"files": sizes["files"]}
    with served() as server, hosting(given.static) as static, chromium() as browser:
        for round_ in range(given.rounds):
            for engine, url in (("server", server), ("browser", static)):
                for inside in (False, True):
                    yield together | {
                        "part": "page-stroke", "engine": engine, "inside": inside, "round": round_,
                        "milliseconds": strokes(browser, url, inside),
                    }  # fmt: skip
            yield together | {"part": "page-load", "round": round_, **first_answer(browser, static)}


def strokes(browser: Any, url: str, inside: bool) -> list[float]:
    """Milliseconds from the end of the last stroke of each digit to both answers, as the page measures them."""
    from page_driver import DIGITS, draw, until

    page = browser.new_page()
    page.goto(url)
    page.evaluate("addEventListener('pointerup', (event) => { window.last = event.timeStamp; }, true)")
    if inside:
        page.locator("#inside summary").click()
        page.evaluate("scrollTo(0, 0)")
    times: list[float] = []
    for drawing in (DIGITS[3], *DIGITS):  # the first one warms up
        draw(page, drawing)
        times.append(until(page, ANSWERED))
        page.wait_for_timeout(200)  # what else the page does with an answer
        page.keyboard.press("Escape")
    page.close()
    return times[1:]


def first_answer(browser: Any, url: str) -> Row:
    """Seconds from nothing, with an empty cache, until the page can be drawn on and until it has read an example."""
    context = browser.new_context()
    page = context.new_page()
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    example = page.get_by_role("button", name=FIRST, exact=True)
    example.wait_for()
    there = time.perf_counter() - began
    example.click()
    page.wait_for_selector("#main[data-state=answer]")
    answered = time.perf_counter() - began
    context.close()
    return {"seconds_until_there": there, "seconds_until_answer": answered}


# The queries of the page on arithmetic.

UNSURE = 0.5, 0.9
"""Confidence of the readings of strings that are asked about, from and to."""
STRINGS = {"a.png": 3, "b.png": 3, "c.png": 2}
"""Their pictures, and how many digits each has."""
SEARCHED = 300
"""Strings that are looked through for an unsure one."""
SHOWN, ENLARGED, APART = ROOT / "docs/images/queries.png", 3, 24
"""Where they are shown, how many times as large, and pixels between them."""


def no_flags(_: argparse.ArgumentParser) -> None:
    """Nothing."""


def queries(given: argparse.Namespace) -> Iterator[Row]:
    """Ask the queries of the page on arithmetic, of two examples and of strings of MNIST's test digits that touch, of
    which the reader is unsure; show these in docs/images/queries.png. All rows of before go."""
    rows = given.rows.resolve()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("five.png", "1480.png"):
            shutil.copy(ROOT / "examples" / name, folder)
        reader, before = sumnist.load(), Path.cwd()
        os.chdir(folder)
        try:
            a, b, c = (unsure(reader, name, digits, place) for place, (name, digits) in enumerate(STRINGS.items()))
            show([*STRINGS])
            asked = [
                "five.png + _ = 12", "1480.png - five.png = _", f"a.png + b.png = {a + b}",
                f"a.png + b.png + c.png = {a + b + c}", f"a.png + 47 = {str(a + 47)[:-1]}_", f"c.png + c.png = {2 * c}",
                f"a.png + _ = {a + 1000}", "1480.png + five.png = 1_8_", "c.png - b.png + 1000 = _",
                "five.png + five.png = 11",
            ]  # fmt: skip
            answers = [answer_to(reader, query) for query in asked]
        finally:
            os.chdir(before)
    rows.unlink(missing_ok=True)
    for query, answer in zip(asked, answers, strict=True):
        yield with_envelope("queries", query=query, answer=answer)


def unsure(reader: Reader, name: str, digits: int, place: int) -> int:
    """Save the picture of a string of which the reader is unsure, the one after `place` others, and give its number."""
    made = strings("development", digits, "touching", SEARCHED)
    readings = reader.read_number(list(made.pictures), ink="light")
    found = [i for i, one in enumerate(readings) if UNSURE[0] < one.confidence < UNSURE[1]]
    Image.fromarray(255 - made.pictures[found[place]]).save(name)
    return int(made.texts[found[place]])


def show(names: Sequence[str]) -> None:
    """Draw pictures beside each other."""
    large = [ImageOps.scale(Image.open(name), ENLARGED) for name in names]
    sheet = Image.new("L", (sum(one.width + APART for one in large) - APART, max(one.height for one in large)), 255)
    left = 0
    for one in large:
        sheet.paste(one, (left, 0))
        left += one.width + APART
    sheet.save(SHOWN, optimize=True)


def answer_to(reader: Reader, query: str) -> str:
    """What a query is answered, or why it is not."""
    try:
        return solution_described(sumnist.solve(query, reader=reader))
    except EquationError as error:
        return str(error)


# The program.

Flags = Callable[[argparse.ArgumentParser], None]
TASKS: dict[str, tuple[Callable[[argparse.Namespace], Iterable[Row]], Flags]] = {
    "runs": (runs, run_flags),
    "addition": (measure_addition.addition, measure_addition.flags),
    "robustness": (measured_robustness, half_flag),
    "real": (real, real_flags),
    "rules": (rules, rule_flags),
    "numbers": (measure_numbers.numbers, measure_numbers.number_flags),
    "checksums": (measure_numbers.checksums, measure_numbers.checksum_flags),
    "sheets": (measure_sheets.sheets, measure_sheets.flags),
    "page": (page, page_flags),
    "queries": (queries, no_flags),
}
"""What gives the rows of each task, which are in the file of its name, and what adds its flags."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for name, (measure, flags) in TASKS.items():
        said = inspect.getdoc(measure)
        task = tasks.add_parser(name, help=said, description=said)
        flags(task)
        task.add_argument("--rows", type=Path, default=RESULTS / f"{name}.jsonl", help="the file to append to")
    given, changes = parser.parse_known_args(words)
    if changes and given.task != "addition":
        parser.error(f"unrecognized arguments: {' '.join(changes)}")
    given.changes = changes
    clean_commit("measure")
    given.rows.parent.mkdir(parents=True, exist_ok=True)
    try:
        for row in TASKS[given.task][0](given):
            add(given.rows, row)
    except SumnistError as error:
        raise SystemExit(f"measure: {given.task}: {error}") from None


if __name__ == "__main__":
    main()
