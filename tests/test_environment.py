"""The record of a machine, on made-up ones: every kind of processor is met on any."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sumnist import environment
from sumnist.environment import bf16_choice, chosen, core_count, library_version, processor_name

SERVER = "model name\t: Xeon\nflags\t\t: fpu avx2 avx512f avx512_bf16 avx512_vnni avx_vnni amx_bf16 amx_int8\n"
DESKTOP = "model name\t: Core\nflags\t\t: fpu avx2 avx_vnni\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd\n"


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which Linux tells of the processor, to be written."""
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "cpuinfo")
    return tmp_path / "cpuinfo"


def test_a_processor_is_named_with_its_instructions(cpuinfo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.processor", lambda: "made up")
    assert (processor_name(), chosen()["instructions"]) == ("made up", [])
    for told, name, instructions in (
        (SERVER, "Xeon (avx2, avx512f, avx512_bf16, amx_bf16)",
         ["avx2", "avx512f", "avx512_bf16", "amx_bf16", "avx512_vnni", "avx_vnni", "amx_int8"]),
        (DESKTOP, "Core (avx2)", ["avx2", "avx_vnni"]),
        (ARM, "made up", []),
    ):  # fmt: skip
        cpuinfo.write_text(told)
        assert (processor_name(), chosen()["instructions"]) == (name, instructions)


NONE = "the processor has no instructions for it"
UNTOLD = "this version of torch does not tell the processor's instructions"


@pytest.mark.parametrize(
    ("linux", "capabilities", "choice"),
    [
        (SERVER, None, (True, "the processor has amx_bf16 and avx512_bf16")),
        (DESKTOP, None, (False, NONE)),
        (ARM, None, (False, NONE)),
        (DESKTOP, {"amx_bf16": True, "avx512_bf16": False}, (True, "the processor has amx_bf16")),
        (SERVER, {"amx_bf16": False, "avx2": True}, (False, NONE)),
        (SERVER, {}, (False, UNTOLD)),
        (SERVER, "", (False, UNTOLD)),  # an older torch, which has no such function
    ],
)
def test_linux_tells_of_bf16_before_torch_is_loaded_and_then_torch(
    cpuinfo: Path, monkeypatch: pytest.MonkeyPatch, linux: str, capabilities: Any, choice: tuple[bool, str]
) -> None:
    cpuinfo.write_text(linux)
    threads = torch.get_num_threads()
    if capabilities is None:
        monkeypatch.delitem(sys.modules, "torch")
        threads = core_count()
    elif capabilities == "":
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert bf16_choice() == choice
    assert [chosen()[name] for name in ("bf16", "because", "threads")] == [*choice, threads]


def test_a_library_tells_its_version_with_the_build_if_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library_version("no such library") == "not installed"
    monkeypatch.setattr(environment, "version", lambda name: "2.15.0")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="2.15.0+cu132"))
    assert library_version("torch") == "2.15.0+cu132"
    monkeypatch.delitem(sys.modules, "torch")
    assert library_version("torch") == "2.15.0"
