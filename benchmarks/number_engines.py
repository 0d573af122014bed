"""Numbers of any length, read with everything there is: side by side, on the same pictures, one thread each.

The engines of `Reader.read_number`; Tesseract, where it is installed; and the network of single digits on connected
components, which is what many would write first. What is not installed is left out. Nothing here imports torch, whose
memory would count as that of the engines.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sumnist.config import ReadingEngine
from sumnist.inference.numbers import Numbers, file_of
from sumnist.inference.reader import Reader
from sumnist.lab.suites.strips import SPACINGS, strings
from sumnist.pictures.components import components_of
from sumnist.pictures.decode import intensities_of
from timing import Row, alternating, encoded, seconds_each

ROUNDS = 5
STRINGS, LENGTHS = 100, (2, 3, 5, 8)
"""Strings of each number of digits and spacing, the first of the suite's reported half."""
NUMBER_CALLS = 20
SECONDS = 3.0
"""Of each measurement of throughput."""
WIDTH, HEIGHT = 600, 100
SOLID, SPECK = 0.5, 0.25
"""Darkness from which on a pixel is ink, and of the height of the tallest component that of one that is a digit."""
GROUND = 4
"""Pixels of ground around a component, at least: it needs some to be a picture."""
TESSERACT = ["tesseract", "-", "-", "--psm", "7", "-c", "tessedit_char_whitelist=0123456789"]
"""One line of text, digits alone."""
CHILD = """
import sys
from pathlib import Path
from number_engines import engines
engines()[sys.argv[1]](Path(sys.argv[2]))
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
"""

Read = Callable[[bytes | Path], str]
"""A picture file → the digits on it."""


def engines() -> dict[str, Read]:
    """What reads numbers, by name; networks are loaded."""
    numbers, reader = Numbers(), Reader()
    found: dict[str, Read] = {}
    for engine in get_args(ReadingEngine):
        try:
            numbers.reader(engine)
        except ImportError as error:
            print(f"{engine} is left out: {error}", file=sys.stderr)
        else:
            found[engine] = lambda picture, engine=engine: digits_of(numbers, picture, engine)  # type: ignore[misc]
    if shutil.which(TESSERACT[0]):
        found["tesseract"] = tesseract
    found["digit by digit"] = lambda picture: one_by_one(reader, picture)
    return found


def digits_of(numbers: Numbers, picture: bytes | Path, engine: ReadingEngine) -> str:
    """What an engine of the package reads."""
    (reading,) = numbers.read_each([picture], engine)
    return getattr(reading, "digits", "")


def tesseract(picture: bytes | Path) -> str:
    """What Tesseract reads, with one thread."""
    content = picture if isinstance(picture, bytes) else picture.read_bytes()
    environment = os.environ | {"OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(TESSERACT, input=content, capture_output=True, check=False, env=environment)
    return "".join(character for character in done.stdout.decode(errors="replace") if character.isdigit())


def one_by_one(reader: Reader, picture: bytes | Path) -> str:
    """What the network of single digits reads, if each connected component of dark ink is one, from left to right."""
    dark = 1 - intensities_of(picture).grey
    found = components_of(dark >= SOLID, dark)
    if not len(found):
        return ""
    heights = found.boxes[:, 1] - found.boxes[:, 0]
    boxes = found.boxes[heights >= SPECK * heights.max()]
    inks = [
        (255 * dark[top:bottom, left:right]).astype(np.uint8)
        for top, bottom, left, right in boxes[boxes[:, 2].argsort()]
    ]
    cuts = [np.pad(one, max(GROUND, max(one.shape) // 4)) for one in inks]
    return "".join(str(reading.digit) for reading in reader.read(cuts, 0, "light"))


def drawn(ink: NDArray[np.uint8]) -> bytes:
    """A string as a PNG, dark on light."""
    return encoded(Image.fromarray(255 - ink), "PNG")


def number_accuracy() -> Iterator[Row]:
    """The share of strings that each reads right, dark on light, by number of digits and spacing."""
    reads = engines()
    for digits in LENGTHS:
        for spacing in SPACINGS:
            made = strings("reported", digits, spacing, STRINGS)
            files = [drawn(picture) for picture in made.pictures]
            for name, read in reads.items():
                right = [read(file) == text for file, text in zip(files, made.texts, strict=True)]
                yield {"name": name, "digits": digits, "spacing": spacing, "strings": len(files),
                       "right": float(np.mean(right))}  # fmt: skip


def number_latency() -> Iterator[Row]:
    """A picture in, a number out, on one thread: the median of each round."""

    def case(read: Read, pictures: Sequence[bytes | Path], _: int) -> Row:
        return {"p50": float(np.median(seconds_each(read, pictures)))}

    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Sequence[bytes | Path]] = {
            "4-digit strip": [drawn(picture) for picture in strings("reported", 4, "spaced", NUMBER_CALLS).pictures],
            f"PNG of {WIDTH}×{HEIGHT}, from file": large_files(Path(folder)),
        }
        yield from alternating({
            (("name", name), ("kind", kind)): partial(case, read, pictures)
            for name, read in engines().items() for kind, pictures in kinds.items()
        }, ROUNDS, warm=1)  # fmt: skip


def large_files(folder: Path) -> list[Path]:
    """Files of pictures of 600×100 pixels, each with six digits, as wide as they were written."""
    files = []
    for place, picture in enumerate(strings("reported", 6, "spaced", NUMBER_CALLS).pictures):
        files.append(folder / f"{place}.png")
        page = Image.new("L", (WIDTH, HEIGHT), "white")
        page.paste(ImageOps.contain(Image.fromarray(255 - picture), page.size, Image.Resampling.BICUBIC))
        page.save(files[-1])
    return files


def number_rate() -> Iterator[Row]:
    """Strips of four digits a second, on two threads that share what reads."""
    files = [drawn(picture) for picture in strings("reported", 4, "spaced").pictures]

    def case(read: Read, _: int) -> Row:
        began = time.perf_counter()

        def work(place: int) -> int:
            done = 0
            while time.perf_counter() - began < SECONDS:
                read(files[(place + done) % len(files)])
                done += 1
            return done

        with ThreadPoolExecutor(2) as pool:
            done = sum(pool.map(work, (0, len(files) // 2)))
        return {"strips_per_second": done / (time.perf_counter() - began)}

    return alternating({name: partial(case, read) for name, read in engines().items()}, ROUNDS, warm=1)


def number_size() -> Iterator[Row]:
    """Bytes of the networks, where these are files of the package's kind, and the most memory that a process held which
    read one picture of 600×100 pixels; of Tesseract, a process of its own, neither."""
    numbers, here = Numbers(), Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        picture = large_files(Path(folder))[0]
        for name in engines():
            ours = name in get_args(ReadingEngine)
            networks = numbers.reader(name).networks if ours else [Reader().network]  # type: ignore[arg-type]
            known = [len(file_of(network)) for network in networks]
            child = subprocess.run([sys.executable, "-c", CHILD, name, str(picture)], capture_output=True, text=True,
                                   check=True, cwd=here)  # fmt: skip
            own = name != "tesseract"
            yield {"name": name, "network_bytes": sum(known) if own and all(known) else None,
                   "peak_bytes": 1024 * int(child.stdout) if own else None}  # fmt: skip
