"""Records run, and learn."""

from __future__ import annotations

import numpy as np
import pytest

from lab.records import DEFAULTS, RUNS, SUMS, micro, row_of, same
from sumnist.config import preset
from sumnist.data.mnist import load_mnist, with_soft_labels
from sumnist.model.encoders import count_parameters


def test_micro_has_as_few_parameters_as_it_says() -> None:
    count = count_parameters(micro.network())
    assert f"A digit with {count:,} parameters" in (micro.__doc__ or "")
    assert count == RUNS["micro-exact"]["parameters"]


@pytest.mark.long
def test_micro_learns_from_a_few_images() -> None:
    part = with_soft_labels(load_mnist("train")).part(np.arange(2000))
    assert micro.right(micro.trained(part, epochs=4), load_mnist("test").part(np.arange(1000))) > 0.7


def test_plans_that_the_package_still_trains_are_those_whose_rows_are_quoted() -> None:
    whole = {
        "fast-exact": preset("fast", validation=0), "default-exact": preset("default", validation=0),
        "fast-concat": preset("fast", fusion="concat", epochs=4, validation=0),
        "default-concat": preset("default", fusion="concat", numbers_per_image=10, validation=0),
        "original": preset("original", validation=0),
        "original-as-written": preset("original-as-written", validation=0),
    }  # fmt: skip
    for name, config in whole.items():
        assert same(row_of(config, seed=3), RUNS[name]), name
    assert same(row_of(preset("robust", validation=0), outliers=0.6), RUNS["robust-exact"])
    assert same(row_of(preset("addition", validation=0)), SUMS["lenet"])
    assert not same(row_of(preset("fast", validation=0, lr=0.03)), RUNS["fast-exact"])
    assert set(RUNS["nano-exact"]) - {"parameters"} <= set(DEFAULTS)
