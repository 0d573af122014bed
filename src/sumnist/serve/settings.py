"""Defines the settings of a server; every field is a flag of `sumnist serve`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from sumnist.config import Range, check_fields
from sumnist.files import LEARNED, PRETRAINED

if TYPE_CHECKING:
    from sumnist.serve.hands import Hands

MIB = 2**20

Seconds = Annotated[float, Range(0.1, 3_600)]


@dataclass(frozen=True)
class Settings:
    """Where a server listens, its networks, and its limits. Raises `ConfigError` for a value that is not valid."""

    host: str = "127.0.0.1"
    """address to listen on; an address that others can reach, such as 0.0.0.0, needs --token-file or --open"""
    token_file: Path | None = None
    """file of tokens, one a line, of which a client must send one; SIGHUP reads it again (default: no token is
    needed)"""
    open: bool = False
    """let everybody who reaches the address ask, without a token"""
    allow_host: tuple[str, ...] = ()
    """host names by which clients may call the server, such as digits.example.org (default: any)"""
    port: Annotated[int, Range(0, 65_535)] = 8000
    """port to listen on; 0 takes a free one"""
    workers: Annotated[int, Range(0, 256)] = 0
    """processes that read, each with its own network and one request at a time; 0 means one for each core"""
    model: Path = PRETRAINED
    """ONNX file or run folder of the network to use (default: the one that comes with the package)"""
    beside: Path | None = LEARNED
    """ONNX file or run folder of a network that learned to add, which the page shows for comparison (default: the small
    one that comes with the package)"""
    queue: Annotated[int, Range(0, 10_000)] = 256
    """requests that may wait for a process; one more waits for a moment, then it is answered 503"""
    body_mib: Annotated[int, Range(1, 1_024)] = 16
    """most MiB of a request's body"""
    batch: Annotated[int, Range(1, 10_000)] = 64
    """most pictures in one request to /v1/read/batch"""
    hands: Path | None = None
    """folder in which learned hands are kept (default: none is kept)"""
    hand_days: Annotated[float, Range(0.001, 36_500)] = 30.0
    """days for which a hand is kept after its last use"""
    most_hands: Annotated[int, Range(1, 1_000_000)] = 1_000
    """most hands that are kept"""
    examples: Annotated[int, Range(1, 1_000)] = 200
    """most pictures in one request to /v1/hands"""
    receive_seconds: Seconds = 10.0
    """longest time that a client may take to send a request, in seconds"""
    reading_seconds: Seconds = 10.0
    """longest time in seconds for a request to wait and be read, before it is answered 503"""
    drain_seconds: Annotated[float, Range(0, 3_600)] = 0.0
    """seconds after SIGTERM in which the server still answers and only /readyz says no, so that a load balancer
    notices"""

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def kept(self) -> Hands | None:
        """The folder of hands, if hands are kept."""
        from sumnist.serve.hands import Hands

        return None if self.hands is None else Hands(self.hands, self.hand_days, self.most_hands)
