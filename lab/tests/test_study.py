"""The study: the statistics of its rows."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from lab.study import report
from lab.study.designs import VARIANTS, Recipe, variant
from lab.study.report import Mean, Results, holm, sign_flips
from lab.study.rows import Row

pytestmark = pytest.mark.long


def fake_run(name: str, recipe: Recipe, seed: int) -> Row:
    """A row as a run would give it, from nothing but the job."""
    level = 0.9 + 0.1 * float(np.random.default_rng([*name.encode(), seed]).random())
    figures = dict.fromkeys(("digit", "sum", "joint", "sum_seen", "sum_unseen"), level)
    return {
        "variant": name, "seed": seed, "recipe": recipe.as_dict(), "date": "2026-01-01", "commit": "c",
        "machine": {"processor": "p", "versions": {"torch": "2"}}, "seconds": 1.0, "parameters": 10, "weights": "w",
        "test": figures | {"sum_by_number": [level] * 10},
    }  # fmt: skip


# Statistics.

T_OF_4 = 2.7764
"""Student's t, two-sided 95 %, four degrees of freedom, by table."""


def test_a_mean_has_students_interval_and_an_effect_is_paired_by_seed() -> None:
    mean = Mean.of([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean.value == 3
    assert mean.high - 3 == pytest.approx(T_OF_4 * math.sqrt(2.5) / math.sqrt(5), rel=1e-4)
    assert Mean.effect([1.0, 2.0, 3.0], [0.9, 1.9, 2.9]).clear
    assert not Mean.effect([2.0], [1.0]).clear


def test_holms_correction_by_hand_and_sign_flips_by_counting_all_ways() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    ours, theirs = [3.0, 1.0, 2.5, 0.5], [1.0, 2.0, 1.0, 0.0]
    d = np.subtract(ours, theirs)
    every = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in product((-1, 1), repeat=4)]
    assert sign_flips(ours, theirs) == np.mean(np.array(every) >= abs(d.sum()) - 1e-12)


def test_figures_are_those_of_the_rows_in_any_order_and_rows_of_other_recipes_do_not_count() -> None:
    rows = [fake_run(one.name, one.recipe, seed) for one in VARIANTS for seed in range(one.seeds)]
    film = [100 * row["test"]["sum"] for row in rows if row["variant"] == "film"]
    old = fake_run("film", Recipe(join="film", lr=1.0), 0)
    for some in (rows, [old, *rows[::-1]]):
        results = Results(some, VARIANTS)
        assert report.share(results, "film") == f"{np.mean(film):.2f} %"
        assert f"| {variant('film').title} | " in report.all_designs(results)
        assert all(make(results) for make in report.PLOTS.values())
    assert report.runs(Results([], VARIANTS)) == "0 runs of 0 designs"
