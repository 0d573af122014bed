"""The record of a machine, on made-up ones: every kind of processor is met on any."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sumnist import environment
from sumnist.environment import bf16_choice, chosen, core_count, describe_machine, processor_name

SERVER = "model name\t: Xeon\nflags\t\t: fpu avx2 avx512f avx512_bf16 avx512_vnni avx_vnni amx_bf16 amx_int8\n"
DESKTOP = "model name\t: Core\nflags\t\t: fpu avx2 avx_vnni\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd\n"


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if torch had not been imported."""
    monkeypatch.delitem(sys.modules, "torch")


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which Linux tells of the processor, to be written."""
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "cpuinfo")
    return tmp_path / "cpuinfo"


@pytest.mark.parametrize(
    ("told", "name", "instructions"),
    [
        (SERVER, "Xeon (avx2, avx512f, avx512_bf16, amx_bf16)",
         ["avx2", "avx512f", "avx512_bf16", "amx_bf16", "avx512_vnni", "avx_vnni", "amx_int8"]),
        (DESKTOP, "Core (avx2)", ["avx2", "avx_vnni"]),
        (ARM, "made up", []),
        (None, "made up", []),
    ],
)  # fmt: skip
def test_a_processor_is_named_with_its_instructions(
    cpuinfo: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, name: str, instructions: list[str]
) -> None:
    monkeypatch.setattr("platform.processor", lambda: "made up")
    if told:
        cpuinfo.write_text(told)
    assert processor_name() == name
    assert chosen()["instructions"] == instructions


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize(
    ("told", "choice"),
    [
        (SERVER, (True, "the processor has amx_bf16 and avx512_bf16")),
        (DESKTOP, (False, "the processor has no instructions for it")),
        (None, (False, "the processor has no instructions for it")),
    ],
)
def test_before_torch_is_loaded_linux_tells_of_bf16(cpuinfo: Path, told: str | None, choice: tuple[bool, str]) -> None:
    if told:
        cpuinfo.write_text(told)
    assert bf16_choice() == choice
    assert chosen()["threads"] == core_count()


@pytest.mark.parametrize(
    ("capabilities", "choice"),
    [
        ({"amx_bf16": True, "avx512_bf16": False}, (True, "the processor has amx_bf16")),
        ({"amx_bf16": False, "avx2": True}, (False, "the processor has no instructions for it")),
        ({}, (False, "this version of torch does not tell the processor's instructions")),
    ],
)
def test_once_torch_is_loaded_it_tells_of_bf16(
    cpuinfo: Path, monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], choice: tuple[bool, str]
) -> None:
    cpuinfo.write_text(SERVER if not choice[0] else DESKTOP)  # which is not asked
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert bf16_choice() == choice
    assert (chosen()["bf16"], chosen()["because"]) == choice
    assert chosen()["threads"] == torch.get_num_threads()


def test_a_version_of_torch_that_tells_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert bf16_choice() == (False, "this version of torch does not tell the processor's instructions")


@pytest.mark.parametrize(
    ("loaded", "version"),
    [("2.15.0+cu132", "2.15.0+cu132"), (None, "2.15.0")],
)
def test_a_library_that_is_loaded_tells_its_version_with_the_build(
    monkeypatch: pytest.MonkeyPatch, loaded: str | None, version: str
) -> None:
    monkeypatch.setattr(environment, "version", lambda name: "2.15.0")
    if loaded:
        told = SimpleNamespace(__version__=loaded, cpu=SimpleNamespace(), get_num_threads=lambda: 1)
        monkeypatch.setitem(sys.modules, "torch", told)
    else:
        monkeypatch.delitem(sys.modules, "torch")
    assert describe_machine()["versions"]["torch"] == version


def test_a_library_that_is_not_there_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "LIBRARIES", ("no such library",))
    assert describe_machine()["versions"] == {"python": sys.version.split()[0], "no such library": "not installed"}


def test_the_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert core_count() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert core_count() == 7


def test_a_machine_is_described_in_json() -> None:
    described = json.loads(json.dumps(describe_machine()))
    assert set(described) == {"versions", "processor", "chosen", "cores", "system", "commit"}
    assert set(described["chosen"]) == {"instructions", "bf16", "because", "threads"}
    assert described["versions"]["torch"] == torch.__version__
