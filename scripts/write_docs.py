"""Write every figure in the README and docs/ from the committed rows of docs/results/runs.jsonl.

    python scripts/write_docs.py            rewrite the pages
    python scripts/write_docs.py --check    exit with 1 if a page does not say what the rows say

A page marks where a figure goes: `<!-- figure:NAME -->…<!-- /figure -->`, in a line or around a table. NAME is a
function below; what stands between the marks is replaced. Nothing between marks is ever typed by hand.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench_tables
import picture_tables
import serving_tables
from bench_tables import table
from measure import current, read_rows
from sumnist.config import PRESETS, preset
from sumnist.files import CONFIG, PRETRAINED
from sumnist.model.diagram import draw
from sumnist.study.conduct import read_rows as read_study
from sumnist.study.report import percent, points, report
from sumnist.study.results import Results
from sumnist.study.variants import VARIANTS

ROOT = Path(__file__).resolve().parent.parent
ROWS = ROOT / "docs/results/runs.jsonl"
BENCH = ROOT / "docs/results/bench.jsonl"
SURVIVAL = ROOT / "docs/results/survival.jsonl"
STUDY = ROOT / "docs/results/study.jsonl"
OTHERS = [ROOT / f"docs/results/{name}.jsonl" for name in ("robustness", "calibration", "serving")]
PAGES = [ROOT / name for name in ("README.md", "docs/the-task.md", "docs/benchmarks.md", "docs/training.md",
                                  "docs/scoring.md", "docs/your-own-pictures.md", "docs/serving.md",
                                  "docs/appendix-runs.md", "docs/appendix-benchmarks.md")]  # fmt: skip
MARK = re.compile(r"(<!-- figure:([\w-]+) -->)(.*?)(<!-- /figure -->)", re.DOTALL)

Rows = list[dict[str, Any]]

PLAN_TITLES = {
    "fast-exact": "`fast`, exact fusion",
    "fast-concat": "`fast`, concat fusion, 4 epochs",
    "default-exact": "`default`, exact fusion",
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


def newest(rows: Rows, plan: str) -> Rows:
    """The rows of one plan on the processor that measured it last: times of different ones are not to be mixed."""
    found = of(rows, plan)
    last = max((row["date"], row["machine"]["processor"]) for row in found)[1] if found else None
    return [row for row in found if row["machine"]["processor"] == last]


def values(rows: Rows, plan: str, output: str) -> list[float]:
    """The accuracies of one output, in percent."""
    return [100 * row["evaluation"][output]["value"] for row in newest(rows, plan)]


def spread(numbers: list[float], digits: int = 2) -> str:
    """Mean ± standard deviation."""
    if not numbers:
        return "–"
    mean = f"{statistics.mean(numbers):.{digits}f}"
    return f"{mean} ± {statistics.stdev(numbers):.{digits}f}" if len(numbers) > 1 else mean


def seconds(number: float) -> str:
    """Seconds below a minute, minutes above."""
    return f"{number:.1f} s" if number < 60 else f"{number / 60:.1f} min"


def median_seconds(rows: Rows, plan: str) -> float:
    """The median training time of a plan."""
    return float(statistics.median(row["seconds"] for row in newest(rows, plan)))


def headline(rows: Rows) -> str:
    """The table of the README: every plan measured on the test grid."""
    body = []
    for plan, title in PLAN_TITLES.items():
        found = newest(rows, plan)
        if not found:
            continue
        computed = found[0]["evaluation"]["sum_computed"]
        body.append([
            title, "computed" if computed else "learned", f"{found[0]['evaluation']['parameters']:,}",
            *(spread(values(rows, plan, output)) for output in ("digit", "sum", "joint")),
            str(len(found)), training_time(rows, plan),
        ])  # fmt: skip
    return table(["network", "the sum is", "parameters", "digit %", "sum %", "joint %", "seeds", "training"], body)


def training_time(rows: Rows, plan: str) -> str:
    """The median time of training, on the wall if the run had two threads, else in processor time."""
    found = newest(rows, plan)
    if all(row["config"]["threads"] == 2 for row in found):
        return seconds(median_seconds(rows, plan))
    return seconds(statistics.median(row["cpu_seconds"] for row in found)) + " of processor time"


def intervals(rows: Rows) -> str:
    """Seed by seed, with the interval over images, the losses and the calibration."""
    body = []
    for plan, title in PLAN_TITLES.items():
        for row in of(rows, plan):
            e = row["evaluation"]
            joint = e["joint"]
            outside = "–" if e["errors_outside_disputed"] is None else str(e["errors_outside_disputed"])
            body.append([
                title, str(row["seed"]), *(f"{100 * e[o]['value']:.2f}" for o in ("digit", "sum", "joint")),
                f"{100 * joint['low']:.2f} – {100 * joint['high']:.2f}", str(e["errors"]), outside,
                f"{e['digit_nll']:.4f} / {e['sum_nll']:.4f}", f"{100 * e['digit_ece']:.2f} / {100 * e['sum_ece']:.2f}",
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
            by_bits = 100 * e["sum_by_bits"]["value"]
            body.append([f"`{plan}`", str(row["seed"]), f"{100 * e['digit']['value']:.2f}", f"{by_bits:.2f}",
                         f"{100 * e['sum']['value']:.2f}", f"{100 * e['sum_by_number'][9]:.2f}"])  # fmt: skip
    if not body:
        return NOT_MEASURED
    head = ["preset", "seed", "digit %", "sum %, each bit thresholded", "sum %, best of 0..18", "… with number 9"]
    return table(head, body)


def study(names: tuple[str, ...]) -> Callable[[Rows], str]:
    """A table of some variants of the study."""

    def compared(rows: Rows) -> str:
        results = studied(rows)
        titles = {v.name: v.title for v in VARIANTS}
        body = [[titles[name], *(percent(results.mean(name, f"test.{o}")) for o in ("digit", "sum", "joint")),
                 points(results.effect(name, "reference", "test.sum")) if name != "reference" else "",
                 str(len(results.rows[name]))] for name in names if name in results]  # fmt: skip
        return table(["design", "digit %", "sum %", "joint %", "sum, points against the reference", "seeds"], body)

    return compared


def studied(rows: Rows) -> Results:
    """The rows of the study."""
    return Results([row for row in rows if "variant" in row], VARIANTS)


def race(rows: Rows) -> str:
    """`fast` against the reference recipe, measured in turn, seed by seed, on each machine that measured both."""
    body = []
    for processor, ratios in races(rows).items():
        here = [row for row in rows if "plan" in row and row["machine"]["processor"] == processor]
        for plan, title in (("fast-exact", "`fast`"), ("reference", "the reference recipe")):
            found = [row for row in of(here, plan) if row["seed"] in ratios]
            times = [row["seconds"] for row in found]
            body.append([title, processor, f"{found[0]['evaluation']['parameters']:,}",
                         spread([100 * row["evaluation"]["digit"]["value"] for row in found]),
                         f"{statistics.median(times):.2f} s", f"{min(times):.2f} – {max(times):.2f} s",
                         "" if plan == "fast-exact" else f"{statistics.median(ratios.values()):.2f}",
                         str(len(found))])  # fmt: skip
    head = [
        "recipe, one epoch",
        "processor",
        "parameters",
        "digit %",
        "median training",
        "range",
        "times `fast`",
        "seeds",
    ]
    return table(head, body)


def races(rows: Rows) -> dict[str, dict[int, float]]:
    """By processor and seed, how many times as long as `fast` the reference recipe took."""
    found: dict[str, dict[int, float]] = {}
    fast = {(row["machine"]["processor"], row["seed"]): row["seconds"] for row in of(rows, "fast-exact")}
    for row in of(rows, "reference"):
        key = row["machine"]["processor"], row["seed"]
        if key in fast:
            found.setdefault(key[0], {})[key[1]] = row["seconds"] / fast[key]
    return dict(sorted(found.items()))


def ratio(rows: Rows) -> str:
    """How much longer the reference recipe takes: the median of the ratios, seed by seed, by processor."""
    medians = [f"{statistics.median(ratios.values()):.1f}" for ratios in races(rows).values()]
    return " and ".join(dict.fromkeys(medians)) or "–"


def machine(rows: Rows) -> str:
    """Where the rows were measured."""
    rows = [row for row in rows if "plan" in row]
    found = sorted({f"{row['machine']['processor']}, {row['machine']['cores']} cores" for row in rows})
    torch = sorted({row["machine"]["versions"]["torch"] for row in rows})
    return f"{'; '.join(found)}; torch {', '.join(torch)}"


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
    """Of 1,000 test digits, how many the network of the package reads and adds right: its own seed of `best`."""
    seed = json.loads((PRETRAINED / CONFIG).read_text(encoding="utf-8"))["seed"]
    shares = [row["evaluation"]["joint"]["value"] for row in of(rows, "best-exact") if row["seed"] == seed]
    return f"{1000 * shares[-1]:.0f}" if shares else "–"


def survival(rows: Rows) -> str:
    """What came of killing trainings."""
    found = [row for row in rows if row.get("part") == "kill-training"]
    body = []
    for preset_name in dict.fromkeys(row["preset"] for row in found):
        of_it = [row for row in found if row["preset"] == preset_name]
        kills = [kill for row in of_it for kill in row["kills"]]
        body.append(
            [
                f"`{preset_name}`",
                str(len(kills)),
                str(sum(kill["write"] is not None for kill in kills)),
                str(sum(row["hits"] for row in of_it)),
                f"{sum(row['identical'] for row in of_it)} of {len(of_it)}",
            ]
        )
    head = [
        "training",
        "kills planned",
        "of them inside a write",
        "that hit",
        "trainings that ended with the same bits",
    ]
    return table(head, body)


def score_survival(rows: Rows) -> str:
    """What came of killing a long scoring, and what memory it took."""
    found = [row for row in rows if row.get("part") == "kill-scoring"]
    body = [
        [f"{row['rows']:,}", f"{row['rows_per_second']:,.0f}", f"{row['middle_third_bytes'] / 1e6:.0f} MB",
         f"{row['last_third_bytes'] / 1e6:.0f} MB", str(row["kills"]), "yes" if row["identical"] else "**no**"]
        for row in found
    ]  # fmt: skip
    head = ["rows", "rows a second", "most memory in the middle third", "… in the last third", "kill −9 and restarts",
            "table equal to that of an undisturbed run"]  # fmt: skip
    return table(head, body)


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
    "learned-gap": gap_of("fast-concat"),
    "default-concat-gap": gap_of("default-concat"),
    "default-concat-sum": mean_of("default-concat", "sum"),
    "fast-seconds": lambda rows: seconds(median_seconds(rows, "fast-exact")),
    "fast-concat-sum": mean_of("fast-concat", "sum"),
    "fast-concat-time": lambda rows: training_time(rows, "fast-concat"),
    **bench_tables.TABLES,
    **picture_tables.TABLES,
    **serving_tables.TABLES,
    "survival": survival,
    "score-survival": score_survival,
    "original-epochs": lambda _: str(PRESETS["original"].epochs),
}


def filled(page: str, rows: Rows) -> str:
    """`page` with every marked figure written anew from `rows`. Raises `KeyError` for a mark that names no figure."""
    return MARK.sub(lambda found: found[1] + FIGURES[found[2]](rows) + found[4], page)


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
    others = [row for path in OTHERS for row in read_rows(path)]
    return current(read_rows(ROWS)) + read_rows(BENCH) + read_rows(SURVIVAL) + others + read_study(STUDY)


def study_report(rows: Rows) -> dict[Path, str]:
    """The report of the study: its page, its pictures, and the one HTML file."""
    written = report([row for row in rows if "variant" in row], VARIANTS)
    pages = {ROOT / "docs/design-choices.md": written.markdown, ROOT / "docs/study.html": written.html}
    return pages | {ROOT / f"docs/images/study-{name}.svg": picture for name, picture in written.pictures.items()}


def main() -> int:
    """Write the pages and pictures, or check them."""
    check = "--check" in sys.argv[1:]
    rows = all_rows()
    pages = {page: filled(page.read_text(encoding="utf-8"), rows) for page in PAGES}
    wanted = pages | pictures(rows) | study_report(rows)
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'stale: run make docs' if check else 'written'}")
    return 1 if stale and check else 0


if __name__ == "__main__":
    raise SystemExit(main())
