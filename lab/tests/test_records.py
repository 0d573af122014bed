"""The plans of trainings."""

from __future__ import annotations

from lab.records import DEFAULTS, RUNS, SUMS, row_of, same
from sumnist.config import preset


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
