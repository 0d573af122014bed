"""The settings of the plans whose rows the pages quote.

`plans.json` has the settings of all plans as they were at the commit that it names; some need what the package had only
up to that commit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sumnist.config import Run

Row = dict[str, Any]

STORED: dict[str, Any] = json.loads(Path(__file__).with_name("plans.json").read_text(encoding="utf-8"))
DEFAULTS: Row = STORED["defaults"]
"""The settings that a row may lack, with their values."""
RUNS: dict[str, Row] = STORED["runs"]
"""The plans of networks of digits: the settings that are not the defaults, and the number of parameters."""
SUMS: dict[str, Row] = STORED["sums"]
"""The plans of networks that learned from sums."""
FREE = {"seed", "threads", "optimizer"}
"""Settings in which the rows of a plan may differ. Without weight decay, adam and adamw take the same steps."""


def row_of(config: Run, **more: Any) -> Row:
    """The settings of a training, and its particulars, as rows have them."""
    particulars = config.particulars
    settings: Row = json.loads(config.to_json())
    del settings["format"]
    return DEFAULTS | settings | {
        "sum_target": "bits" if settings.get("fusion") == "original" else "classes", "betas": list(particulars.betas),
        "largest_number": particulars.largest_number, "sum_weight": particulars.sum_weight,
        "digit_loss": "softmax-then-cross-entropy" if particulars.softmax_twice else "cross-entropy",
        "smoothing_fades": config.label_smoothing > 0, "weight_decay": particulars.weight_decay,
        "schedule": "constant" if particulars.constant_rate else "one-cycle", "warmup": particulars.warmup,
        "lr_floor": particulars.lr_floor,
    } | more  # fmt: skip


def settings_of(row: Row) -> Row:
    """The settings in a row, with those that it lacks."""
    given: Row = DEFAULTS | row["config"]
    return given | {"preset": "robust" if given["preset"] == "best" else given["preset"]}


def same(one: Row, other: Row, free: set[str] = FREE) -> bool:
    """Whether two settings, of which some may lack defaults, are the same but for what is `free`."""
    one, other = DEFAULTS | one, DEFAULTS | other
    return all(one.get(key) == other.get(key) for key in DEFAULTS.keys() - free)
