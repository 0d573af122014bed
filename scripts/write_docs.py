"""Write every figure in the README and docs/ from the committed rows of docs/results/runs.jsonl, and the page of the
command line from its parsers.

    python scripts/write_docs.py            rewrite the pages
    python scripts/write_docs.py --check    exit with 1 if a page does not say what the rows say

A page or picture that says the same is left as it is: drawings differ in their last digits from build to build.

A page marks where a figure goes: `<!-- figure:NAME -->…<!-- /figure -->`, in a line or around a table. NAME is a
function below; what stands between the marks is replaced. Nothing between marks is ever typed by hand.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import addition_tables
import arithmetic_tables
import bench_tables
import checksum_tables
import command_line
import fault_tables
import number_tables
import page_tables
import picture_tables
import serving_tables
import sheet_example
import sheet_tables
from bench_tables import MEMORY, agreeing, machines, median, newest, part, spread, table
from compare_pages import say_the_same
from measure import TRIED, current
from sumnist.config import PRESETS, Config, preset
from sumnist.evaluation.text import duration, percent
from sumnist.files import CONFIG, PRETRAINED
from sumnist.lab.study.report import points, report, with_interval
from sumnist.lab.study.results import Results
from sumnist.lab.study.rows import read_jsonl
from sumnist.lab.study.variants import VARIANTS
from sumnist.model.diagram import draw

ROOT = Path(__file__).resolve().parent.parent
ROWS = ROOT / "docs/results/runs.jsonl"
BENCH = ROOT / "docs/results/bench.jsonl"
SURVIVAL = ROOT / "docs/results/survival.jsonl"
STUDY = ROOT / "docs/results/study.jsonl"
OTHERS = [
    ROOT / f"docs/results/{name}.jsonl"
    for name in ("robustness", "calibration", "serving", "faults", "teachers", "real", "rules", "numbers", "addition",
                 "checksums", "queries", "sheets", "sheet-class", "page", "static", "static-numbers", "learned")
]  # fmt: skip
PAGES = [ROOT / name for name in ("README.md", "docs/the-task.md", "docs/benchmarks.md", "docs/training.md",
                                  "docs/scoring.md", "docs/reliability.md", "docs/your-own-pictures.md",
                                  "docs/numbers.md", "docs/arithmetic.md", "docs/sheets.md", "docs/serving.md",
                                  "docs/the-page.md",
                                  "docs/appendix-runs.md", "docs/appendix-benchmarks.md",
                                  "docs/index.md", "docs/tutorial.md")]  # fmt: skip
COMMANDS = ROOT / "docs/command-line.md"
MARK = re.compile(r"(<!-- figure:([\w-]+) -->)(.*?)(<!-- /figure -->)", re.DOTALL)

Rows = list[dict[str, Any]]

PLAN_TITLES = {
    "fast-exact": "`fast`, exact fusion",
    "fast-concat": "`fast`, concat fusion, 4 epochs",
    "default-exact": "`default`, exact fusion",
    "packaged": "the packaged network, exact fusion",
    "best-exact": "`best`, exact fusion",
    "default-concat": "`default`, concat fusion, ten numbers an image",
    "original": "`original`, its learned fusion and bits",
    "original-as-written": "`original-as-written`",
}
LOSSES = ("reference", "ten-numbers", "bits", "ordinal", "value", "softmax", "weights-5-1", "weights-1-5", "digit-only",
          "sum-only", "scalar", "scalar-bits", "to-8")  # fmt: skip
"""Variants of the study that answer which loss, on the page about the task."""
FUSIONS = ("exact", "reference", "deep", "logits", "argmax", "outer", "film", "plane", "linear-logits", "original")
"""Those that answer how the inputs are combined."""


NOT_MEASURED = "\n*Not measured yet with the present configuration.*\n"


def of(rows: Rows, plan: str) -> Rows:
    """The rows of one plan, by seed."""
    return sorted((row for row in rows if row.get("plan") == plan), key=lambda row: row["seed"])


def latest(rows: Rows, plan: str) -> Rows:
    """The rows of one plan on the processor that measured it last."""
    return newest(of(rows, plan))


def values(rows: Rows, plan: str, output: str) -> list[float]:
    """The accuracies of one output, in percent."""
    return [100 * row["evaluation"][output]["value"] for row in latest(rows, plan)]


def seconds(number: float) -> str:
    """Seconds below a minute, minutes above."""
    return f"{number:.1f} s" if number < 60 else f"{number / 60:.1f} min"


def training_time(rows: Rows, plan: str) -> str:
    """The median time of training with two threads and the machine to itself; a dash if it was measured otherwise."""
    measured = latest(rows, plan)
    alone = all(row["config"]["threads"] == 2 for row in measured)
    return seconds(median(measured, "seconds")) if measured and alone else "–"


def processor_time(rows: Rows, plan: str) -> str:
    """The median processor time of training."""
    times = [row["cpu_seconds"] for row in latest(rows, plan) if row.get("cpu_seconds") is not None]
    return seconds(statistics.median(times)) if times else "–"


NO_TIME = "–: not measured. Of a training on one thread beside another the time that passed tells nothing.\n"


def headline(rows: Rows) -> str:
    """The table of the README: every plan measured on the test grid."""
    body = []
    for plan, title in PLAN_TITLES.items():
        if measured := latest(rows, plan):
            evaluation = measured[0]["evaluation"]
            body.append([
                title, "computed" if evaluation["sum_computed"] else "learned", f"{evaluation['parameters']:,}",
                *(spread(values(rows, plan, output)) for output in ("digit", "sum", "joint")),
                str(len(measured)), training_time(rows, plan), processor_time(rows, plan),
            ])  # fmt: skip
    head = ["network", "the sum is", "parameters", "digit %", "sum %", "joint %", "seeds", "training, two threads",
            "processor time"]  # fmt: skip
    note = f"\n{NO_TIME}" if any("–" in cells[-2:] for cells in body) else ""
    return table(head, body) + note


def intervals(rows: Rows) -> str:
    """Seed by seed, with the interval over images, the losses and the calibration."""
    body = []
    for plan, title in PLAN_TITLES.items():
        for row in of(rows, plan):
            e = row["evaluation"]
            joint = e["joint"]
            outside = "–" if e["errors_outside_disputed"] is None else str(e["errors_outside_disputed"])
            body.append([
                title, str(row["seed"]), *(percent(e[output]["value"]) for output in ("digit", "sum", "joint")),
                f"{percent(joint['low'])} – {percent(joint['high'])}", str(e["errors"]), outside,
                f"{e['digit_nll']:.4f} / {e['sum_nll']:.4f}", f"{percent(e['digit_ece'])} / {percent(e['sum_ece'])}",
                row["commit"][:9],
            ])  # fmt: skip
    head = ["network", "seed", "digit %", "sum %", "joint %", "95 % interval of joint", "images with an error",
            "outside disputed labels", "NLL digit / sum", "ECE-15 digit / sum, %", "commit"]  # fmt: skip
    return table(head, body)


def as_written(rows: Rows) -> str:
    """The original as written and made to work, the sum counted both ways."""
    body = []
    for plan in ("original-as-written", "original"):
        for row in of(rows, plan):
            e = row["evaluation"]
            shares = (e["digit"]["value"], e["sum_by_bits"]["value"], e["sum"]["value"], e["sum_by_number"][9])
            body.append([f"`{plan}`", str(row["seed"]), *map(percent, shares)])
    head = ["preset", "seed", "digit %", "sum %, each bit thresholded", "sum %, best of 0..18", "… with number 9"]
    return table(head, body) if body else NOT_MEASURED


def study(names: tuple[str, ...]) -> Callable[[Rows], str]:
    """A table of some variants of the study."""

    def compared(rows: Rows) -> str:
        results = Results(studied(rows), VARIANTS)
        body = [[results.titles[name], *(with_interval(results.mean(name, o)) for o in ("digit", "sum", "joint")),
                 points(results.effect(name, "reference", "sum")) if name != "reference" else "",
                 str(results.count(name))] for name in names if name in results]  # fmt: skip
        return table(["design", "digit %", "sum %", "joint %", "sum, points against the reference", "seeds"], body)

    return compared


def studied(rows: Rows) -> Rows:
    """The rows of the study."""
    return [row for row in rows if "variant" in row]


def race(rows: Rows) -> str:
    """`fast` against the reference recipe, measured in turn, seed by seed, on each machine that measured both."""
    body = []
    for processor, ratios in races(rows).items():
        here = [row for row in rows if "plan" in row and row["machine"]["processor"] == processor]
        for plan, title in (("fast-exact", "`fast`"), ("reference", "the reference recipe")):
            runs = [row for row in of(here, plan) if row["seed"] in ratios]
            times = [row["seconds"] for row in runs]
            body.append([title, processor, f"{runs[0]['evaluation']['parameters']:,}",
                         spread([100 * row["evaluation"]["digit"]["value"] for row in runs]),
                         f"{statistics.median(times):.2f} s", f"{min(times):.2f} – {max(times):.2f} s",
                         "" if plan == "fast-exact" else f"{statistics.median(ratios.values()):.2f}",
                         str(len(runs))])  # fmt: skip
    head = ["recipe, one epoch", "processor", "parameters", "digit %", "median training", "range", "times `fast`",
            "seeds"]  # fmt: skip
    return table(head, body)


def races(rows: Rows) -> dict[str, dict[int, float]]:
    """By processor and seed, how many times as long as `fast` the reference recipe took."""
    ratios: dict[str, dict[int, float]] = {}
    fast = {(row["machine"]["processor"], row["seed"]): row["seconds"] for row in of(rows, "fast-exact")}
    for row in of(rows, "reference"):
        key = row["machine"]["processor"], row["seed"]
        if key in fast:
            ratios.setdefault(key[0], {})[key[1]] = row["seconds"] / fast[key]
    return dict(sorted(ratios.items()))


def ratio(rows: Rows) -> str:
    """How much longer the reference recipe takes: the median of the ratios, seed by seed, by processor."""
    medians = [f"{statistics.median(ratios.values()):.1f}" for ratios in races(rows).values()]
    return " and ".join(dict.fromkeys(medians)) or "–"


def machine(rows: Rows) -> str:
    """Where the rows were measured."""
    processors, torch = machines([row for row in rows if "plan" in row])
    return f"{processors}; torch {torch}"


def mean_of(plan: str, output: str) -> Callable[[Rows], str]:
    """A figure: the mean and spread of one output of one plan."""
    return lambda rows: f"{spread(values(rows, plan, output))} %"


def gap_of(plan: str) -> Callable[[Rows], str]:
    """A figure: points between the digit and the sum of a learned network."""

    def gap(rows: Rows) -> str:
        digits, sums = (values(rows, plan, output) for output in ("digit", "sum"))
        return f"{statistics.mean(digits) - statistics.mean(sums):.2f}" if digits else "–"

    return gap


def packaged_per_mille(rows: Rows) -> str:
    """Of 1,000 test digits, how many the network of the package reads and adds right: the run with its settings."""
    seed = json.loads((PRETRAINED / CONFIG).read_text(encoding="utf-8"))["seed"]
    shares = [
        row["evaluation"]["joint"]["value"] for row in rows if row.get("plan") == "packaged" and row["seed"] == seed
    ]
    return f"{1000 * shares[-1]:.0f}" if shares else "–"


def packaged_tried(rows: Rows) -> str:
    """The digit accuracy of each training that was measured on the test set and not installed."""
    return ", ".join(percent(row["evaluation"]["digit"]["value"]) for row in rows if row.get("plan") == TRIED) + " %"


def command(words: str) -> Callable[[Rows], str]:
    """A figure: how long a command of the README takes in a fresh clone, and how many tests pass in it."""

    def taken(rows: Rows) -> str:
        row = agreeing(part(rows, "commands"), command=words)[-1]
        tests = f", {row['passed']:,} tests" if row["passed"] else ""
        return f"{duration(row['seconds'])} on {row['machine']['cores']} cores{tests}"

    return taken


def survival(rows: Rows) -> str:
    """What came of killing trainings."""
    rows = part(rows, "kill-training")
    body = []
    for name in dict.fromkeys(row["preset"] for row in rows):
        trainings = agreeing(rows, preset=name)
        kills = [kill for row in trainings for kill in row["kills"]]
        body.append([
            f"`{name}`", str(len(kills)), str(sum(kill["write"] is not None for kill in kills)),
            str(sum(row["hits"] for row in trainings)),
            f"{sum(row['identical'] for row in trainings)} of {len(trainings)}",
        ])  # fmt: skip
    head = ["training", "kills planned", "of them inside a write", "that hit",
            "trainings that ended with the same bits"]  # fmt: skip
    return table(head, body)


def score_survival(rows: Rows) -> str:
    """What came of killing long scorings, each in a line of its own, and what memory it took."""
    body = [
        [f"{row['rows']:,}", f"{row['rows_per_second']:,.0f}", *(cell([row]) for cell in MEMORY.values()),
         str(row["kills"]), "yes" if row["identical"] else "**no**"]
        for row in part(rows, "kill-scoring")
    ]  # fmt: skip
    head = ["rows", "rows a second", *MEMORY, "kill −9 and restarts", "table equal to that of an undisturbed run"]
    return table(head, body)


def queries(rows: Rows) -> str:
    """Queries with their answers, as a terminal shows them."""
    answers = "\n\n".join(row["answer"] for row in rows if row.get("part") == "queries")
    return f"\n```\n{answers}\n```\n"


FIGURES: dict[str, Callable[[Rows], str]] = {
    "headline": headline,
    "intervals": intervals,
    "as-written": as_written,
    "study-losses": study(LOSSES),
    "study-fusions": study(FUSIONS),
    "race": race,
    "ratio": ratio,
    "machine": machine,
    "packaged-per-mille": packaged_per_mille,
    "packaged-tried": packaged_tried,
    "learned-gap": gap_of("fast-concat"),
    "default-concat-gap": gap_of("default-concat"),
    "default-concat-sum": mean_of("default-concat", "sum"),
    "fast-seconds": lambda rows: training_time(rows, "fast-exact"),
    "make": command("make"),
    "make-test": command("make test"),
    "fast-concat-sum": mean_of("fast-concat", "sum"),
    "fast-concat-time": lambda rows: training_time(rows, "fast-concat"),
    **bench_tables.TABLES,
    **picture_tables.TABLES,
    **number_tables.TABLES,
    **addition_tables.TABLES,
    **checksum_tables.TABLES,
    **arithmetic_tables.TABLES,
    "queries": queries,
    **sheet_tables.TABLES,
    **sheet_example.TABLES,
    **serving_tables.TABLES,
    **page_tables.TABLES,
    **fault_tables.TABLES,
    "survival": survival,
    "score-survival": score_survival,
    "original-epochs": lambda _: str(PRESETS["original"].epochs),
}


def filled(page: str, rows: Rows) -> str:
    """`page` with every marked figure written anew from `rows`. Raises `KeyError` for a mark that names no figure."""
    return MARK.sub(lambda mark: mark[1] + FIGURES[mark[2]](rows) + mark[4], page)


def pictures(rows: Rows) -> dict[Path, str]:
    """The networks that the pages show, drawn from the presets as they are, and the plots of `rows`."""
    shown = {
        "default": preset("default"),
        "default-concat": preset("default", fusion="concat"),
        "original": preset("original"),
    }
    plots = bench_tables.PLOTS | picture_tables.PLOTS
    drawn = {name: draw(config) for name, config in shown.items()} | {name: plot(rows) for name, plot in plots.items()}
    return {ROOT / f"docs/images/{name}.svg": text for name, text in drawn.items()}


def all_rows() -> Rows:
    """Every row that a page can quote."""
    others = [row for path in (BENCH, SURVIVAL, *OTHERS, STUDY) for row in read_jsonl(path)]
    runs = read_jsonl(ROWS)
    shipped = packaged(runs)
    same = [row["date"] for row in shipped]  # the preset's own runs, while it is as it was
    tried = [row for row in runs if row["plan"] == TRIED]
    return [row for row in current(runs) if row["date"] not in same] + shipped + tried + others


def packaged(runs: Rows) -> Rows:
    """The runs with the settings of the packaged network, whatever its preset may have become since."""
    shipped = settings((PRETRAINED / CONFIG).read_text(encoding="utf-8"))
    alike = [row for row in runs if row["plan"] == "best-exact" and settings(json.dumps(row["config"])) == shipped]
    return [{**row, "plan": "packaged"} for row in alike]


def settings(text: str) -> Config:
    """A configuration from its JSON, whatever seed and threads; what an older one lacks is as it is by default."""
    return replace(Config.from_json(text, "a row"), seed=0, threads=0)


def study_report(rows: Rows) -> dict[Path, str]:
    """The report of the study: its two pages, its pictures, and the one HTML file."""
    return {ROOT / "docs" / name: text for name, text in report(studied(rows), VARIANTS).files.items()}


def stale(wanted: dict[Path, str]) -> list[Path]:
    """The files that are not there, or say something else than they should."""
    return [path for path, text in wanted.items()
            if not path.exists() or not say_the_same(path.read_text(encoding="utf-8"), text)]  # fmt: skip


def main() -> int:
    """Write the pages and pictures, or check them."""
    check = "--check" in sys.argv[1:]
    rows = all_rows()
    pages = {page: filled(page.read_text(encoding="utf-8"), rows) for page in PAGES}
    wanted = pages | pictures(rows) | study_report(rows) | {COMMANDS: command_line.page()}
    outdated = stale(wanted)
    for path in outdated:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'stale: run make docs' if check else 'written'}")
    return 1 if outdated and check else 0


if __name__ == "__main__":
    raise SystemExit(main())
