"""The statistics of the study, against tables, hand counts and enumeration."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from sumnist.lab.study.statistics import compare_all, effect, holm, mean_of, sign_flips


def test_a_mean_has_students_interval() -> None:
    mean = mean_of([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean.value == 3
    assert mean.high - 3 == pytest.approx(2.7764 * math.sqrt(2.5) / math.sqrt(5), rel=1e-4)  # t(0.975, 4), by table


def test_an_effect_is_paired_by_seed() -> None:
    found = effect([1.0, 2.0, 3.0], [0.9, 1.9, 2.9])
    assert found.difference == pytest.approx(0.1)
    assert found.clear
    assert effect([1.0, 2.0], [2.0, 1.0]).size == 0


def test_one_seed_tells_no_effect_from_chance() -> None:
    assert not effect([2.0], [1.0]).clear


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
    assert second.corrected < 1e-6
    assert third.corrected < 1e-6
    assert second.signs == pytest.approx(2 / 2**20)
