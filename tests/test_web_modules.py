"""The page's modules, run in Node, against the package: sums, the check of a sheet, words, and numbers read without a
server."""

from __future__ import annotations

import json
import math
import shutil
from base64 import b64decode
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from drawings import line_of as drawn_line
from example_page import page
from page_checks import need
from page_in_node import Grey, drawing_of, farthest, in_node, modules, packed, read_in_node
from static_page import PAGE, RUNTIME, WEB
from sumnist.arithmetic import Sum, Values
from sumnist.arithmetic.relations import KINDS, LISTED, WEIGHTS, Posterior, Relations
from sumnist.arithmetic.values import plain
from sumnist.data.mnist import load_mnist
from sumnist.errors import NumberError
from sumnist.formulas import MISTAKE, Relation
from sumnist.inference.alphabet import WRITING
from sumnist.inference.ctc import Candidate, Evidence, candidates_by, without_separators
from sumnist.inference.numbers import (
    as_written,
    decimals_of,
    kind_of,
)
from sumnist.inference.page import page_as_dict
from sumnist.inference.reader import Reader
from sumnist.pictures.decode import intensities_of, pixels_of
from sumnist.pictures.proposals import as_they_are, forms, line_of, wholes
from sumnist.sheets import check
from sumnist.sheets.check import Verdict, verdict
from sumnist.sheets.layout import Layout

SAMPLE = PAGE / "sample-sheet.json"
GOLDEN = Path(__file__).parent / "golden"
LAYOUT = Layout.of_line("9,7,13,12", "Mathematics")
"""Of the sample."""
RULE = {
    "fields": list(LAYOUT.names), "signs": [sign for sign, _ in LAYOUT.formulas[0].terms],
    "largest": [field.largest for field in LAYOUT.fields], "mistake": MISTAKE,
    "slips": {KINDS[kind]: weight for kind, weight in WEIGHTS.items()},
    "sure": check.SURE, "wrong": check.WRONG, "settled": check.SETTLED, "rare": check.RARE,
    "left": check.LEFT, "shown": check.SHOWN, "listed": LISTED,
}  # fmt: skip
"""What the check on the page goes by: the formula, and the constants of the package."""


def answers(module: str, function: str, questions: list[Any]) -> list[Any]:
    """What the functions of one of the page's modules say to each question, the argument of the arrow `function`."""
    shutil.copy(PAGE / module, modules())
    found: list[Any] = in_node(f'return given.map(({function})(await import("./{module}")));', questions)
    return found


ADD = """(module) => ({ one, two, total }) => {
  const distribution = ({ shares, other }) => module.distribution({
    candidates: Object.entries(shares).map(([text, probability]) => ({ text, probability })), other,
  });
  const plain = ({ shares, other }) => ({ shares: Object.fromEntries(shares), other });
  const [first, second, third] = [distribution(one), distribution(two), distribution(total)];
  const { least, most, numbers } = module.settled(first, second, third);
  return { sum: plain(module.sum(first, second)), bounds: [least, most], numbers: numbers && numbers.map(plain) };
}"""
"""What a sum of two is, and what a total says of all three."""


def drawn_values(random: np.random.Generator, most: int) -> Values:
    """A distribution over some numbers from 0 to `most`, mostly one, with probabilities of all sizes."""
    count = int(random.integers(1, 13))
    values = random.choice(most + 1, count, replace=False).tolist()
    weights, other = np.exp(random.normal(0, 4, count)), float(random.choice([0, 1e-6, 0.05]))
    return Values(dict(zip(values, (weights * (1 - other) / weights.sum()).tolist(), strict=True)), other)


def plain_of(values: Values) -> dict[str, Any]:
    return {"shares": {str(value): share for value, share in values.probabilities.items()}, "other": values.other}


def assert_same_values(found: dict[str, Any], expected: Values) -> None:
    shares = {int(value): share for value, share in found["shares"].items()}
    likely = {int(value): share for value, share in expected.probabilities.items() if share}
    assert shares == pytest.approx(likely, abs=1e-9) if likely else not any(shares.values())
    assert found["other"] == pytest.approx(expected.other, abs=1e-9)


def known(answer: dict[str, Any]) -> dict[str, Any]:
    """A distribution, with those numbers only that are possible."""
    return {**answer, "shares": {value: share for value, share in answer["shares"].items() if share}}


def test_sums_and_what_totals_say_are_those_of_the_package() -> None:
    random = np.random.default_rng(25)
    triples = []
    for _ in range(200):
        one, two = drawn_values(random, 30), drawn_values(random, 30)
        total = Values({int(random.integers(60)): 1.0}, 0.0) if random.random() < 0.5 else drawn_values(random, 60)
        triples.append((one, two, total))
    found = answers("additions.js", ADD, [
        {"one": plain_of(one), "two": plain_of(two), "total": plain_of(total)} for one, two, total in triples
    ])  # fmt: skip
    fitting = 0
    for answer, (one, two, total) in zip(found, triples, strict=True):
        assert_same_values(answer["sum"], one + two)
        whole = Sum.of(one, two)
        assert answer["bounds"] == pytest.approx(np.exp(whole.log_bounds(total)).tolist(), rel=1e-9, abs=1e-15)
        if answer["numbers"] is None:
            with pytest.raises(NumberError, match="impossible"):
                whole.posterior(total)
            continue
        fitting += 1
        for posterior, expected in zip(answer["numbers"], whole.posterior(total), strict=True):
            assert_same_values(known(posterior), expected)
    assert 100 < fitting < 200


ANSWER = """(module) => ({ rule, logs }) => {
  const known = module.posterior(rule, logs);
  const said = module.verdict(rule, known);
  const marginals = known.marginals.map((one) => [...one]);
  return { ...said, marginals, kinds: [...known.kinds], log: known.logEvidence };
}"""


def rule(largest: Mapping[str, int], signs: Sequence[int], mistake: float) -> dict[str, Any]:
    made = {"fields": [*largest], "signs": [*signs], "largest": [*largest.values()], "mistake": mistake}
    return {**RULE, **made}


def posterior_of(asked: Mapping[str, Any]) -> Posterior:
    """What the package says of the same."""
    made = asked["rule"]
    *terms, total = made["fields"]
    formula = Relation(total, tuple(zip(made["signs"], terms, strict=True)))
    check = Relations(dict(zip(made["fields"], made["largest"], strict=True)), [formula], mistake=made["mistake"])
    return check.posterior({name: np.array(logs) for name, logs in zip(made["fields"], asked["logs"], strict=True)})


def assert_same(found: dict[str, Any], posterior: Posterior) -> Verdict:
    names, expected = [*posterior.model.rooms], verdict(posterior)
    for name, shares in zip(names, found["marginals"], strict=True):
        np.testing.assert_allclose(shares, posterior.numbers[name][1], atol=1e-9)
    (kinds,) = posterior.kinds.values()
    assert found["kinds"] == pytest.approx([kinds[kind] for kind in KINDS[:-1]], abs=1e-9)
    assert found["log"] == pytest.approx(posterior.log_evidence, abs=1e-9)
    assert found["outcome"] == expected.state
    assert found["probability"] == pytest.approx(expected.probability, abs=1e-9)
    assert dict(zip(names, found["values"], strict=True)) == expected.values
    assert [names[one["field"]] for one in found["corrections"]] == [one.field for one in expected.corrections]
    for correction, other in zip(found["corrections"], expected.corrections, strict=True):
        assert (correction["read"], correction["value"]) == (other.read, other.value)
        assert correction["probability"] == pytest.approx(other.probability, abs=1e-9)
    for wrong in expected.wrong:
        assert [found["wrong"][key] for key in ("written", "sum", "kind")] == [wrong.written, wrong.sum, wrong.kind]
        assert found["wrong"]["probability"] == pytest.approx(wrong.probability, abs=1e-9)
    assert (found["wrong"] is None) == (not expected.wrong)
    looked = [names[cell["field"]] for cell in found["look"]]
    assert len(looked) == len(expected.look)  # others may settle it as well, by another order of rounding
    for cell in found["look"]:
        shares = posterior.numbers[names[cell["field"]]][1]
        told = [one["share"] for one in cell["candidates"]]
        assert told == pytest.approx(np.sort(shares)[::-1][: len(told)].tolist(), abs=1e-9)
    return expected


def likelihoods(random: np.random.Generator, most: int, value: int) -> NDArray[np.float64]:
    """What is read of a number: it, mostly, with others at all sizes; in doubt sometimes, or another."""
    logs = random.normal(-12, 3, most + 1)
    logs[value] = 0
    if random.random() < 0.3:
        logs[random.integers(most + 1)] = random.normal(0, 1.5)
    return logs


def sheets(count: int) -> list[dict[str, Any]]:
    """Sheets with one formula of all kinds."""
    random, made = np.random.default_rng(7), []
    for _ in range(count):
        terms = int(random.integers(1, 4))
        signs = [1, *random.choice([1, 1, 1, -1], terms - 1).tolist()]
        largest = random.integers(3, 16, terms).tolist()
        room = sum(most for sign, most in zip(signs, largest, strict=True) if sign > 0)
        largest.append(max(1, room + int(random.choice([0, 0, 0, 5, -3]))))
        values = [int(random.integers(most + 1)) for most in largest[:-1]]
        total = sum(sign * value for sign, value in zip(signs, values, strict=True))
        if random.random() < 0.4:
            total += int(random.choice([1, -1, 10, -values[0], 3]))
        values.append(int(np.clip(total, 0, largest[-1])))
        logs = [likelihoods(random, most, value).tolist() for most, value in zip(largest, values, strict=True)]
        names = [*(f"q{place}" for place in range(terms)), "total"]
        mistake = float(random.choice([0.02, 0.02, 0.3, 1e-4]))
        made.append({"rule": rule(dict(zip(names, largest, strict=True)), signs, mistake), "logs": logs})
    return made


def test_posterior_and_verdict_are_those_of_the_package() -> None:
    asked = sheets(200)
    found = answers("check.js", ANSWER, asked)
    outcomes = [assert_same(answer, posterior_of(one)).state for answer, one in zip(found, asked, strict=True)]
    assert {outcome: outcomes.count(outcome) > 10 for outcome in set(outcomes)} == {
        "adds up": True, "corrected": True, "does not add up": True, "doubtful": True,
    }  # fmt: skip


def test_the_sample_has_the_constants_of_the_package_and_is_small() -> None:
    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
    assert sample["rule"] == json.loads(json.dumps(RULE))
    assert SAMPLE.stat().st_size < 20_000


COUNT = 16
CLOSE, ROUNDED, DOUBTFUL = 1e-6, 0.02, 0.2
"""What probabilities differ by is less: of the same emissions, of the same picture, and if its reading is in doubt."""
ON_A_PLANE = 1e-5
"""What intensities differ by is less, if the ground is a plane, which LAPACK fits in 32 bits."""
EVEN = 0.6
"""The probability from which on a number is surely more probable than another one."""
READER = Reader()


def in_python(emissions: NDArray[Any], decimal: str | None) -> dict[str, Any]:
    """What Python says of a strip by its emissions `[T, 32]`."""
    evidence = Evidence(emissions, decimal=decimal)
    found = candidates_by(evidence, COUNT, dict(islice(evidence.strings(COUNT).items(), COUNT)))
    return {
        "is_number": min(1.0, math.exp(evidence.is_number)),
        "other": found.other,
        "texts": [one.text for one in found.candidates],
        "values": [plain(one.value) for one in found.candidates],
        "positions": [list(ends) for ends in found.positions],
        "probabilities": [one.probability for one in found.candidates],
        "written": evidence.texts(COUNT),
    }


def on_the_page(emissions: list[NDArray[Any]], decimal: str | None) -> list[dict[str, Any]]:
    """What the page says of the same."""
    read: list[dict[str, Any]] = in_node(
        """
        const { Evidence, candidatesBy } = await import("./numbers/ctc.js");
        return given.strips.map((strip) => {
          const evidence = new Evidence(floats(strip), given.decimal);
          const { candidates, other } = candidatesBy(evidence, given.count, evidence.strings(given.count));
          const all = (key) => candidates.map((one) => one[key]);
          return { is_number: Math.exp(evidence.isNumber), other, texts: all("text"), values: all("value"),
            positions: candidates[0]?.positions ?? [], probabilities: all("probability"),
            written: Object.fromEntries(evidence.texts(given.count)) };
        });
        """,
        {"strips": [packed(one.astype(np.float32)) for one in emissions], "decimal": decimal, "count": COUNT},
    )
    return read


def compare(emissions: list[NDArray[Any]], decimal: str | None) -> None:
    found = on_the_page(emissions, decimal)
    for one, said in zip(found, emissions, strict=True):
        expected = in_python(said.astype(np.float32), decimal)
        shares = one.pop("probabilities"), one.pop("other"), one.pop("is_number")
        wanted = expected.pop("probabilities"), expected.pop("other"), expected.pop("is_number")
        for reading in (one, expected):  # JavaScript's numbers are doubles
            reading["values"] = [float(value) if decimal is None else value for value in reading["values"]]
        texts, written = one.pop("written"), expected.pop("written")
        assert texts == pytest.approx(written, abs=CLOSE)
        assert one == expected
        assert shares[0] == pytest.approx(wanted[0], abs=CLOSE)
        assert shares[1:] == pytest.approx(wanted[1:], abs=CLOSE)


@pytest.mark.parametrize("decimal", [None, ".", ","])
def test_of_any_emissions_the_page_and_python_say_the_same(decimal: str | None) -> None:
    random = np.random.default_rng(3)
    shapes = [(steps, 1 + len(WRITING)) for steps in (1, 2, 3, 5, 8, 13, 21, 34)]
    compare([random.normal(0, spread, shape) for shape in shapes for spread in (0.5, 2, 6)], decimal)


def as_on_the_pad(text: str) -> Grey:
    """A number with sharp edges, as large as on the pad."""
    return np.where(np.kron(drawn_line(text), np.ones((4, 4))) < 140, 0, 255).astype(np.uint8)


@cache
def pages() -> list[Grey]:
    """Drawings of numbers, some of none, and one in uneven light."""
    blank, dot, filled = (np.full((280, 560), 255, np.uint8) for _ in range(3))
    dot[130:150, 270:290] = 0
    filled[20:260] = 0
    ruled = np.pad(drawn_line("374"), ((40, 40), (60, 60)), constant_values=255)
    ruled[3:5], ruled[:, 2:4] = 0, 0
    numbers = [as_on_the_pad(text) for text in ("7", "40", "386", "1480", "59217", "204866", "4444949")]
    shaded = (numbers[0] * np.linspace(0.4, 1, numbers[0].shape[1])).astype(np.uint8)
    scribbled = pixels_of(GOLDEN / "digits/scribble.png")
    others = [drawn_line("5"), drawn_line("20417"), ruled, shaded, blank, dot, filled, scribbled]
    return [*numbers, *others]


@cache
def photographs() -> list[Grey]:
    """Scenes with a digit."""
    names = ("all-round", "clothes", "corner", "desk-along-an-edge", "note", "photograph", "photograph-dark")
    return [pixels_of(GOLDEN / f"digits/{name}.png") for name in names]


PROPOSED = """
const { Grid, inUnit } = await import("./pictures/arrays.js");
const { asTheyAre, forms, lineOf, wholes } = await import("./pictures/proposals.js");
return given.pictures.map(({ pixels, height, width }) => {
  const picture = { grey: inUnit(new Grid(height, width, bytes(pixels))), reduction: 1 };
  const line = lineOf(picture, "auto");
  const lines = line ? [line, ...forms(line)] : [];
  return [...asTheyAre(picture.grey, "auto"), ...wholes(picture, "auto"), ...lines].map((one) => {
    const { image, how, weight, box, problem = null } = one;
    return { image: packed(image.values), shape: [image.height, image.width], how, weight, box, problem };
  });
});
"""


def test_the_page_proposes_what_python_does() -> None:
    random, digits = np.random.default_rng(2), list(load_mnist("test").images[:4])
    noise = [random.integers(0, 256, shape, np.uint8) for shape in ((28, 28), (1, 60), (70, 1), (9, 6))]
    scenes = [np.asarray(Image.fromarray(one).resize((270, 200))) for one in photographs()]
    pictures = [*pages(), *scenes, *digits, *(255 - one for one in digits), digits[0] // 2 + 60, *noise]
    found = in_node(PROPOSED, {"pictures": [drawing_of(one) for one in pictures]})
    for answer, picture in zip(found, pictures, strict=True):
        seen = intensities_of(picture)
        line = line_of(seen)
        plain = [*as_they_are(seen.grey, "auto"), *wholes(seen, "auto")]
        wanted = [(one, one.problem) for one in plain] + [(one, None) for one in ([line, *forms(line)] if line else [])]
        for one, (other, problem) in zip(answer, wanted, strict=True):
            assert (one["how"], one["box"], one["problem"]) == (other.how, list(other.box), problem)
            assert one["weight"] == pytest.approx(other.weight)
            image = np.frombuffer(b64decode(one["image"]), other.image.dtype).reshape(one["shape"])
            assert image.shape == other.image.shape
            assert np.abs(image - other.image).max() < ON_A_PLANE


@pytest.fixture(scope="module")
def runtime() -> None:
    """What runs the networks in Node."""
    need(RUNTIME, f"npm ci --prefix {WEB}")


@pytest.mark.usefixtures("runtime")
def test_the_page_and_python_read_drawings_alike() -> None:
    pictures = [*pages(), *found_on()[::4]]
    answers = READER.read_number(pictures, ink="dark", decimal=".", count=5)
    read = read_in_node(pictures, "number", {"count": 5, "ink": "dark", "decimal": "."})
    for one, answer in zip(read, answers, strict=True):
        assert_same_reading(one, answer.as_dict())
    assert {"blank", "several numbers", "unsure", None} <= {one["reason"] for one in read}


def assert_same_reading(one: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Readings are the same, but for what rounding makes of eight bits between the layers of a network: most of one in
    doubt."""
    assert [*wanted][: len(one)] == [*one][: len(wanted)]
    same = "format", "accepted", "reason", "advice", "box"
    assert {key: one[key] for key in same} == {key: wanted[key] for key in same}
    assert farthest(one, wanted) < (ROUNDED if wanted["accepted"] else DOUBTFUL)
    if wanted["confidence"] > EVEN:
        assert {key: one[key] for key in ("text", "digits", "value")} == {
            key: wanted[key] for key in ("text", "digits", "value")
        }
        if one["how"] == wanted["how"]:  # of two looks that are as good, either may say where characters stand
            assert np.array(one["places"]) == pytest.approx(np.array(wanted["places"]), abs=0.01)


@cache
def found_on() -> list[Grey]:
    """Pictures with several numbers: upright, turned, light on dark, and so small and so large that they are seen at
    other sizes; and some with none."""
    upright, random = page(), np.random.default_rng(4)
    turned = [upright.rotate(angle, expand=True, fillcolor=255) for angle in (17, -33, 90, 179)]
    small, large = (upright.resize((round(share * 640), round(share * 420))) for share in (0.13, 3.3))
    far = Image.new("L", (2600, 1800), 235)
    for left, top in ((300, 200), (1800, 1400)):
        far.paste(upright.resize((160, 105)), (left, top))
    shaded = np.asarray(upright) * np.linspace(0.5, 1, 640) + random.normal(0, 2, (420, 640))
    pictures = [*map(np.asarray, (upright, *turned, small, large, far)), 255 - np.asarray(upright)]
    return [*pictures, shaded.clip(0, 255).astype(np.uint8), *pages()[-2:], np.full((300, 300), 255, np.uint8)]


@pytest.mark.usefixtures("runtime")
def test_the_page_finds_the_same_numbers_on_pictures_as_python() -> None:
    pictures, several = found_on(), 0
    for answer, picture in zip(read_in_node(pictures, "find", {"count": 5}), pictures, strict=True):
        wanted = page_as_dict(picture, READER.find(picture, count=5))
        assert [answer[key] for key in ("width", "height")] == [wanted[key] for key in ("width", "height")]
        assert [one["written"] for one in answer["numbers"]] == [one["written"] for one in wanted["numbers"]]
        several += len(wanted["numbers"]) > 1
        for one, other in zip(answer["numbers"], wanted["numbers"], strict=True):
            assert [*one] == [*other]
            assert_same_reading(one, other)
            assert np.array(one["corners"]) == pytest.approx(np.array(other["corners"]), abs=0.01)
            assert one["orientation"] == pytest.approx(other["orientation"], abs=1e-3)
    assert several > 5


@pytest.mark.usefixtures("runtime")
def test_the_page_and_python_read_the_same_digits_on_pictures() -> None:
    pictures = [*[*photographs(), *found_on(), *pages()[-9:]][::3], *load_mnist("test").images[:2]]
    read = read_in_node(pictures, "digit", {"number": 7, "ink": "auto"})
    for one, answer in zip(read, READER.read(pictures, 7), strict=True):
        wanted = answer.as_dict(image=True)
        same = "digit", "sum", "accepted", "reason", "advice", "how"
        assert {key: one[key] for key in same} == {key: wanted[key] for key in same}
        assert np.abs(np.array(one["image"]) - wanted["image"]).max() < 1e-3
        for name in ("digit_probabilities", "is_digit_probability"):
            assert one[name] == pytest.approx(wanted[name], abs=1e-3)


WRITTEN = """
const { asWritten, decimalsOf, kindOf } = await import("./numbers/written.js");
return given.map((text) => {
  const found = { text, characters: [{ struck: 0 }] };
  const [value] = asWritten([{ text, value: Number(text.replace(/\\D/g, "")), probability: 1 }], text.startsWith("-"));
  return { kind: kindOf(found), decimals: decimalsOf(text), value: String(value.value) };
});
"""


def test_what_is_written_means_the_same_on_the_page() -> None:
    random, signs = np.random.default_rng(8), "0123456789" * 2 + ".,-'/+=%:¤?"
    texts = ["".join(random.choice([*signs], random.integers(1, 9))) + "0" for _ in range(3000)]
    texts += ["12.50", "12,50", "1.234", "1'234", "1.234,5", "1/2", "24.12.2026", "9:30", "50%", "¤12.-", "-7", "=¤5"]
    for text, one in zip(texts, in_node(WRITTEN, texts), strict=True):
        number: Any = SimpleNamespace(text=text, characters=SimpleNamespace(struck=np.zeros(1)))
        digits = without_separators(text)
        (wanted,) = as_written([Candidate(text, int(digits), 1.0)], text.startswith("-"))
        assert one == {"kind": kind_of(number), "decimals": decimals_of(text), "value": str(plain(wanted.value))}
