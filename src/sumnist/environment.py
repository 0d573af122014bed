"""The record of a run: what one needs to know to repeat it or to doubt it."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["commit", "core_count", "describe_machine", "now", "processor_name"]

LIBRARIES = ("sumnist", "torch", "numpy", "safetensors")


def describe_machine() -> dict[str, Any]:
    """Versions, processor and commit, for JSON."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "versions": versions,
        "processor": processor_name(),
        "cores": core_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "commit": commit(),
    }


def core_count() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """The processor's name for itself, with the vector instructions that matter for speed where Linux tells them."""
    name, flags = platform.processor() or platform.machine(), ""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() == "flags":
                flags = value
    except OSError:
        pass
    known = [label for label in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if label in flags.split()]
    return f"{name} ({', '.join(known)})" if known else name


def commit() -> str | None:
    """The commit of the checkout that this package runs from, `+changes` if it has any; None outside a checkout."""
    package = Path(__file__).resolve().parent
    root = package.parent.parent
    if not (root / ".git").exists():
        return None
    try:
        head = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain", "--", str(package)],
            capture_output=True, text=True, timeout=10, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+changes" if changed else "")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
