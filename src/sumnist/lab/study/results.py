"""The rows of a study, asked by variant: one value per seed, means, and differences paired by seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sumnist.lab.study.statistics import Effect, Mean, effect, mean_of
from sumnist.lab.study.variants import Variant

__all__ = ["LEARNED", "Results"]

LEARNED = 0.95
"""The share of right sums at which a sum counts as learned."""
EPOCH = 215
"""Steps in an epoch of 55,000 images in batches of 256."""


class Results:
    """Those of `rows` whose recipe is still that of their variant. A figure is a share of the test grid by its name in
    a row: "digit", "sum", "joint", "sum_unseen", …; all are in percent."""

    def __init__(self, rows: Sequence[dict[str, Any]], variants: Sequence[Variant]) -> None:
        recipes = {v.name: v.recipe.as_dict() for v in variants}
        self.rows: dict[str, list[dict[str, Any]]] = {v.name: [] for v in variants}
        self.stale = 0
        for row in rows:
            if recipes.get(row["variant"]) == row["recipe"]:
                self.rows[row["variant"]].append(row)
            else:
                self.stale += 1
        for of_variant in self.rows.values():
            of_variant.sort(key=lambda row: row["seed"])
        self.variants = [v for v in variants if self.rows[v.name]]
        self.titles = {v.name: v.title for v in self.variants}

    def __contains__(self, name: str) -> bool:
        return bool(self.rows.get(name))

    def group(self, *names: str) -> list[Variant]:
        """The variants of some groups that have rows."""
        return [v for v in self.variants if v.group in names]

    def count(self, name: str | None = None) -> int:
        """The rows of a variant that are quoted, or of all."""
        return len(self.rows.get(name, [])) if name else sum(map(len, self.rows.values()))

    def by_seed(self, name: str, figure: str) -> dict[int, float]:
        """Seed → the figure of the variant `name`, in percent; without those that have none."""
        shares = {row["seed"]: row["test"][figure] for row in self.rows.get(name, [])}
        return {seed: 100 * share for seed, share in shares.items() if share is not None}

    def values(self, name: str, figure: str) -> list[float]:
        """One value per seed."""
        return list(self.by_seed(name, figure).values())

    def mean(self, name: str, figure: str) -> Mean | None:
        """Mean, interval and spread of a figure; None where the variant has no such output."""
        values = self.values(name, figure)
        return mean_of(values) if values else None

    def effect(self, name: str, other: str, figure: str) -> Effect | None:
        """How much more the figure is than that of another variant, over the seeds that both have."""
        ours, theirs = self.by_seed(name, figure), self.by_seed(other, figure)
        seeds = sorted(ours.keys() & theirs.keys())
        return effect([ours[s] for s in seeds], [theirs[s] for s in seeds]) if seeds else None

    def after_an_epoch(self, name: str, output: str) -> Mean | None:
        """The digits or sums right on held-out images after the first epoch, in percent."""
        place = {"digit": 1, "sum": 2}[output]
        looks = [[100 * look[place] for look in row["curve"] if look[0] == EPOCH] for row in self.rows.get(name, [])]
        return mean_of([look[0] for look in looks]) if looks and all(looks) else None

    def steps_to_learn(self, name: str) -> list[int | None]:
        """For each seed, the first look at which the sum was learned; None for never."""
        return [
            next((step for step, _, total in row["curve"] if total >= LEARNED), None) for row in self.rows.get(name, [])
        ]

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """Steps, and the mean over seeds of the sums right at each, in percent."""
        curves = [row["curve"] for row in self.rows[name]]
        return [step for step, _, _ in curves[0]], means([[look[2] for look in curve] for curve in curves])

    def sum_by_number(self, name: str) -> list[float]:
        """The mean over seeds of the sums right with each number, in percent."""
        return means([row["test"]["sum_by_number"] for row in self.rows[name]])


def means(lists: Sequence[Sequence[float]]) -> list[float]:
    """The mean of several lists of shares, place by place, in percent."""
    return [100 * sum(column) / len(lists) for column in zip(*lists, strict=True)]
