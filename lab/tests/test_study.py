"""The study: its designs, its draws, its runs, its rows, its statistics, its report."""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
import threading
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.__main__ import main
from lab.study import runs
from lab.study.designs import MAIN, ORIGINAL, VARIANTS, Recipe, Variant, quick, variant
from lab.study.network import ENCODINGS, TARGETS, JoinFusion, StudyNet
from lab.study.report import FIGURES, Mean, Report, Tables, compare_all, holm, report, sign_flips
from lab.study.rows import Row, StudyError, append_jsonl, open_rows, read_jsonl
from lab.study.runs import LEFT_OUT, JointLoss, conduct, draw_for, jobs_of, measure, read_rows, repeat, train
from sumnist.data.mnist import DigitSet, load_mnist
from sumnist.data.pairs import Pairs, as_image
from sumnist.errors import ConfigError, OutputError
from sumnist.evaluation.metrics import answer_grid
from sumnist.inference.onnx import FUSION, OnnxNetwork
from sumnist.model.encoders import count_parameters
from sumnist.model.fusion import Heads, OriginalFusion
from sumnist.training.export import to_onnx

DIGITS = np.arange(10).repeat(200)
DESIGNS = {v.name: v.recipe for v in VARIANTS if v.group in ("fusion", "number", "sum", "details", "published", "full")}


def recipes(**fixed: Any) -> st.SearchStrategy[Recipe]:
    """Any design of a small network, most of which nobody has studied."""
    sampled: dict[str, list[Any]] = {
        "join": ["features", "logits", "probabilities", "argmax", "answer", "outer", "film", "plane", "nothing",
                 "computed"],
        "hidden": [(), (16,), (12, 9)], "rectified": [False, True], "normalised": [False, True], "bottleneck": [0, 15],
        "encoding": list(ENCODINGS), "target": list(TARGETS), "biases": [False, True],
    }  # fmt: skip
    choices = {name: st.just(fixed[name]) if name in fixed else st.sampled_from(sampled[name]) for name in sampled}
    return st.builds(Recipe, **choices)


def build(recipe: Recipe) -> StudyNet:
    torch.manual_seed(0)
    return StudyNet(recipe)


@pytest.fixture(scope="module")
def batch() -> Pairs:
    """Eight pairs of eight different digits and eight different numbers."""
    digits = load_mnist("train")
    where = [int(np.flatnonzero(digits.digits == d)[0]) for d in (9, 1, 5, 0, 8, 2, 7, 3)]
    digit, number = torch.tensor(digits.digits[where]), torch.tensor([0, 1, 2, 3, 9, 5, 6, 7])
    return Pairs(as_image(torch.tensor(digits.images[where])), number, digit, digit + number)


# ---- designs


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_outputs_of_every_design_are_distributions_over_10_digits_and_19_sums(name: str, batch: Pairs) -> None:
    for scores, width in zip(build(DESIGNS[name]).eval()(batch.image, batch.number), (10, 19), strict=True):
        assert scores.shape == (8, width)
        torch.testing.assert_close(scores.exp().sum(1), torch.ones(8), rtol=0, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(recipe=recipes())
def test_the_number_changes_the_sum_and_the_digit_only_where_it_comes_before_it(recipe: Recipe) -> None:
    net, image = build(recipe).eval(), torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    one, other = (net(image, torch.full((8,), number)) for number in (2, 7))
    assert not torch.equal(one.sum, other.sum)
    assert torch.equal(one.digit, other.digit) == (recipe.join != "plane")
    behind = build(replace(recipe, join="features", trunk=True)).eval()
    assert not torch.equal(*(behind(image, torch.full((8,), number)).digit for number in (2, 7)))


@settings(max_examples=60, deadline=None)
@given(recipe=recipes(rectified=False, normalised=False))
def test_the_sums_loss_reaches_number_and_image_unless_the_join_is_known_to_block_it(recipe: Recipe) -> None:
    image = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    pairs = Pairs(image, torch.arange(4), torch.arange(4) + 2, 2 * torch.arange(4) + 2)
    recipe = replace(recipe, digit_loss="none")
    net = build(recipe)
    JointLoss(net, recipe)(pairs).backward()
    first = next(module for module in net.modules() if isinstance(module, torch.nn.Conv2d)).weight
    reached = first.grad is not None and bool(first.grad.abs().sum() > 0)
    assert reached == (recipe.join not in ("argmax", "answer", "nothing"))
    if isinstance(net.fusion, JoinFusion) and recipe.join != "plane":
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.fusion.number.parameters())


@pytest.mark.parametrize("name", ["plane", "ordinal", "value-absolute", "weights-learned", "softmax-both"])
def test_eight_pairs_can_be_learned_by_heart(name: str, batch: Pairs) -> None:
    recipe = variant(name).recipe
    net = build(recipe)
    loss = JointLoss(net, recipe)
    optimizer = torch.optim.Adam(loss.parameters(), 3e-3)
    before = loss(batch).item()
    for _ in range(150):
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()
    least = {"softmax-then-cross-entropy": 1.4}.get(recipe.digit_loss, 0) + 2 * recipe.sum_loss.startswith("softmax")
    assert loss(batch).item() - least / 2 < 0.5 * (before - least / 2)


@pytest.mark.long
@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_a_network_exports_and_answers_alike(name: str, batch: Pairs) -> None:
    net = build(DESIGNS[name]).eval()
    network = OnnxNetwork(to_onnx(net.spec({FUSION: net.recipe.join, "encoder": net.recipe.encoder})))
    with torch.inference_mode():
        expected = net(batch.image, batch.number)
    for want, got in zip(expected, network(batch.image.numpy(), batch.number.numpy()), strict=True):
        np.testing.assert_allclose(got, want.numpy(), atol=1e-4)


def test_a_recipe_survives_json_and_one_of_another_version_is_refused() -> None:
    recipe = Recipe(hidden=(64, 32), normalised=True)
    values = json.loads(json.dumps(recipe.as_dict()))
    assert Recipe.from_dict(values) == recipe
    del values["join"]
    with pytest.raises(StudyError, match="a row's recipe differs in join: it is of another version of sumnist"):
        Recipe.from_dict(values)


@pytest.mark.parametrize("biases", [False, True])
def test_without_biases_the_originals_path_is_the_number_times_its_value_at_one(biases: bool) -> None:
    net = build(replace(ORIGINAL, biases=biases))
    assert isinstance(net.fusion, JoinFusion)
    with torch.inference_mode():
        encoded = net.fusion.number(torch.arange(10))  # [10, 64]
    assert torch.allclose(encoded, torch.arange(10)[:, None] * encoded[1], atol=1e-5) != biases
    assert (len([value for value in runs.singular_values(net) or [] if value > 1e-4]) == 1) != biases


def test_published_designs_have_the_size_that_their_authors_report_and_the_originals_is_that_of_the_preset() -> None:
    full, table = (build(variant(name).recipe) for name in ("original-full", "table-full"))
    assert count_parameters(full.fusion) == count_parameters(OriginalFusion(256, "bits"))
    assert 6_770_000 < count_parameters(full) < 6_780_000  # 6.77 M, as its author counts
    measured = sum(b.numel() for name, b in table.named_buffers() if "running" in name)
    assert count_parameters(table) + measured == 347_277  # Keras counts the batch statistics too


@pytest.mark.parametrize(
    ("name", "expected"),
    [("one-hot", [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]), ("scalar", [5]), ("scaled", [5 / 9]), ("bits", [1, 0, 1, 0])],
)
def test_how_the_number_five_is_given(name: str, expected: list[float]) -> None:
    np.testing.assert_allclose(ENCODINGS[name][1]()(torch.tensor([5]))[0].numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", list(TARGETS))
def test_every_target_means_each_sum_where_its_outputs_say_so(name: str) -> None:
    target, total = TARGETS[name], torch.arange(19)
    raw = {
        "classes": 20 * torch.eye(19),
        "bits": torch.tensor([[20.0 if s >> b & 1 else -20.0 for b in range(5)] for s in range(19)]),
        "value": total[:, None] + 0.3,
        "ordinal": torch.tensor([[20.0 if s > k else -20.0 for k in range(18)] for s in range(19)]),
    }[name]
    assert torch.equal(target.value(raw), total)
    assert torch.equal(target.scores(raw).argmax(1), total)
    assert float(target.loss(raw, total)) < float(target.loss(raw, (total + 1) % 19))


def test_ordinal_answers_count_the_likelier_yes_and_scores_are_the_product_of_the_answers_to_all_questions() -> None:
    likely = torch.tensor([[0.1] * 3 + [-0.1] * 15, [-0.6] * 18, [0.4] * 18])
    assert TARGETS["ordinal"].value(likely).tolist() == [3, 0, 18]
    raw = torch.randn(5, 18, generator=torch.Generator().manual_seed(3))
    yes = raw.sigmoid().double()
    wanted = torch.stack([yes[:, :s].prod(1) * (1 - yes[:, s:]).prod(1) for s in range(19)], 1)
    wanted = wanted / wanted.sum(1, keepdim=True)
    torch.testing.assert_close(TARGETS["ordinal"].scores(raw).exp().double(), wanted, rtol=1e-4, atol=1e-6)


def test_every_variant_has_a_name_of_its_own_and_only_the_main_ones_twenty_seeds() -> None:
    assert {v.name for v in VARIANTS if v.seeds == 20} == set(MAIN)
    assert len({v.name for v in VARIANTS}) == len(VARIANTS)
    assert variant("reference").recipe == Recipe()
    assert variant("left-out-film").recipe == Recipe(join="film", numbers="left-out")
    assert variant("value-rate-quarter").recipe == Recipe(target="value", lr=2e-3)
    with pytest.raises(ConfigError, match=r"^variant referense: expected one of .*; did you mean reference\?$"):
        variant("referense")


# ---- draws and runs


def drawn(recipe: Recipe, epoch: int = 0) -> np.ndarray[Any, np.dtype[np.int64]]:
    return draw_for(recipe, 1, DIGITS)(epoch)


def test_fresh_numbers_differ_from_epoch_to_epoch_and_fixed_ones_do_not() -> None:
    assert not np.array_equal(drawn(Recipe()), drawn(Recipe(), 1))
    assert np.array_equal(drawn(Recipe(numbers="fixed")), drawn(Recipe(numbers="fixed"), 1))
    assert set(drawn(Recipe(largest_number=8)).tolist()) == set(range(9))


def test_left_out_combinations_are_never_drawn_and_all_others_are() -> None:
    seen = set()
    for epoch in range(5):
        seen |= set(zip(DIGITS.tolist(), drawn(Recipe(numbers="left-out"), epoch).tolist(), strict=True))
    assert seen == {(d, n) for d, n in product(range(10), repeat=2) if n != LEFT_OUT[d]}
    assert sorted(LEFT_OUT) == list(range(10))  # each number is left out for one digit


def test_skewed_numbers_fall_off_by_their_ratio() -> None:
    counts = np.bincount(np.concatenate([drawn(Recipe(numbers="skewed"), epoch) for epoch in range(20)]), minlength=10)
    expected = counts.sum() * 0.6 ** np.arange(10) * 0.4 / (1 - 0.6**10)
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_a_training_can_be_repeated_and_is_looked_at_where_it_says_and_at_the_end_of_every_epoch() -> None:
    torch.set_num_threads(1)
    digits = load_mnist("train")
    few, held = digits.part(np.arange(1500)), digits.part(np.arange(1500, 1600))
    (one, _, curve), (again, _, same), (other, *_) = (
        train(Recipe(epochs=2, batch_size=50), seed, few, held) for seed in (0, 0, 1)
    )
    assert [step for step, _, _ in curve] == [10, 15, 20, 30, 45, 50, 60]
    assert curve == same
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
    assert curve[-1][1] > 0.7
    _, _, odd = train(Recipe(epochs=2, batch_size=500), 0, few, held)  # three batches an epoch
    assert [step for step, _, _ in odd] == [2, 3, 5, 6]


class Oracle(StudyNet):
    """A network that knows every answer to the images whose first pixel is their digit / 255."""

    def __init__(self, recipe: Recipe, wrong: int | None = None, off: float = 0.0) -> None:
        super().__init__(recipe)
        self.encoder = torch.nn.Flatten()
        self.wrong, self.off = wrong, off
        self.fusion.forward = self.answers  # type: ignore[method-assign]

    def answers(self, features: torch.Tensor, number: torch.Tensor) -> Any:
        digit = (features[:, 0] * 255).round().long()
        total = digit + number + (number == self.wrong) if self.wrong is not None else digit + number
        raw = total[:, None] + self.off if self.recipe.target == "value" else 20 * torch.eye(19)[total.clamp(0, 18)]
        return Heads(20 * torch.eye(10)[digit], raw)


def known(digits: Any = (*range(10), *range(10))) -> DigitSet:
    images = np.zeros((len(digits), 28, 28), np.uint8)
    images[:, 0, 0] = digits
    return DigitSet(images, np.array(digits, np.int64), "known")


def test_a_network_that_knows_every_answer_measures_as_perfect_and_one_number_that_is_added_wrongly_is_seen() -> None:
    figures = measure(Oracle(Recipe()), known())
    assert {figures[name] for name in ("digit", "sum", "joint", "sum_seen", "sum_unseen")} == {1.0}
    assert figures["sum_beyond"] is None  # a one-hot number cannot be above 9
    figures = measure(Oracle(Recipe(), wrong=4), known())
    assert figures["sum_by_number"] == [1, 1, 1, 1, 0, 1, 1, 1, 1, 1]
    # Of the ten pairs that are left out one has the number 4.
    assert [figures[name] for name in ("sum", "sum_unseen", "sum_seen")] == pytest.approx([0.9] * 3)
    assert figures["digit"] == 1.0
    figures = measure(Oracle(Recipe(), wrong=int(LEFT_OUT[3])), known([3] * 20))
    assert (figures["sum_seen"], figures["sum_unseen"], figures["sum"]) == (1.0, 0.0, pytest.approx(0.9))


def test_a_value_is_rounded_and_cutting_it_is_counted_apart() -> None:
    figures = measure(Oracle(Recipe(target="value", encoding="scalar"), off=-0.3), known())
    assert figures["sum"] == figures["sum_beyond"] == 1.0  # 6.7 is a 7
    assert figures["sum_cut"] == pytest.approx(2 / 200)  # cut, it is a 6; only -0.3 becomes the 0 that it means
    assert figures["sum_nll"] is None


@settings(max_examples=25, deadline=None)
@given(recipe=recipes())
def test_every_design_can_be_measured_and_an_exact_one_adds_as_well_as_it_reads(recipe: Recipe) -> None:
    net = build(recipe).eval()
    figures = measure(net, known(np.arange(30) % 10))
    assert all(value is None or np.min(value) >= 0 for value in figures.values())
    if recipe.join == "computed":
        assert figures["digit"] == figures["sum"] == figures["joint"] == figures["sum_beyond"]
        assert figures["digit"] == answer_grid(net, known(np.arange(30) % 10)).digit_right.mean()


@pytest.mark.parametrize(
    ("recipe", "silent"),
    [
        (Recipe(digit_loss="none"), {"digit", "digit_nll", "joint"}),
        (Recipe(sum_weight=0.0), {"sum", "sum_nll", "joint", "sum_by_number", "sum_seen", "sum_unseen"}),
    ],
)
def test_what_is_not_trained_has_no_figure(recipe: Recipe, silent: set[str]) -> None:
    figures = measure(StudyNet(recipe), known())
    assert {name for name in figures if figures[name] is None} - {"sum_beyond", "sum_cut", "sum_unrounded"} == silent


# ---- rows


def fake_run(name: str, recipe: Recipe, seed: int) -> Row:
    """A row as a run would give it, from nothing but the job."""
    rng = np.random.default_rng([*name.encode(), int(1e6 * recipe.lr), seed])
    level = 0.9 + 0.1 * float(rng.random())
    figures = dict.fromkeys(("digit", "sum", "joint", "sum_seen", "sum_unseen"), level) | {
        "digit_nll": 0.1, "sum_nll": 0.1, "sum_by_number": [level] * 10, "sum_beyond": None, "sum_cut": None,
        "sum_unrounded": None,
    }  # fmt: skip
    return {
        "variant": name, "seed": seed, "recipe": recipe.as_dict(), "date": "2026-01-01", "commit": "c",
        "machine": {"processor": "p", "versions": {"torch": "2"}}, "seconds": 1.0, "parameters": 10, "weights": "w",
        "curve": [[10, 0.5, 0.2], [215, 0.9, 0.7], [860, level, level]], "validation": figures, "test": figures,
        "number_singular_values": [2.0, 1.0, 0.0],
    }  # fmt: skip


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "run", fake_run)


@pytest.fixture
def jobs() -> list[Any]:
    return jobs_of([Variant("a", "A", "fusion", Recipe(), 3), Variant("b", "B", "fusion", Recipe(hidden=()), 2)])


@pytest.mark.usefixtures("fake")
def test_runs_go_seed_by_seed_and_what_has_a_row_is_not_run_again_but_a_changed_recipe_is(
    jobs: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    assert conduct(jobs[:2], path, workers=1, progress=False) == 2
    assert conduct(jobs, path, workers=1, progress=False) == 3
    rows = [(row["variant"], row["seed"]) for row in read_rows(path)]
    assert rows == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)]
    assert conduct([("a", Recipe(lr=1e-3), 0)], path, workers=1, progress=False) == 1
    assert len(read_rows(path)) == 6


@pytest.mark.usefixtures("fake")
def test_a_row_cut_short_is_taken_out_and_run_again(jobs: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    conduct(jobs, path, workers=1, progress=False)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert len(read_rows(path)) == 4
    assert conduct(jobs, path, workers=1, progress=False) == 1
    assert path.read_bytes() == whole


def test_a_row_is_appended_as_soon_as_another_process_is_done_and_after_one_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a":')
    other = open_rows(path)
    with pytest.raises(OutputError) as caught:
        conduct([], path, workers=1, progress=False)
    assert str(caught.value) == f"{path}: another process adds rows to it: wait for it, or name another file"
    threading.Timer(0.2, other.close).start()
    append_jsonl(path, {"a": 2})
    assert read_jsonl(path) == [{"a": 1}, {"a": 2}]


def test_a_file_of_something_else_is_refused_and_stays(
    jobs: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes.txt"
    for text in ("one line", "two\nlines", '{"a": 1}\n', "[" * 100_000 + "\n"):
        path.write_text(text)
        with pytest.raises((OutputError, StudyError)):
            conduct(jobs, path, workers=1, progress=False)
        assert path.read_text() == text
    path.write_text('{"variant": 1}\n')
    with pytest.raises(StudyError, match=r"line 1: not a row of a study: take it out, or choose another file$"):
        read_rows(path)
    assert main(["study", "--rows", str(tmp_path), "--report"]) == 1
    said = capsys.readouterr().err
    assert said == f"sumnist: {tmp_path}: cannot be read (is a directory), expected a file of rows: name another file\n"


@pytest.mark.usefixtures("fake")
def test_a_repeated_run_says_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.jsonl"
    conduct([("reference", Recipe(), 0)], path, workers=1, progress=False)
    assert repeat(path, "reference", 0) == []
    path.write_text(path.read_text().replace('"weights": "w"', '"weights": "x"'))
    assert main(["study", "--rows", str(path), "--repeat", "reference"]) == 1
    assert capsys.readouterr().out == "reference, seed 0: differs in weights\n"
    with pytest.raises(StudyError, match=r"no row of reference with seed 7: choose one that is there$"):
        repeat(path, "reference", 7)


@pytest.mark.long
@pytest.mark.heavy
def test_a_run_repeated_is_the_same_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    v = Variant("scalar", "", "number", Recipe(encoding="scalar", epochs=1), 1)
    conduct(jobs_of([v]), path, workers=1, progress=False)
    assert repeat(path, "scalar", 0) == []


# ---- statistics

T_OF_4 = 2.7764
"""Student's t, two-sided 95 %, four degrees of freedom, by table."""


def test_a_mean_has_students_interval_and_an_effect_is_paired_by_seed() -> None:
    mean = Mean.of([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean.value == 3
    assert mean.high - 3 == pytest.approx(T_OF_4 * math.sqrt(2.5) / math.sqrt(5), rel=1e-4)
    found = Mean.effect([1.0, 2.0, 3.0], [0.9, 1.9, 2.9])
    assert found.value == pytest.approx(0.1)
    assert found.clear
    assert Mean.effect([1.0, 2.0], [2.0, 1.0]).size == 0
    assert Mean.effect([3.0, 2.0], [2.0, 1.0]).size == math.inf
    assert not Mean.effect([2.0], [1.0]).clear


def test_holms_correction_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_sign_flips_count_all_ways_to_swap() -> None:
    ours, theirs = [3.0, 1.0, 2.5, 0.5], [1.0, 2.0, 1.0, 0.0]
    d = np.subtract(ours, theirs)
    every = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in product((-1, 1), repeat=4)]
    assert sign_flips(ours, theirs) == np.mean(np.array(every) >= abs(d.sum()) - 1e-12)


def test_two_equal_designs_differ_by_chance_and_two_far_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, 20)
    b, c = a + rng.normal(0, 1, 20), a + 5 + rng.normal(0, 1, 20)
    first, second, third = compare_all({"a": a.tolist(), "b": b.tolist(), "c": c.tolist()})
    assert (first.first, first.second) == ("a", "b")
    assert first.corrected > 0.05
    assert max(second.corrected, third.corrected) < 1e-6
    assert second.signs == pytest.approx(2 / 2**20)


# ---- the report


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [fake_run(*job) for job in jobs_of(VARIANTS)]


@pytest.fixture(scope="module")
def apart(rows: list[Row]) -> list[Row]:
    """The rows with shares all over 0 to 1, so that a figure of a report is hardly that of another row by chance."""
    rng, changed = np.random.default_rng(5), json.loads(json.dumps(rows))
    for row in changed:
        names = ("digit", "sum", "joint", "sum_seen", "sum_unseen", "sum_cut", "sum_unrounded")
        row["test"] |= dict(zip(names, rng.random(7).tolist(), strict=True))
        row["test"]["sum_by_number"] = rng.random(10).tolist()
    return changed  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def page(apart: list[Row]) -> Report:
    return report(apart, VARIANTS)


def markdown_of(page: Report) -> str:
    """Both pages, the report and its appendix, one after the other."""
    return page.files["design-choices.md"] + page.files["appendix-designs.md"]


def pictures_of(page: Report) -> dict[str, str]:
    """The pictures by their short names."""
    files = page.files.items()
    return {name[13:-4]: text for name, text in files if name.startswith("images/study-")}


def test_the_report_is_the_same_for_the_same_rows_in_any_order_and_without_those_of_other_recipes(
    apart: list[Row], page: Report
) -> None:
    old = json.loads(json.dumps(apart[0]))
    old["recipe"]["lr"] = 1.0
    assert page == report([old, *apart[::-1]], VARIANTS)


def cells(page: str, title: str, place: int = 0) -> list[str]:
    """The cells of the lines that begin with `title`: of the one at `place`, after the title."""
    lines = [line for line in page.splitlines() if line.startswith(f"| {title} |")]
    return [cell.strip() for cell in lines[place].strip("|").split("|")[1:]]


def of_seeds(rows: list[Row], name: str, figure: str) -> list[float]:
    return [100 * row["test"][figure] for row in rows if row["variant"] == name]


def expected(values: list[float]) -> str:
    """Mean and half-width of the interval of five seeds, worked out here."""
    assert len(values) == 5
    half = T_OF_4 * statistics.stdev(values) / math.sqrt(5)
    return f"{statistics.fmean(values):.2f}\u00a0±\u00a0{half:.2f}"


def test_the_figures_of_the_tables_are_worked_out_from_the_rows(apart: list[Row], page: Report) -> None:
    text = markdown_of(page)
    film, reference = ({f: of_seeds(apart, n, f) for f in ("digit", "sum", "joint")} for n in ("film", "reference"))
    differences = [a - b for a, b in zip(film["sum"], reference["sum"][:5], strict=True)]
    mean, spread = statistics.fmean(differences), statistics.stdev(differences)
    half = T_OF_4 * spread / math.sqrt(5)
    found = cells(text, variant("film").title)
    early = ["90.00\u00a0±\u00a00.00", "70.00\u00a0±\u00a00.00"]
    assert found[:5] == [*(expected(film[figure]) for figure in ("digit", "sum", "joint")), *early]
    assert found[6:] == [
        f"{mean:+.2f} ({mean - half:+.2f}\u00a0to\u00a0{mean + half:+.2f})", f"{mean / spread:+.1f}", "5"
    ]  # fmt: skip
    table = cells(text, variant("twenty").title)
    assert table[:3] == ["99.16", "99.12", expected(of_seeds(apart, "twenty", "digit"))]
    unseen = [expected(of_seeds(apart, "left-out-film", f)) for f in ("sum_seen", "sum_unseen")]
    assert cells(text, variant("film").title, 1) == [*unseen, "5"]
    cut = ["the value cut, not rounded", expected(of_seeds(apart, "value", "sum_cut"))]
    assert cells(text, variant("value").title, 1)[1:] == cut
    main = sorted(of_seeds(apart, "exact", "joint"))
    assert cells(text, variant("exact").title)[2:4] == [f"{main[0]:.2f}", f"{main[-1]:.2f}"]


TEMPLATES = Path(sys.modules[report.__module__].__file__ or "").parent / "templates"
QUOTED = {name for path in TEMPLATES.glob("*.md.j2") for name in re.findall(r'"([\w-]+)"', path.read_text())}


@pytest.mark.parametrize("gone", ["", "film", *sorted(QUOTED & {v.name for v in VARIANTS})])
def test_where_a_variant_has_no_row_the_sentences_about_it_are_left_out(
    rows: list[Row], gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.study.report.draw", lambda results: dict.fromkeys(FIGURES, ""))
    page = markdown_of(report([row for row in rows if row["variant"] != gone and row["seed"] < 2], VARIANTS))
    text = [line for line in page.splitlines() if not line.startswith("|")]
    assert [line for line in text if "–" in line.replace('"–" means', "")] == []
    assert ("**This is part of the study**" in page) == bool(gone)


@pytest.mark.parametrize(
    ("last", "cell"),
    [((0.9, 0.94), "never"), ((0.95, 0.94, 1.0), "860 (1 of 3 never)"), ((0.96, 0.99), "860"), ((), "–")],
)
def test_the_steps_to_learn_are_a_median_and_who_never_learned_is_counted(last: tuple[float, ...], cell: str) -> None:
    v = Variant("a", "A", "fusion", Recipe(), 3)
    rows = [fake_run("a", v.recipe, seed) | {"curve": [[10, 1, 0.1], [860, 1, sums]]} for seed, sums in enumerate(last)]
    assert Tables(rows, [v]).steps(v) == cell


def test_a_quick_look_says_what_was_done_and_nothing_that_was_not() -> None:
    page = report([fake_run(*job) for job in jobs_of(quick())], quick())
    for lie in ("four", "4 epochs", "1 seeds", "1 epochs", "5 seeds", "two seeds", "– of pairs", "nan", "Holm"):
        assert lie not in markdown_of(page), lie
    for truth in ("trained on 55,000 images for 1 epoch with", "3 designs, 1 seed, on", "*Not enough seeds yet.*"):
        assert truth in markdown_of(page)
    assert set(pictures_of(page)) == set(FIGURES) - {"digit-effect"}  # one seed tells nothing of an effect
    assert "digit-effect" not in markdown_of(page)
    assert "(one seed)" in pictures_of(page)["main"]


def test_a_report_of_no_rows_has_no_figures() -> None:
    page = report([], VARIANTS)
    assert "0 runs of 0 designs." in markdown_of(page)
    assert list(pictures_of(page)) == ["number-path"]
    assert "nan" not in markdown_of(page)


def test_the_command_writes_the_report_of_the_rows_there_are(
    rows: list[Row], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.study.report.draw", lambda results: dict.fromkeys(FIGURES, "<svg/>"))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["study", "--report", "--rows", str(tmp_path / "rows.jsonl"), "--out", str(tmp_path)]) == 0
    assert "0 runs added" in capsys.readouterr().out
    assert (tmp_path / "design-choices.md").read_text().startswith("# Design choices\n")
    assert (tmp_path / "study.html").exists()
    assert len(list((tmp_path / "images").glob("study-*.svg"))) == 7
