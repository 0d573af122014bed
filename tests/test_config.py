"""Settings: what they allow, what they say of what they do not, and that their files are read."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sumnist.cli import docs_of, main
from sumnist.config import FORMAT, NORMALISED, PRESET_NAMES, PRESETS, Config, Range, annotations_of, preset
from sumnist.errors import ConfigError, RunError
from sumnist.files import check_format
from sumnist.model.encoders import build_encoder
from sumnist.serve.settings import Settings

LIMITS: dict[str, tuple[type, Range]] = {
    name: get_args(hint) for name, hint in annotations_of(Config).items() if get_origin(hint) is Annotated
}
"""The settings that are numbers, with the kind and the range of each."""
ALONE = sorted(LIMITS.keys() - {"batch_size", "numbers_per_image", "digit_weight", "sum_weight", "addends", "loose"})
"""Those that may have any value of their range, whatever the others are."""


def test_every_preset_is_listed_and_keeps_what_it_stands_for() -> None:
    assert tuple(PRESETS) == PRESET_NAMES
    assert all(config.preset == name for name, config in PRESETS.items())
    original, written = preset("original"), preset("original-as-written")
    assert (original.encoder, original.fusion, original.largest_number) == ("original", "original", 9)
    assert (original.digit_loss, written.digit_loss) == ("cross-entropy", "softmax-then-cross-entropy")
    assert (written.largest_number, written.epochs) == (8, 5)
    for name in PRESET_NAMES:
        config = preset(name, data_dir=Path("digits"), soft_labels=False, seed=3)
        assert Config.from_json(config.to_json(), "config.json") == config
    for encoder in get_args(annotations_of(Config)["encoder"]):
        net, one = build_encoder(encoder).train(), torch.zeros(1, 1, 28, 28)
        with pytest.raises(ValueError, match="more than 1 value") if encoder in NORMALISED else nullcontext():
            net(one)


@settings(deadline=None)
@given(st.data())
def test_a_number_of_the_range_is_taken_as_pythons_own_whatever_it_comes_as(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(ALONE))
    kind, limits = LIMITS[name]
    least, most = limits.least, limits.most
    value = data.draw(st.integers(int(least), int(most)) if kind is int else st.floats(least, most))
    for form in (kind, np.int64, np.array) if kind is int else (kind, np.float64):
        config = preset("tiny", **{name: form(value)})
        assert type(getattr(config, name)) is kind
        assert config == preset("tiny", **{name: value})
        assert Config.from_json(config.to_json(), "config.json") == config

    config = preset("tiny", betas=np.array([0.5, 0.75]), smoothing_fades=np.bool_(True), device=torch.device("cpu"))
    assert config == preset("tiny", betas=(0.5, 0.75), smoothing_fades=True, device="cpu")
    assert Config.from_json(config.to_json(), "config.json") == config
    assert Settings(port=np.int64(80), drain_seconds=np.float32(0.5)) == Settings(port=80, drain_seconds=0.5)  # type: ignore[arg-type]


def test_weights_are_rounded_in_the_training_of_digits_alone() -> None:
    assert preset("small").weight_bits == 4
    with pytest.raises(ConfigError, match="--weight-bits 4: expected 32 with --task numbers"):
        preset("numbers", weight_bits=4)


def test_strokes_are_loosened_on_strips_alone() -> None:
    assert preset("numbers", loose=0.5).loose == 0.5
    with pytest.raises(ConfigError, match=r"--loose 0\.5: expected 0 with --task digits"):
        preset("tiny", loose=0.5)


def test_both_ends_of_a_range_are_in_it_and_nothing_beyond() -> None:
    for name, (kind, limits) in ((name, LIMITS[name]) for name in ALONE):
        for value, way in ((limits.least, -1), (limits.most, 1)):
            beyond = value + way if kind is int else math.nextafter(value, way * math.inf)
            assert getattr(preset("tiny", **{name: kind(value)}), name) == value
            with pytest.raises(ConfigError):
                preset("tiny", **{name: beyond})


STRANGE = st.one_of(
    st.booleans(), st.booleans().map(np.bool_), st.text(max_size=5), st.none(), st.complex_numbers(),
    st.lists(st.integers(), max_size=3), st.sampled_from([math.nan, math.inf, np.ones(2), 10**400, -1, -0.5]),
)  # fmt: skip


@settings(deadline=None)
@given(st.data())
def test_what_is_no_number_of_the_range_is_refused_by_the_name_of_the_flag(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(LIMITS)))
    kind, limits = LIMITS[name]
    outside = st.floats(max_value=limits.least, exclude_max=True) | st.floats(min_value=limits.most, exclude_min=True)
    numbers = st.floats() if kind is int else outside  # of a whole number the type is whole, too
    with pytest.raises(ConfigError, match=f"(?s)^--{name.replace('_', '-')} .*: expected "):
        preset("tiny", **{name: data.draw(STRANGE | numbers)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "addition", "addends": 3, "operation": "sub"}, "--addends 3: expected 2 with --operation sub"),
        ({"task": "addition", "operation": "mul"}, "--operation mul: expected one of add, sub"),
        (
            {"task": "addition", "outliers": 0.5},
            "--outliers 0.5: expected 0.0 with --task addition, as --preset addition has it",
        ),
        (
            {"task": "addition", "soft_labels": True},
            "--soft-labels True: expected False with --task addition, as --preset addition has it",
        ),
        (
            {"soft_labels": True, "data_dir": "x"},
            "--soft-labels True: expected none with --data-dir, since they are MNIST's: add --no-soft-labels",
        ),
        ({"start_from": 5}, "--start-from 5: expected the path of a folder"),
        ({"teachers": "x", "soft_labels": True}, "--teachers x: expected none, or --task digits and --no-soft-labels"),
        ({"teachers": "x", "task": "cells"}, "--teachers x: expected none, or --task digits and --no-soft-labels"),
        ({"epochs": 0}, "--epochs 0: expected a whole number from 1 to 1,000,000"),
        ({"seed": 1.5}, "--seed 1.5: expected a whole number from 0 to 2^63 - 1"),
        ({"smoothing_fades": "yes"}, "--smoothing-fades yes: expected true or false"),
        ({"weight_decay": "much"}, "--weight-decay much: expected a number from 0 to 1e+38"),
        (
            {"numbers_per_image": 11},
            "--numbers-per-image 11: expected a whole number from 1 to 10, the numbers there are",
        ),
        ({"lr": math.nan}, "--lr nan: expected a number above 0, at most 100, such as 0.003"),
        ({"digit_weight": 0.0, "sum_weight": 0.0}, "--sum-weight 0.0: expected above 0 when --digit-weight is 0"),
        ({"ema": 1.0}, "--ema 1.0: expected 0 (off) or a decay below 1, such as 0.998"),
        ({"betas": (0.9, 1.0)}, "--betas 0.9 1.0: expected two numbers from 0 to 1"),
        ({"betas": ("a", True)}, "--betas a True: expected two numbers from 0 to 1"),
        ({"device": "gpu"}, "--device gpu: expected auto, cpu, cuda, cuda:N or mps"),
        ({"device": "cuda:-1"}, "--device cuda:-1: expected auto, cpu, cuda, cuda:N or mps"),
        ({"device": "cuda:999"}, "--device cuda:999: expected auto, cpu, cuda, cuda:N or mps"),
        ({"seed": 10**5000}, "--seed of more than 100 digits: expected a whole number from 0 to 2^63 - 1"),
        (
            {"parts": 2, "encoder": "wide"},
            "--parts 2: expected 1, or --task digits, no dropout, no outliers, and a batch of two images a part",
        ),
        ({"batch_size": 1}, "--batch-size 1: expected at least 2, for the batch normalisation of --encoder default"),
        ({"preset": "defualt"}, f"preset defualt: expected one of {', '.join(PRESET_NAMES)}; did you mean default?"),
        ({"fusion": "exakt"}, "--fusion exakt: expected one of exact, concat, original; did you mean exact?"),
        ({"fold": 6}, "--fold 6: expected a whole number from 1 to 5, or 0 for none"),
        ({"augment": "zoom"}, "--augment zoom: expected one of none, shift, affine, elastic, handwriting, robust"),
        (
            {"fusion": "original"},
            "--encoder default --fusion original: the original's encoder and fusion are one design; use both, or "
            "--preset original",
        ),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_with_what_was_expected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        preset(changes.get("task", "default"), **changes)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "a list, not an object"),
        ('{"epoch": 3}', "unknown setting 'epoch'"),
        ('{"epochs": -3}', "--epochs -3: expected a whole number from 1 to 1,000,000"),
        ("[" * 100_000, "nested too deeply"),
        ('{"betas": ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_configuration_file_that_is_none_is_an_error_that_says_why(text: str, why: str) -> None:
    with pytest.raises(RunError) as caught:
        Config.from_json(text, "run/config.json")
    assert str(caught.value) == f"run/config.json: not a configuration of sumnist ({why}): train the run again"


def test_a_configuration_file_says_its_format_one_of_before_is_read_and_one_of_a_newer_version_says_so() -> None:
    config = preset("fast", seed=4)
    values = json.loads(config.to_json())
    assert (next(iter(values)), values.pop("format")) == ("format", 1)
    assert Config.from_json(json.dumps(values), "config.json") == config
    newer = f"written by a newer sumnist: format {FORMAT + 2}, expected at most {FORMAT}: upgrade sumnist"
    with pytest.raises(RunError, match=f"^run/config.json: {newer}$"):
        Config.from_json(json.dumps({"format": FORMAT + 2, "tokens": 7}), "run/config.json")


def test_what_0_1_called_best_is_robust() -> None:
    assert Config.from_json('{"preset": "best", "encoder": "wide"}', "config.json").preset == "robust"


@pytest.mark.parametrize(("given", "shown"), [(0, "0"), (-1, "-1"), ("1", "'1'"), (1.0, "1.0"), (True, "True")])
def test_a_format_that_is_no_number_of_one_is_an_error(given: object, shown: str) -> None:
    for known in ({}, {"format": 1}, {"format": 3}):
        check_format(known, "a.json", 3)
    with pytest.raises(RunError) as caught:
        check_format({"format": given}, "a.json", 3)
    assert str(caught.value) == f"a.json: format {shown}, expected a whole number from 1 to 3: copy the file again"


@pytest.mark.parametrize(("command", "kind"), [("train", Config), ("serve", Settings)])
def test_help_shows_every_flag_with_its_text_and_none_of_our_types(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, kind: type[Config | Settings]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    texts = docs_of(kind)  # type: ignore[arg-type]  # a type is hashable
    assert list(texts) == [field.name for field in fields(kind)]
    assert all(texts.values())
    for name, text in texts.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert text.splitlines()[0].strip() in shown
    assert "Range" not in shown
    assert "Annotated" not in shown
