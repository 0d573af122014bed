"""Describes the machine for the record of a run: versions, processor, settings chosen by it, and the commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("sumnist", "torch", "numpy", "safetensors")
NAMED = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""Vector instructions that `processor_name` shows. Results are grouped by this name: more instructions would split the
groups."""
INSTRUCTIONS = (*NAMED, "avx512_vnni", "avx_vnni", "amx_int8")
"""All vector instructions on which speed depends; the last three multiply 8-bit numbers."""
CPUINFO = Path("/proc/cpuinfo")


def describe_machine() -> dict[str, Any]:
    """Versions, processor, settings chosen by it, cores, system and commit, for JSON."""
    return {
        "versions": {"python": platform.python_version()} | {name: library_version(name) for name in LIBRARIES},
        "processor": processor_name(),
        "chosen": chosen(),
        "cores": core_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "commit": commit(),
    }


def library_version(name: str) -> str:
    """A library's own `__version__` if it is loaded, else the version in its metadata, where torch's may lack the build
    (+cu132)."""
    try:
        return str(getattr(sys.modules.get(name), "__version__", None) or version(name))
    except PackageNotFoundError:
        return "not installed"


def chosen() -> dict[str, Any]:
    """The processor's instructions, and the choices that the program makes by them for settings of "auto", for JSON.

    Returns:
        `instructions` has those of `INSTRUCTIONS` that the processor has, as Linux reports them. `bf16` says whether
        training uses bf16, and `because` why. `threads` says how many threads torch uses, or would use.
    """
    bf16, because = bf16_choice()
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else core_count()
    return {"instructions": instructions(), "bf16": bf16, "because": because, "threads": threads}


def bf16_choice() -> tuple[bool, str]:
    """Whether this processor has instructions for bf16, and the reason. Without them bf16 is emulated, far slower than
    fp32.

    The answer comes from torch once torch is loaded, and from Linux before that.
    """
    torch = sys.modules.get("torch")
    capabilities = getattr(torch.cpu, "get_capabilities", dict)() if torch else dict.fromkeys(instructions(), True)
    if torch and not capabilities:
        return False, "this version of torch does not tell the processor's instructions"
    fast = [name for name in ("amx_bf16", "avx512_bf16") if capabilities.get(name)]
    return bool(fast), f"the processor has {' and '.join(fast)}" if fast else "the processor has no instructions for it"


def core_count() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """The name that the processor reports, with those of its instructions that are in `NAMED`."""
    name = cpuinfo().get("model name") or platform.processor() or platform.machine()
    known = ", ".join(instruction for instruction in instructions() if instruction in NAMED)
    return f"{name} ({known})" if known else name


def instructions() -> list[str]:
    """The instructions of `INSTRUCTIONS` that the processor has, as Linux reports them; empty on other systems."""
    flags = cpuinfo().get("flags", "").split()
    return [instruction for instruction in INSTRUCTIONS if instruction in flags]


def cpuinfo() -> dict[str, str]:
    """The entries of /proc/cpuinfo for the last core; empty on systems other than Linux."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def commit() -> str | None:
    """The commit of the checkout that this package runs from, with `+changes` if its files have changed since; None
    outside a checkout."""
    package = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(package), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    if not (package.parent.parent / ".git").exists():
        return None
    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", str(package)) else "")
    except (OSError, subprocess.SubprocessError):
        return None


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
