from __future__ import annotations

import ast
import inspect
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import pytest
import torch

from sumnist.cli import main
from sumnist.config import (
    FORMAT,
    NORMALISED,
    PRESET_NAMES,
    PRESETS,
    Config,
    EncoderName,
    Range,
    check_fields,
    preset,
)
from sumnist.errors import ConfigError, RunError
from sumnist.files import check_format
from sumnist.model.encoders import build_encoder
from sumnist.serve.settings import Settings


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
        ({"epochs": -1}, "--epochs -1: expected a whole number from 1 to 1,000,000"),
        ({"epochs": 0}, "--epochs 0: expected a whole number from 1 to 1,000,000"),
        ({"batch_size": 0}, "--batch-size 0: expected a whole number from 1 to 1,000,000"),
        ({"validation": -1}, "--validation -1: expected a whole number from 0 to 1,000,000,000"),
        ({"threads": -2}, "--threads -2: expected a whole number from 0 to 1,024"),
        ({"seed": -1}, "--seed -1: expected a whole number from 0 to 2^63 - 1"),
        ({"seed": 1.5}, "--seed 1.5: expected a whole number from 0 to 2^63 - 1"),
        ({"smoothing_fades": "yes"}, "--smoothing-fades yes: expected true or false"),
        ({"betas": (0.9,)}, "--betas 0.9: expected two numbers from 0 to 1"),
        ({"weight_decay": "much"}, "--weight-decay much: expected a number from 0 to 1e+38"),
        ({"seed": 2**63}, "--seed 9223372036854775808: expected a whole number from 0 to 2^63 - 1"),
        ({"largest_number": 10}, "--largest-number 10: expected a whole number from 0 to 9"),
        (
            {"numbers_per_image": 11},
            "--numbers-per-image 11: expected a whole number from 1 to 10, the numbers there are",
        ),
        ({"lr": math.nan}, "--lr nan: expected a number above 0, at most 100, such as 0.003"),
        ({"lr": 0.0}, "--lr 0.0: expected a number above 0, at most 100, such as 0.003"),
        ({"lr": math.inf}, "--lr inf: expected a number above 0, at most 100, such as 0.003"),
        ({"digit_weight": -1.0}, "--digit-weight -1.0: expected a number from 0 to 1e+38"),
        ({"weight_decay": math.nan}, "--weight-decay nan: expected a number from 0 to 1e+38"),
        ({"digit_weight": 0.0, "sum_weight": 0.0}, "--sum-weight 0.0: expected above 0 when --digit-weight is 0"),
        ({"augment_strength": 9.0}, "--augment-strength 9.0: expected a number from 0 to 3"),
        ({"lr_floor": 1.5}, "--lr-floor 1.5: expected a share from 0 to 1"),
        ({"label_smoothing": 0.9}, "--label-smoothing 0.9: expected a number from 0 to 0.5"),
        ({"warmup": 1.5}, "--warmup 1.5: expected a share from 0 to 1"),
        ({"ema": 1.0}, "--ema 1.0: expected 0 (off) or a decay below 1, such as 0.998"),
        ({"betas": (0.9, 1.0)}, "--betas 0.9 1.0: expected two numbers from 0 to 1"),
        ({"betas": 5}, "--betas 5: expected two numbers from 0 to 1"),
        ({"betas": ("a", True)}, "--betas a True: expected two numbers from 0 to 1"),
        ({"device": "gpu"}, "--device gpu: expected auto, cpu, cuda, cuda:N or mps"),
        ({"device": "cuda:-1"}, "--device cuda:-1: expected auto, cpu, cuda, cuda:N or mps"),
        (
            {"device": "cuda:99999999999999999999"},
            "--device cuda:99999999999999999999: expected auto, cpu, cuda, cuda:N or mps",
        ),
        ({"threads": 3_000_000_000}, "--threads 3000000000: expected a whole number from 0 to 1,024"),
        ({"seed": 10**5000}, "--seed of more than 100 digits: expected a whole number from 0 to 2^63 - 1"),
        ({"weight_decay": 10**400}, "--weight-decay of more than 100 digits: expected a number from 0 to 1e+38"),
        ({"batch_size": 1}, "--batch-size 1: expected at least 2, for the batch normalisation of --encoder default"),
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
        "--preset defualt: expected one of fast, default, best, tiny, original, original-as-written, numbers, "
        "cells, addition, addition-best; "
        "did you mean default?"
    )


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_a_configuration_survives_its_json(name: str) -> None:
    config = preset(name, data_dir=Path("digits"), soft_labels=False, seed=3)
    assert Config.from_json(config.to_json(), "config.json") == config


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "a list, not an object"),
        ('{"epoch": 3}', "unknown setting 'epoch'"),
        ('{"epochs": -3}', "--epochs -3: expected a whole number from 1 to 1,000,000"),
        ('{"epochs": "3"}', "--epochs 3: expected a whole number from 1 to 1,000,000"),
        ('{"fold": 1.0}', "--fold 1.0: expected a whole number from 1 to 5, or 0 for none"),
        ('{"betas": null}', "--betas None: expected two numbers from 0 to 1"),
        ("[" * 100_000, "nested too deeply"),
        ('{"betas": ' + "[" * 100_000, "nested too deeply"),
        ('{"lr": null}', "--lr None: expected a number above 0, at most 100, such as 0.003"),
    ],
)
def test_a_configuration_file_that_is_none_is_an_error_that_says_why(text: str, why: str) -> None:
    with pytest.raises(RunError) as caught:
        Config.from_json(text, "run/config.json")
    assert str(caught.value) == f"run/config.json: not a configuration of sumnist ({why}): train the run again"


def test_a_configuration_file_says_its_format_and_one_from_before_there_were_formats_is_read() -> None:
    config = preset("fast", seed=4)
    values = json.loads(config.to_json())
    assert next(iter(values.items())) == ("format", 1)
    del values["format"]
    assert Config.from_json(json.dumps(values), "config.json") == config


def test_a_file_of_a_newer_version_says_so_whatever_else_is_in_it() -> None:
    with pytest.raises(RunError) as caught:
        Config.from_json(json.dumps({"format": FORMAT + 2, "tokens": 7}), "run/config.json")
    assert str(caught.value) == (
        f"run/config.json: written by a newer sumnist: format {FORMAT + 2}, expected at most {FORMAT}: upgrade sumnist"
    )


@pytest.mark.parametrize(("given", "shown"), [(0, "0"), (-1, "-1"), ("1", "'1'"), (1.0, "1.0"), (True, "True")])
def test_a_format_that_is_no_number_of_one_is_an_error(given: object, shown: str) -> None:
    with pytest.raises(RunError) as caught:
        check_format({"format": given}, "a.json", 3)
    assert str(caught.value) == f"a.json: format {shown}, expected a whole number from 1 to 3: copy the file again"


@pytest.mark.parametrize("given", [{}, {"format": 1}, {"format": 2}, {"format": 3}])
def test_known_formats_pass(given: dict[str, int]) -> None:
    check_format(given, "a.json", 3)


WHOLE = "seed", "epochs", "batch_size", "fold", "validation", "largest_number", "numbers_per_image", "threads"
ANY = "lr", "warmup", "ema", "outliers", "augment_strength", "digit_weight", "sum_weight", "weight_decay"


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int32, lambda value: np.array(value)])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_of_numpy_are_whole_and_become_pythons(name: str, kind: Callable[[int], Any]) -> None:
    config = preset("tiny", **{name: kind(3)})
    assert type(getattr(config, name)) is int
    assert config == preset("tiny", **{name: 3})
    assert Config.from_json(config.to_json(), "config.json") == config


@pytest.mark.parametrize("value", [1.0, np.float64(1), np.float32(1), True, np.bool_(True), "1", None, [1], np.ones(2)])
@pytest.mark.parametrize("name", WHOLE)
def test_what_is_no_whole_number_is_refused_whatever_its_value(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^--{name.replace('_', '-')} "):
        preset("tiny", **{name: value})


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64, np.int64, int])
@pytest.mark.parametrize("name", ANY)
def test_numbers_of_numpy_become_pythons_and_a_whole_one_is_a_number_too(
    name: str, kind: Callable[[float], Any]
) -> None:
    value = 0.5 if kind in (np.float32, np.float16, np.float64) and name != "lr" else 0 if name == "ema" else 1
    config = preset("tiny", **{name: kind(value)})
    assert type(getattr(config, name)) is float
    assert config == preset("tiny", **{name: value})
    assert config.to_json() == preset("tiny", **{name: float(value)}).to_json()


@pytest.mark.parametrize("value", [True, np.bool_(False), "0.5", None, np.ones(1), math.nan, np.float32("inf"), 1j])
@pytest.mark.parametrize("name", ANY)
def test_what_is_no_number_is_refused_where_one_is_expected(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^--{name.replace('_', '-')} "):
        preset("tiny", **{name: value})


def test_other_types_of_the_same_value_give_the_same_configuration() -> None:
    config = preset("tiny", betas=np.array([0.5, 0.75]), smoothing_fades=np.bool_(True), device=torch.device("cpu"))
    assert config == preset("tiny", betas=(0.5, 0.75), smoothing_fades=True, device="cpu")
    assert Config.from_json(config.to_json(), "config.json") == config
    assert Settings(port=np.int64(80), drain_seconds=np.float32(0.5)) == Settings(port=80, drain_seconds=0.5)  # type: ignore[arg-type]


def test_a_batch_of_one_is_allowed_where_nothing_is_normalised_over_it() -> None:
    assert preset("tiny", batch_size=1).batch_size == 1
    with pytest.raises(ConfigError, match=r"^--batch-size 1: expected at least 2, for the batch normalisation of"):
        preset("fast", batch_size=1)


def test_the_encoders_that_need_two_images_are_those_that_fail_with_one() -> None:
    for name in get_args(EncoderName):
        encoder = build_encoder(name).train()
        try:
            encoder(torch.zeros(1, 1, 28, 28))
        except ValueError:
            assert name in NORMALISED
        else:
            assert name not in NORMALISED


@dataclass(frozen=True)
class Limited:
    """Fields with limits of every kind."""

    count: Annotated[int, Range(1, 3)] = 2
    """a whole number"""
    share: Annotated[float, Range(0, 1, "a share from 0 to 1")] = 0.5
    """a share"""
    weight: Annotated[float, Range(0.5)] = 1.0
    free: float = 0.0
    """without limits"""


@pytest.mark.parametrize("good", [{}, {"count": 1}, {"count": 3}, {"share": 0}, {"share": 1.0}, {"weight": 0.5},
                                  {"weight": 1e300}, {"free": -math.inf}])  # fmt: skip
def test_both_ends_of_a_range_are_in_it(good: dict[str, Any]) -> None:
    check_fields(Limited(**good))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"count": 0}, "--count 0: expected a whole number from 1 to 3"),
        ({"count": 4}, "--count 4: expected a whole number from 1 to 3"),
        ({"count": 2.0}, "--count 2.0: expected a whole number from 1 to 3"),
        ({"share": math.nextafter(1, 2)}, "--share 1.0000000000000002: expected a share from 0 to 1"),
        ({"share": math.nan}, "--share nan: expected a share from 0 to 1"),
        ({"share": "half"}, "--share half: expected a share from 0 to 1"),
        ({"weight": 0.4}, "--weight 0.4: expected a number of at least 0.5"),
        ({"weight": math.inf}, "--weight inf: expected a number of at least 0.5"),
        ({"weight": None}, "--weight None: expected a number of at least 0.5"),
    ],
)
def test_what_is_outside_a_range_is_named_with_what_was_expected(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_fields(Limited(**bad))
    assert str(caught.value) == message


def help_texts(kind: type) -> dict[str, str]:
    """The text that follows each field of a dataclass in its source; empty where none does."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    texts = {}
    for statement, following in zip(definition.body, [*definition.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = following.value if isinstance(following, ast.Expr) else None
            texts[statement.target.id] = str(text.value) if isinstance(text, ast.Constant) else ""
    return texts


def test_every_setting_has_a_text_of_help() -> None:
    assert [name for name, text in help_texts(Limited).items() if not text] == ["weight"]  # so that this test can fail
    for kind in (Config, Settings):
        texts = help_texts(kind)
        assert list(texts) == [field.name for field in fields(kind)]
        assert all(texts.values())


@pytest.mark.parametrize(("command", "kind"), [("train", Config), ("serve", Settings)])
def test_help_shows_every_flag_with_its_text_and_none_of_our_types(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, kind: type[Config | Settings]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name, text in help_texts(kind).items():
        assert f"--{name.replace('_', '-')}" in shown
        assert text.splitlines()[0].strip() in shown
    assert "Range" not in shown
    assert "Annotated" not in shown
