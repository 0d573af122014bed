"""Checks who may ask a server: a client must send one of its tokens, if it has any, and call it by one of its names."""

from __future__ import annotations

import ipaddress
import logging
import re
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from starlette.types import Scope

from sumnist.errors import ConfigError
from sumnist.serve.problems import Problem

LOG = logging.getLogger("sumnist.serve")
TOKEN = re.compile(r"[!-~]{16,200}")
"""A token: 16 to 200 visible characters."""
MOST_BYTES = 2**20
"""The most bytes of a file of tokens."""
PROBES = ("/healthz", "/readyz")
"""Paths that anybody may ask for, under any name: a load balancer knows neither tokens nor names."""
GUARDED = ("/v1/", "/metrics")
"""The beginnings of the paths that need a token. The page needs none: it holds no data, and it asks for the token."""


class Access:
    """Checks who may ask.

    Args:
        tokens: The file of tokens, one a line; None if no token is needed.
        names: The host names of the server; if there are none, any name is allowed.

    Raises:
        ConfigError: The file cannot be read, has no token, or has a line that is no token.
    """

    def __init__(self, tokens: Path | None = None, names: tuple[str, ...] = ()) -> None:
        self.path, self.names, self.digests = tokens, {name.lower() for name in names}, list[bytes]()
        if tokens is not None:
            self.digests = digests_in(tokens)

    def reload(self) -> None:
        """Read the tokens again. If the file is not valid, log why, and keep the tokens that were read before."""
        if self.path is not None:
            try:
                self.digests = digests_in(self.path)
            except ConfigError as error:
                LOG.error("%s; the tokens stay as they were", error)

    def check(self, scope: Scope) -> None:
        """Raise a `Problem` if the request is not allowed."""
        path, headers = scope["path"], dict[bytes, list[str]]()
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value.decode("latin-1"))
        if path in PROBES:
            return
        host = headers.get(b"host", [""])[0]
        if self.names and re.sub(r":\d*$", "", host).lower() not in self.names:
            raise Problem("forbidden", f"host {host!r:.100}: expected a name of this server: ask by that name")
        if not self.digests or not path.startswith(GUARDED):
            return
        kind, _, token = (headers.get(b"authorization") or [""])[0].partition(" ")
        said = sha256(token.strip().encode("latin-1")).digest()
        # All tokens are compared, each in constant time, so that the time to answer reveals nothing about them.
        if kind.lower() != "bearer" or True not in [compare_digest(said, digest) for digest in self.digests]:
            given = "another token" if token else "no token"
            raise Problem(
                "unauthorized", f"{given} was sent, expected a header 'Authorization: Bearer TOKEN' with one that this "
                "server knows: ask who runs it for one", **{"www-authenticate": "Bearer"},
            )  # fmt: skip


def digests_in(path: Path) -> list[bytes]:
    """The SHA-256 of each token in a file. Raises `ConfigError`."""
    if path.exists() and not path.is_file():
        raise ConfigError(f"--token-file {path}: is a folder or a device, expected a text file, a token a line")
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ConfigError(f"--token-file {path}: more than {MOST_BYTES:,} bytes, expected a token a line")
        lines = content.decode().splitlines()
    except (OSError, UnicodeError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise ConfigError(
            f"--token-file {path}: cannot be read ({reason}): expected a text file, a token a line"
        ) from error
    tokens = {number: line.strip() for number, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"}
    for number, token in tokens.items():
        if not TOKEN.fullmatch(token):
            raise ConfigError(
                f"--token-file {path}, line {number}: {len(token)} characters, expected 16 to 200 visible ones: "
                "`python -c 'import secrets; print(secrets.token_urlsafe())'` makes a token"
            )
    if not tokens:
        raise ConfigError(f"--token-file {path}: has no token: write at least one, each on a line of its own")
    return [sha256(token.encode()).digest() for token in tokens.values()]


def check_open(address: str, tokens: Path | None, is_open: bool) -> None:
    """Raise `ConfigError` if both tokens and `--open` are given, or if neither is given and others can reach the
    address."""
    if tokens is not None and is_open:
        raise ConfigError("--token-file and --open: expected one of them: with tokens, the server is not open")
    if tokens is None and not is_open and not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        raise ConfigError(
            f"--host {address}: others can reach this address, expected --token-file FILE, so that only those with a "
            "token may ask, or --open, if everybody may"
        )
