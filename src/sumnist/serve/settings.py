"""What can be set about a server; every field is a flag of `sumnist serve`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from sumnist.errors import ConfigError
from sumnist.files import PRETRAINED

__all__ = ["MIB", "Settings"]

MIB = 2**20

LEAST = {
    "port": 0, "workers": 1, "concurrency": 1, "queue": 0, "body_mib": 1, "batch": 1, "receive_seconds": 0.1,
    "reading_seconds": 0.1, "drain_seconds": 0,
}  # fmt: skip
MOST = {
    "port": 65_535, "workers": 256, "concurrency": 256, "queue": 10_000, "body_mib": 1_024, "batch": 10_000,
    "receive_seconds": 3_600, "reading_seconds": 3_600, "drain_seconds": 3_600,
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Where to listen, with what, and the limits. Raises `ConfigError` for a value that makes no sense."""

    host: str = "127.0.0.1"
    """address to listen on; 0.0.0.0 is every address of this machine, so that others can ask"""
    port: int = 8000
    """port to listen on; 0 takes a free one"""
    workers: int = 1
    """processes that serve, each with a network of its own"""
    model: Path = PRETRAINED
    """ONNX file or run folder of the network to use (default: the one that comes with the package)"""
    beside: Path | None = None
    """a second network, ONNX file or run folder, whose sum the page shows beside: one that learned to add, say"""
    concurrency: int = 2
    """requests that a worker reads at once, each on a thread"""
    queue: int = 32
    """requests that may wait in a worker for those; the next one is answered 503 at once"""
    body_mib: int = 16
    """most MiB of a request's body"""
    batch: int = 64
    """most pictures in one request to /v1/read/batch"""
    receive_seconds: float = 10.0
    """longest time that a client may take to send a request"""
    reading_seconds: float = 10.0
    """longest time that a request may wait and be read, before it is answered 503"""
    drain_seconds: float = 0.0
    """time after SIGTERM during which all is still served and only /readyz says no, for a balancer to notice"""

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and least <= value <= MOST[name]):
                flag, whole = name.replace("_", "-"), "a number" if name.endswith("seconds") else "a whole number"
                raise ConfigError(f"--{flag} {value}: expected {whole} from {least} to {MOST[name]:,}")

    @property
    def body_bytes(self) -> int:
        """Most bytes of a request's body."""
        return self.body_mib * MIB

    @property
    def held_bytes(self) -> int:
        """Most bytes of all bodies that a worker holds at once."""
        return 8 * self.body_bytes
