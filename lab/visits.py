"""Visit Sumnist as four newcomers would, and take pictures of what they see: `python -m lab.visits OUT [VISIT]`.

Each newcomer clones the last commit of this repository into a new folder, installs it there, and opens a new browser.
They type the commands of the README, of the guides and of error messages, and click what the page shows. A visit ends
with an error at the first step that fails. Photographs and filled forms are simulated. Needs git, curl, Chromium, pip.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from lab.evidence import RESULTS, ROOT, Row, add, with_envelope
from lab.pictures import CUT, REVIEWED, SHOWN, jpeg, name_of, photograph, photograph_of_all
from lab.suites import pages, photographs
from lab.suites.digits import mnist_half
from lab.suites.sheets import Ink
from page_driver import DIGITS, chromium, draw, served

sys.path.append(str(ROOT / "tests"))

from page_checks import choose
from test_hand_page import OWN, POINTS, drawn
from test_sheet_page import downloaded, part, picture
from workbooks import opened

GAP, WIDTH, QUALITY = 16, 960, 72  # pixels between two screens; largest width in pixels and quality of a picture
CHANCE = random.Random(5)  # which makes digits that are drawn with a finger differ


class Visit:
    """What a newcomer has: a new folder and a new browser. `steps` are the steps so far, with the seconds of each."""

    def __init__(self, out: Path, folder: Path, browser: Browser) -> None:
        self.out, self.folder, self.browser, self.steps = out, folder, browser, list[Row]()
        self.clone = folder / "sumnist"
        self.served = partial(served, folder=self.clone, python=self.clone / ".venv/bin/python")

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        """Do a step of the visit, and note how long it takes. Raises `SystemExit` if it fails."""
        began = time.perf_counter()
        try:
            yield
        except Exception as error:
            raise SystemExit(f"visits: {words}: {error}") from error
        self.steps.append({"step": words, "seconds": round(time.perf_counter() - began, 2)})

    def arrive(self, page: str) -> str:
        """Clone the repository, install it as one of its pages says, and return the text of the page."""
        with self.step("clone"):
            self.run(f"git clone --quiet {ROOT.as_uri()} {self.clone}", folder=self.folder)
        text = (self.clone / page).read_text(encoding="utf-8")
        with self.step("install"):
            install = str(re.findall(r'pip install (?:"\.[^"]*"|\.)(?=\s|`)', text)[0])
            self.run(f"python3 -m venv .venv && {install} -c constraints.txt")
        return text

    def run(self, command: str, *expected: str, folder: Path | None = None, status: int = 0, **variables: str) -> str:
        """Run a command in a folder, by default in the clone, and return what it prints, errors included. Raises
        `ValueError` if it prints something else than expected, or ends with another status."""
        programs = f"{self.clone}/.venv/bin:{os.environ['PATH']}"
        own = {"PATH": programs, "PYTHONPATH": "", "PIP_CACHE_DIR": f"{self.folder}/cache"}
        result = subprocess.run(
            command, shell=True, cwd=folder or self.clone, env=os.environ | own | variables, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        told = f"{result.stdout}(exit status {result.returncode})"
        if missing := [words for words in (*expected, f"(exit status {status})") if words not in told]:
            raise ValueError(f"{command}: expected {missing} in: {told}")
        return result.stdout

    def browse(self, address: str, width: int = 1280, height: int = 800, **device: Any) -> Page:
        """Open an address in a browser that knows nothing."""
        page = self.browser.new_page(viewport={"width": width, "height": height}, color_scheme="light", **device)
        page.goto(address)
        return page

    def keep(self, name: str, *screens: Image.Image) -> None:
        """Write screens, side by side, into one picture."""
        arrays = [np.asarray(screen.convert("RGB")) for screen in screens]
        apart = np.full((len(arrays[0]), GAP, 3), 255, np.uint8)
        whole = Image.fromarray(np.hstack([part for array in arrays for part in (apart, array)][1:]))
        whole.thumbnail((WIDTH, whole.height), Image.Resampling.LANCZOS)
        whole.save(self.out / f"{name}.webp", "WEBP", method=6, quality=QUALITY)


def student(visit: Visit) -> None:
    """Follow the README to a first reading. On the page, find where the learned network fails, and why."""
    readme = visit.arrive("README.md")
    with visit.step("read in Python"):
        code = block("python", readme)
        visit.run(f"python -c {shlex.quote(code)}", *re.findall(r"print\(.*\)  # (\S+ \S+ )", code))
    with visit.step("read at the command line"):
        command, answer, *_ = block("console", readme).splitlines()[::2]
        visit.run(command.removeprefix("$ "), answer[:12])
    with visit.step("install what the server needs"):
        visit.run(re.findall(r"pip install .*", visit.run("sumnist serve", status=1))[0])
    with visit.served() as url:
        page = visit.browse(url)
        with visit.step("draw an 8"):
            draw(page, DIGITS[8])
            expect(page.locator("#learned-says")).to_contain_text("It says 15 too")
        with visit.step("find where the learned network fails"):
            page.get_by_role("button", name="Try 0 to 9 with this digit").click()
            never = (
                "It fails here: it says 8 + 9 = 11. It never saw this pair in training. 10 of 100 pairs tried, 1 wrong."
            )
            expect(page.locator("#hunted")).to_have_text(never)
            expect(page.locator("#learned-says")).to_contain_text("which is not 8 + 9 = 17.")
        visit.keep("where-it-fails", seen(page, page.locator("#beside")))
        with visit.step("read why"):
            page.get_by_role("link", name="How well such networks add").click()
            expect(page.locator("#study")).to_contain_text("get pairs wrong that they never saw")
            study = visit.clone / page.locator("#study code").inner_text()
            page.goto(study.with_name("study.html").as_uri())
            page.locator("h2", has_text="never seen").first.evaluate("one => scrollTo(0, one.offsetTop - 24)")
        visit.keep("why-it-fails", seen(page))


def teacher(visit: Visit) -> None:
    """Print a form on the page, read filled ones and get the workbook. Then check a class as the guide says."""
    guide = visit.arrive("docs/how-to/sheets.md")
    pupils = SHOWN, CUT, REVIEWED
    with visit.served() as url:
        page = visit.browse(url, height=1120)
        with visit.step("print a form"):
            choose(page, "A sheet")
            assert downloaded(page, "Get the PDF", visit.folder).read_bytes().startswith(b"%PDF")
        with visit.step("read three filled forms"):
            page.set_input_files("#form-files", [picture(f"{pupil}.jpg", photograph(pupil)) for pupil in pupils])
            expect(part(page, "verdict")).to_have_text("3 sheets: corrected 1, doubtful 1, unreadable 1.")
        visit.keep("forms", seen(page))
        with visit.step("get the workbook"):
            marks = opened(downloaded(page, "Get the workbook", visit.folder))["Marks"]
            assert [marks.at("State", line) for line in (2, 3, 4)] == ["corrected", "unreadable", "doubtful"]
    new, read, review = re.findall(r"^ *\$ (sumnist sheet .+)$", guide, re.MULTILINE)
    folder = visit.folder / "exams"
    (folder / "photos").mkdir(parents=True)
    with visit.step("print forms for a class"):
        (folder / "class.csv").write_text("".join(f"{name_of(pupil)}\n" for pupil in pupils), encoding="utf-8")
        visit.run(new, "3 pages", folder=folder)
    with visit.step("read three photographs"):
        for pupil in pupils:
            (folder / f"photos/{pupil}.jpg").write_bytes(photograph(pupil))
        visit.run(read, f"photos/{CUT}.jpg · the tags at the lower right and lower left", folder=folder, status=1)
    with visit.step("replace the unreadable one"):
        (folder / f"photos/{CUT}.jpg").write_bytes(photograph_of_all(CUT))
        visit.run(f"{read} --overwrite", "3 sheets: adds up 1, corrected 1, doubtful 1", review, folder=folder)
    with visit.served(*shlex.split(review)[1:], "--no-browser", folder=folder) as url:
        page = visit.browse(url)
        expect(page.locator("#why")).to_have_text("One cell is in doubt.")
        visit.keep("review", seen(page))
        with visit.step("review the doubtful sheet"):
            for key in ("ArrowDown", "Enter"):
                page.keyboard.press(key)
            expect(page.get_by_role("button", name="Next sheet")).to_be_focused()
            page.keyboard.press("Enter")
            expect(page.locator("#done-where")).to_have_text("The table with your corrections is in marks.xlsx.")
            assert len(opened(folder / "marks.xlsx")["To look at"].lines()) == 1, "there is more than the head"


def developer(visit: Visit) -> None:
    """Ask a server that knows tokens: in the form of its documentation, with curl and with Python."""
    guide = visit.arrive("docs/how-to/serve.md")
    with visit.step("make a token"):
        visit.run(re.findall(r"^python -c .*tokens\.txt$", guide, re.MULTILINE)[0])
        token = (visit.clone / "tokens.txt").read_text(encoding="utf-8").strip()
    with visit.served("serve", "--port", "0", "--token-file", "tokens.txt") as url:
        page = visit.browse(f"{url}/docs", 860, 620)
        with visit.step("send the form of /docs"):
            page.get_by_label("This server's token").fill(token)
            page.get_by_role("button", name="Send to /v1/read").click()
            expect(page.locator("#try-answer")).to_contain_text('"sum": 12')
        visit.keep("api-form", seen(page))
        shown = page.locator("section", has=page.locator("pre.curl", has_text=re.compile(r"/v1/read \\"))).last
        visit.keep("api-curl", seen(page, shown))
        curl = shown.locator("pre.curl").inner_text().replace("curl ", "curl -s -w '%{http_code}' ")
        five = curl.replace("picture.png", "examples/five.png")
        for words, command, known, answer in (
            ("ask with curl", five, token, '"sum": 12'), ("send a wrong token", five, "x" * len(token), "401"),
            ("send a text as a picture", curl.replace("picture.png", "README.md"), token, "415"),
            ("send no token", re.sub(r"-H .*\\\n", "\\\n", five), token, "401"),
        ):  # fmt: skip
            with visit.step(words):
                visit.run(command, answer, TOKEN=known)
        data, there = pages.seen("development", pages.Images(Ink.mnist("development")), 8)
        (visit.clone / "examples/page.jpg").write_bytes(data)
        digit = block("python", guide).replace("http://127.0.0.1:8000", url)
        digit = digit.replace('/json"', f'/json", "Authorization": "Bearer {token}"')
        other = re.sub(r"print\(.*", 'print([one["value"] for one in reading.get("numbers", [reading])])', digit)
        number = other.replace(', "number": 7', "").replace("five", "1480").replace("v1/read", "v1/read-number")
        every = number.replace("1480.png", "page.jpg").replace("read-number", "find")
        for words, code, answer in (
            ("read a digit with Python", digit, "5 12 True"), ("read a number with Python", number, "[1480]"),
            ("find the numbers on a page with Python", every, str([int(one.text) for one in there])),
        ):  # fmt: skip
            with visit.step(words):
                visit.run(f"python -c {shlex.quote(code)}", answer)


def phone(visit: Visit) -> None:
    """On a telephone: draw and add, take a photograph anew, read two digits, teach a hand and forget it."""
    visit.arrive("docs/how-to/serve.md")
    whole, two = photographed(3, 2, (3, 2)), photographed(7, 0, (4, 3), (7, 2))
    with Image.open(BytesIO(whole)) as image:
        cut = jpeg(image.crop((0, image.height // 4, image.width, image.height)))
    with visit.served() as url:
        page = visit.browse(url, 390, 844, has_touch=True, is_mobile=True)
        digit, total = page.locator("#digit"), page.locator("#sum")
        start = seen(page)
        with visit.step("draw a 3"):
            touch(page, DIGITS[3], every=POINTS)
            expect(total).to_have_text("10")
        first = seen(page)
        with visit.step("add 9"):
            for _ in range(2):
                page.get_by_role("button", name="One more").tap()
            expect(total).to_have_text("12")
        visit.keep("draw-and-add", start, first, seen(page))
        screens: list[Image.Image] = []
        for words, photo, answer in (
            ("show a photograph that is cut off", cut, "runs off the edge. Move the camera, so that there is paper"),
            ("show a whole one", whole, "99.9\u00a0% sure of both."), ("show two digits", two, "more than one digit"),
        ):  # fmt: skip
            with visit.step(words):
                page.set_input_files("#file", picture("photo.jpg", photo))
                expect(page.locator(".verdict").first).to_contain_text(answer)
            screens.append(seen(page))
        visit.keep("cut-off", *screens[:2])
        with visit.step("read them as a number"):
            page.get_by_role("button", name="Read as a number").tap()
            expect(digit).to_have_text("47")
            expect(total).to_have_text("56")
        visit.keep("two-digits", screens[2], seen(page))
        with visit.step("draw a 1 that is read as a 7"):
            choose(page, "One digit")
            page.get_by_role("button", name="Clear").tap()
            touch(page, OWN[1])
            expect(digit).to_have_text("7")
        with visit.step("write each digit three times"):
            choose(page, "Your hand")
            CHANCE.seed(5)
            for place in range(30):
                touch(page, OWN[place % 10], "#hand-task canvas[data-part=pad]")
                first = seen(page) if place == 17 else first
                page.get_by_role("button", name="Next").tap()
        with visit.step("let the reader learn"):
            page.get_by_role("button", name="Learn from all 30").tap()
            expect(page.locator("#hand-task [data-part=verdict]")).to_have_text(re.compile("^It helps: "))
        learned = seen(page)
        with visit.step("see that the 1 is a 1 now"):
            page.get_by_role("link", name="Try it").tap()
            expect(digit).to_have_text("1")
        visit.keep("hand", first, learned, seen(page))
        with visit.step("let it forget"):
            page.get_by_role("button", name="Forget it").tap()
            expect(digit).to_have_text("7")


def block(kind: str, page: str) -> str:
    """Return the first block of a kind, such as `python`, in the Markdown of a page."""
    return str(re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)[0])


def touch(page: Page, strokes: str, pad: str = "#pad", every: int = 1) -> None:
    """Draw strokes with a finger, a little turned and scaled by chance: each `every`-th of their points."""
    finger, box = page.context.new_cdp_session(page), page.locator(pad).bounding_box()
    assert box is not None
    for stroke in drawn(strokes, CHANCE):
        for place, (x, y) in enumerate(stroke[::every]):
            at = {"x": box["x"] + box["width"] / 2 + (x - 0.5) * box["height"], "y": box["y"] + y * box["height"]}
            kind = "touchMove" if place else "touchStart"
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.touchscreen.tap(4, 4)  # Chromium loses the first tap after an emulated finger that moved, on a bare page too


def photographed(seed: int, index: int, *digits: tuple[int, int]) -> bytes:
    """Return a simulated photograph of digits beside each other; of each, its value and its place among MNIST's."""
    every = mnist_half("development")
    inks = [every.images[np.flatnonzero(every.digits == digit)[place]] for digit, place in digits]
    parts = [part for ink in inks for part in (np.zeros((28, 9), np.uint8), ink[:, ink.any(0)])]
    return photographs.photograph(np.hstack(parts[1:]), seed, index)


def seen(page: Page, what: Locator | None = None) -> Image.Image:
    """Return what is on the screen once it has come to rest, or a part of the page."""
    page.wait_for_timeout(1_000)
    return Image.open(BytesIO((what or page).screenshot()))


def main() -> None:
    """Make the visits that the command line names, or all."""
    visits = {one.__name__: one for one in (student, teacher, developer, phone)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder for the pictures")
    parser.add_argument("visit", nargs="?", choices=visits, help="the only visit to make")
    parser.add_argument("--rows", type=Path, default=RESULTS / "visits.jsonl", help="the file to append to")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    expect.set_options(30_000)  # milliseconds until the page shows the result of a click, at most
    for name in [given.visit] if given.visit else visits:
        with TemporaryDirectory() as folder, chromium() as browser:
            visit = Visit(given.out, Path(folder), browser)
            visits[name](visit)
            commit = visit.run("git rev-parse HEAD").strip()
        seconds = round(sum(step["seconds"] for step in visit.steps), 2)
        add(given.rows, with_envelope("visit", visitor=name, seconds=seconds, steps=visit.steps) | {"commit": commit})


if __name__ == "__main__":
    main()
