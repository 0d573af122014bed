"""Measure how well numbers of any length are read, and append rows to docs/results/numbers.jsonl.

    python scripts/measure_numbers.py --suite --engines ours ocr both
    python scripts/measure_numbers.py --folder "cheque amounts=FOLDER" --folder cells=OTHER --engines ours "ocr alone"

FOLDER holds real strips, which the project does not hold, with a `labels.csv` as `sumnist evaluate --labels` takes it.
The last number in the name of a picture's file says which half it is in: even, development, by which choices may be
made; odd, reported. Of each set and engine there is one row. The engine `ocr alone` is what the network of `ocr` says
by itself. A reported set is looked at once for each network and design of the path from the picture to the line. With
`--trusts 0 0.35 1` the development half is measured with each of these powers of a closer look, for the choice of one.
The package must be committed, and its commit is in the row.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np

from measure import RESULTS, clean_commit, machine
from sumnist.config import ReadingEngine
from sumnist.environment import now
from sumnist.errors import DataError, SumnistError
from sumnist.inference.closer import TRUST
from sumnist.inference.ctc import CHARACTERS
from sumnist.inference.numbers import Numbers
from sumnist.inference.ocr import OcrRecognizer
from sumnist.inference.recognizers import file_of
from sumnist.lab.study.rows import Row, append_jsonl, read_jsonl
from sumnist.lab.suites.archive import HALVES, Half
from sumnist.lab.suites.labels import Label, labels_of
from sumnist.lab.suites.numbers import labelled_answers, number_result, numbers
from sumnist.pictures.decode import intensities_of

ROWS = RESULTS.with_name("numbers.jsonl")
PATH = 8
"""The generation of the path from the picture to the line: it rises when that is designed anew, and then the reported
half may be looked at once more for a network."""
PARITIES = "even", "odd"
"""Of the numbers of the pictures in each half."""
ALONE = "ocr alone"
"""The network of `ocr` as one would use it without this package: shown each picture whole, its best path without all
that is no digit. On folders alone."""
READING_ENGINES: tuple[ReadingEngine, ...] = get_args(ReadingEngine)
ENGINES = *READING_ENGINES, ALONE
SUITE = "suite"
"""The name of the suite among the sets."""
LABELS = "labels.csv"


def main() -> None:
    """Measure what the command line names, one engine after the other."""
    parser = argparse.ArgumentParser(description="Measure how well numbers of any length are read.")
    parser.add_argument("--suite", action="store_true", help="measure on the suite of numbers")
    parser.add_argument("--folder", action="append", default=[], type=named, metavar="NAME=PATH",
                        help="measure on real strips; NAME is what the pages call them")  # fmt: skip
    parser.add_argument("--half", choices=HALVES, default=HALVES[1], help="of the suite")
    parser.add_argument("--parity", choices=PARITIES, help="of the pictures of folders; by default that of --half")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["ours"])
    parser.add_argument("--count", type=int, help="strings of each set of the suite, at most")
    parser.add_argument("--trusts", nargs="+", type=float, help="of a closer look; of the development half alone")
    parser.add_argument("--rows", type=Path, default=ROWS)
    given = parser.parse_args()
    head = clean_commit("measure_numbers")
    parity = given.parity or PARITIES[HALVES.index(given.half)]
    wanted = [(name, HALVES[PARITIES.index(parity)]) for name, _ in given.folder] + [(SUITE, given.half)] * given.suite
    if not wanted:
        raise SystemExit("measure_numbers: nothing to measure on, expected --suite or --folder")
    if given.trusts and {half for _, half in wanted} != {HALVES[0]}:
        raise SystemExit("measure_numbers: --trusts: choices are made by the development half: add --half development")
    if given.trusts and ALONE in given.engines:
        raise SystemExit(f"measure_numbers: --trusts with {ALONE}, which takes no closer look: leave that engine out")
    reader = Numbers()
    try:
        networks = {engine: checksum(reader, engine) for engine in given.engines}
        labels = {name: of_parity(labels_of(folder / LABELS), parity) for name, folder in given.folder}
    except SumnistError as error:
        raise SystemExit(f"measure_numbers: {error}") from None
    check_unseen(read_jsonl(given.rows), networks, wanted)
    for trust, (engine, network) in product(given.trusts or [TRUST], networks.items()):
        reader.trust = trust
        of_part = {"part": "strips-closer", "trust": trust} if given.trusts else {"part": "strips"}
        about = of_part | {"date": now(), "commit": head, "machine": machine(), "engine": engine,
                           "model_sha256": network, "path": PATH}  # fmt: skip
        for name, folder in given.folder:
            result = result_of(reader, engine, name, folder, labels[name])
            append(given.rows, about | {"set": name, "kind": "real", "half": HALVES[PARITIES.index(parity)], **result})
        if given.suite and engine in READING_ENGINES:
            for row in suite_rows(reader, given.half, engine, given.count):
                if not given.trusts or (row["kind"] == "strings" and row["digits"] in (None, 1)):  # these are enough
                    append(given.rows, about | row)


def result_of(reader: Numbers, engine: str, name: str, folder: Path, labels: list[Label]) -> dict[str, Any]:
    """The figures of an engine on a folder; of `ALONE`, how many it reads right, since it has no probabilities."""
    if engine in READING_ENGINES:
        answers = list(labelled_answers(reader, folder, labels, engine))
        misread = [
            {"picture": Path(label.path).stem, "read": answer.text, "accepted": answer.accepted,
             "in_candidates": answer.in_candidates}
            for label, answer in answers if not answer.right
        ]  # fmt: skip
        return asdict(number_result(name, [answer for _, answer in answers])) | {"misread": misread}
    recognizer, right = OcrRecognizer(), []
    digits = [0, *(place for place, character in enumerate(CHARACTERS, 1) if character.isdigit())]
    for label in labels:
        (line,) = recognizer.lines([1 - intensities_of(folder / label.path).grey])
        path = np.array(digits)[line.emissions[:, digits].argmax(1)]
        read = path[(np.diff(path, prepend=0) != 0) & (path > 0)]
        right.append("".join(CHARACTERS[one - 1] for one in read).lstrip("0") == str(label.value))
    unknown = dict.fromkeys(("accepted", "accuracy_accepted", "in_candidates", "nll", "ece"))
    return {"name": name, "pictures": len(right), "accuracy": float(np.mean(right)), **unknown}


def named(text: str) -> tuple[str, Path]:
    """A name and a folder. Raises `ArgumentTypeError`."""
    name, equals, path = text.partition("=")
    if not (name and equals and path) or name == SUITE:
        raise argparse.ArgumentTypeError(f"{text}: expected NAME=PATH, such as cells=../cells")
    return name, Path(path)


def checksum(reader: Numbers, engine: Any) -> str:
    """The SHA-256 of the networks that an engine reads with, end to end."""
    networks = reader.of("ocr") if engine == ALONE else reader.reader(engine).networks
    return hashlib.sha256(b"".join(file_of(one) for one in networks)).hexdigest()


def of_parity(labels: list[Label], parity: str) -> list[Label]:
    """The labels of the pictures whose number is even, or odd. Raises `DataError` if there are none, or one of them
    has a row that is no good."""
    found = []
    for label in labels:
        numbers_of = re.findall(r"\d+", Path(label.path).stem)
        if label.error is not None or not numbers_of:
            raise DataError(f"{label.error or f'{label.path}: no number in its name'}: mend {LABELS}")
        if int(numbers_of[-1]) % 2 == PARITIES.index(parity):
            found.append(label)
    if not found:
        raise DataError(f"no pictures with {parity} numbers in {LABELS}")
    return found


def check_unseen(rows: list[Row], networks: Mapping[Any, str], wanted: list[tuple[str, Half]]) -> None:
    """Raise `SystemExit` if a reported set has been looked at with one of the networks."""
    seen = {(row["engine"], row["model_sha256"], row["path"], row["set"], row["half"])
            for row in rows if row["part"] == "strips"}  # fmt: skip
    for engine, network in networks.items():
        for name, half in wanted:
            if half == HALVES[1] and (engine, network, PATH, name, half) in seen:
                raise SystemExit(f"measure_numbers: the reported half of {name} is measured already with {engine}")


def suite_rows(reader: Numbers, half: Half, engine: ReadingEngine, count: int | None) -> Iterator[dict[str, Any]]:
    """What the rows of the suite say, one for each set of strings and each kind of what is no number."""
    found = numbers(reader, half, engine, count)
    for kind, results in (("strings", found.strings), ("no number", found.no_numbers)):
        yield from ({"set": SUITE, "kind": kind, "half": half, **asdict(result)} for result in results)


def append(path: Path, row: Row) -> None:
    """Add a row to the file, and print its figures."""
    append_jsonl(path, row)
    figures = {key: value for key, value in row.items() if key not in ("machine", "commit", "model_sha256", "date")}
    print(figures, flush=True)


if __name__ == "__main__":
    main()
