"""Settings: what they allow, what they say of what they do not, and that their files are read."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sumnist.config import FORMAT, NORMALISED, PRESETS, PresetName, Range, Training, annotations_of, flag, preset
from sumnist.errors import ConfigError, RunError
from sumnist.files import PRETRAINED
from sumnist.model.encoders import build_encoder
from sumnist.model.network import TwoInputNet
from sumnist.serve.settings import Settings

HINTS = annotations_of(Training)
LIMITS: dict[str, tuple[type, Range]] = {
    name: get_args(hint) for name, hint in HINTS.items() if get_origin(hint) is Annotated
}
"""The settings that are numbers, with the kind and the range of each."""
CHOICES = {name: get_args(hint) for name, hint in HINTS.items() if get_origin(hint) is Literal}
FREE = sorted(LIMITS.keys() - {"batch_size"})
"""Those that may have any value of their range, whatever the others are."""


def test_every_preset_is_listed_and_keeps_what_it_stands_for() -> None:
    assert tuple(PRESETS) == get_args(PresetName)
    assert all(config.preset == name for name, config in PRESETS.items())
    assert len(fields(Training)) <= 22
    for name in PRESETS:
        config = preset(name, data_dir=Path("digits"), soft_labels=False, seed=3)
        assert Training.from_json(config.to_json(), "config.json") == config
    original, written = preset("original").particulars, preset("original-as-written").particulars
    assert (original.largest_number, original.softmax_twice, original.sum_weight) == (9, False, 5)
    assert (written.largest_number, written.softmax_twice, written.constant_rate) == (8, True, True)
    for encoder in CHOICES["encoder"]:
        net, image = build_encoder(encoder).train(), torch.zeros(1, 1, 28, 28)
        if encoder in NORMALISED:
            with pytest.raises(ValueError, match="more than 1 value"):
                net(image)
        else:
            net(image)


@settings(deadline=None)
@given(st.data())
def test_a_number_of_the_range_is_taken_as_pythons_own_whatever_it_comes_as(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(FREE))
    kind, limits = LIMITS[name]
    least, most = limits.least, limits.most
    value = data.draw(st.integers(int(least), int(most)) if kind is int else st.floats(least, most))
    for form in (kind, np.int64, np.array) if kind is int else (kind, np.float64):
        config = preset("tiny", **{name: form(value)})
        assert type(getattr(config, name)) is kind
        assert config == preset("tiny", **{name: value})
        assert Training.from_json(config.to_json(), "config.json") == config
    config = preset("tiny", soft_labels=np.bool_(True), device=torch.device("cpu"))
    assert config == preset("tiny", soft_labels=True, device="cpu")
    assert Settings(port=np.int64(80), drain_seconds=np.float32(0.5)) == Settings(port=80, drain_seconds=0.5)  # type: ignore[arg-type]


def test_both_ends_of_a_range_are_in_it_and_nothing_beyond() -> None:
    for name, (kind, limits) in ((name, LIMITS[name]) for name in FREE):
        for value, way in ((limits.least, -1), (limits.most, 1)):
            beyond = value + way if kind is int else math.nextafter(value, way * math.inf)
            assert getattr(preset("tiny", **{name: kind(value)}), name) == value
            with pytest.raises(ConfigError):
                preset("tiny", **{name: beyond})


STRANGE: list[Any] = [
    True, np.bool_(False), "a", "", None, 1j, [], [1], math.nan, math.inf, np.ones(2), 10**400, -1, -0.5,
]  # fmt: skip


@pytest.mark.parametrize("name", HINTS)
def test_bad_values_of_every_field_are_refused_by_the_name_of_its_flag(name: str) -> None:
    hint = HINTS[name]
    for value in STRANGE:
        fits = value is None and type(None) in get_args(hint)
        fits |= isinstance(value, str) and Path in get_args(hint)
        fits |= hint is bool and isinstance(value, bool | np.bool_)
        if not fits:
            with pytest.raises(ConfigError, match=f"(?s)^{flag(name)} .*: expected "):
                preset("tiny", **{name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "addition", "soft_labels": True},
         "--soft-labels True: expected False with --task addition, which tells nothing about single images"),
        ({"task": "addition", "fusion": "concat"},
         "--fusion concat: expected exact with --task addition, which tells nothing about single images"),
        ({"soft_labels": True, "data_dir": "x"},
         "--soft-labels True: expected none with --data-dir, since they are MNIST's: add --no-soft-labels"),
        ({"start_from": 5}, "--start-from 5: expected the path of a folder"),
        ({"epochs": 0}, "--epochs 0: expected a whole number from 1 to 1,000,000"),
        ({"seed": 10**5000}, "--seed of more than 100 digits: expected a whole number from 0 to 2^63 - 1"),
        ({"preset": "original-as-written", "numbers_per_image": 10},
         "--numbers-per-image 10: expected a whole number from 1 to 9, the numbers there are"),
        ({"lr": math.nan}, "--lr nan: expected a number above 0, at most 100, such as 0.003"),
        ({"device": "cuda:999"}, "--device cuda:999: expected auto, cpu, cuda, cuda:N or mps"),
        ({"batch_size": 1}, "--batch-size 1: expected at least 2, for the batch normalisation of --encoder default"),
        ({"fusion": "exakt"}, "--fusion exakt: expected one of exact, concat, original; did you mean exact?"),
        ({"fusion": "original"},
         "--encoder default --fusion original: the original's encoder and fusion are one design; use both, or "
         "--preset original"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together_are_named_with_what_was_expected(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(preset("default", label_smoothing=0.0), **changes)
    assert str(caught.value) == message
    with pytest.raises(ConfigError, match=r"^--preset defualt: expected one of fast, .*; did you mean default\?$"):
        preset("defualt")


# Files.


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "a list, not an object"),
        ('{"format": 2, "epoch": 3}', "unknown setting 'epoch'"),
        ('{"format": 2, "epochs": -3}', "--epochs -3: expected a whole number from 1 to 1,000,000"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_configuration_file_that_is_none_is_an_error_that_says_why(text: str, why: str) -> None:
    with pytest.raises(RunError) as caught:
        Training.from_json(text, "run/config.json")
    assert str(caught.value) == f"run/config.json: not a configuration of sumnist ({why}): train the run again"


def test_a_file_of_another_format_is_refused_and_the_packaged_one_is_of_this() -> None:
    values = json.loads((PRETRAINED / "config.json").read_text())
    assert (next(iter(values)), values["format"]) == ("format", FORMAT)
    assert Training.from_json(json.dumps(values), "config.json") == preset("robust", validation=0, threads=1)
    for written, shown in ((FORMAT + 2, "4"), (1, "1"), (None, "None"), ("2", "'2'"), (0, "0")):
        with pytest.raises(RunError) as caught:
            Training.from_json(json.dumps(values | {"format": written, "tokens": 7}), "run/config.json")
        mend = "train the run again, or read format 1 with the version at commit 1e09899"
        assert str(caught.value) == f"run/config.json: of format {shown}, expected 2: {mend}"


def test_the_smoothing_that_a_network_takes_back_is_that_of_the_last_steps() -> None:
    assert preset("default").last_smoothing == pytest.approx(0.1 * 0.08)
    assert preset("fast").last_smoothing == 0
    assert preset("original-as-written", label_smoothing=0.2).last_smoothing == 0.2
    assert TwoInputNet.from_config(preset("default")).fusion.smoothing == pytest.approx(0.008)
    assert TwoInputNet().fusion.smoothing == 0
