from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sumnist.config import PRESET_NAMES, PRESETS, Config, preset
from sumnist.errors import ConfigError, RunError


def test_every_preset_is_listed_and_knows_its_name() -> None:
    assert tuple(PRESETS) == PRESET_NAMES
    assert all(config.preset == name for name, config in PRESETS.items())


def test_the_original_keeps_its_learned_fusion_and_draws_all_ten_numbers() -> None:
    config = preset("original")
    assert (config.encoder, config.fusion, config.largest_number) == ("original", "original", 9)
    assert config.digit_loss == "cross-entropy"


def test_the_original_as_written_keeps_its_mistakes() -> None:
    config = preset("original-as-written")
    assert config.largest_number == 8
    assert config.digit_loss == "softmax-then-cross-entropy"
    assert config.epochs == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": -1}, "--epochs -1: expected a whole number of at least 1"),
        ({"epochs": 0}, "--epochs 0: expected a whole number of at least 1"),
        ({"batch_size": 0}, "--batch-size 0: expected a whole number of at least 1"),
        ({"validation": -1}, "--validation -1: expected a whole number of at least 0"),
        ({"threads": -2}, "--threads -2: expected a whole number of at least 0"),
        ({"seed": -1}, "--seed -1: expected a whole number of at least 0"),
        ({"seed": 2**63}, "--seed 9223372036854775808: expected less than 2^63"),
        ({"largest_number": 10}, "--largest-number 10: expected a whole number from 0 to 9"),
        (
            {"numbers_per_image": 11},
            "--numbers-per-image 11: expected a whole number from 1 to 10, the numbers there are",
        ),
        ({"lr": math.nan}, "--lr nan: expected a number above 0, at most 100, such as 0.003"),
        ({"lr": 0.0}, "--lr 0.0: expected a number above 0, at most 100, such as 0.003"),
        ({"lr": math.inf}, "--lr inf: expected a number above 0, at most 100, such as 0.003"),
        ({"digit_weight": -1.0}, "--digit-weight -1.0: expected a number of at least 0"),
        ({"weight_decay": math.nan}, "--weight-decay nan: expected a number of at least 0"),
        ({"digit_weight": 0.0, "sum_weight": 0.0}, "--sum-weight 0.0: expected above 0 when --digit-weight is 0"),
        ({"augment_strength": 9.0}, "--augment-strength 9.0: expected a number from 0 to 3"),
        ({"lr_floor": 1.5}, "--lr-floor 1.5: expected a share from 0 to 1"),
        ({"label_smoothing": 0.9}, "--label-smoothing 0.9: expected a number from 0 to 0.5"),
        ({"warmup": 1.5}, "--warmup 1.5: expected a share from 0 to 1"),
        ({"ema": 1.0}, "--ema 1.0: expected 0 (off) or a decay below 1, such as 0.998"),
        ({"betas": (0.9, 1.0)}, "--betas 0.9 1.0: expected two numbers from 0 to 1"),
        ({"device": "gpu"}, "--device gpu: expected auto, cpu, cuda, cuda:N or mps"),
        ({"fusion": "exakt"}, "--fusion exakt: expected one of exact, concat, original; did you mean exact?"),
        ({"outliers": 1.5}, "--outliers 1.5: expected a share from 0 to 1"),
        ({"fold": 6}, "--fold 6: expected a whole number from 1 to 5, or 0 for none"),
        ({"augment": "zoom"}, "--augment zoom: expected one of none, shift, affine, elastic, handwriting, robust"),
        (
            {"fusion": "original"},
            "--encoder default --fusion original: the original's encoder and fusion are one design; "
            "use both, or --preset original",
        ),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_with_what_was_expected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        preset("default", **changes)
    assert str(caught.value) == message


def test_an_unknown_preset_suggests_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as caught:
        preset("defualt")
    assert str(caught.value) == (
        "--preset defualt: expected one of fast, default, best, tiny, original, original-as-written; "
        "did you mean default?"
    )


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_a_configuration_survives_its_json(name: str) -> None:
    config = preset(name, data_dir=Path("digits"), seed=3)
    assert Config.from_json(config.to_json(), "config.json") == config


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "a list, not an object"),
        ('{"epoch": 3}', "unknown setting 'epoch'"),
        ('{"epochs": -3}', "--epochs -3: expected a whole number of at least 1"),
        ('{"epochs": "3"}', "--epochs 3: expected a whole number of at least 1"),
        ('{"lr": null}', "--lr None: expected a number above 0, at most 100, such as 0.003"),
    ],
)
def test_a_configuration_file_that_is_none_is_an_error_that_says_why(text: str, why: str) -> None:
    with pytest.raises(RunError) as caught:
        Config.from_json(text, "run/config.json")
    assert str(caught.value) == f"run/config.json: not a configuration of sumnist ({why}): train the run again"


def test_every_setting_has_a_line_of_help() -> None:
    source = Path(__file__).parent.parent / "src/sumnist/config.py"
    text = source.read_text(encoding="utf-8")
    for field in fields(Config):
        declaration = text.index(f"\n    {field.name}: ")
        following = text[text.index("\n", declaration + 1) :].lstrip()
        assert following.startswith('"""'), field.name
