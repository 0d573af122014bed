"""The files of the page, as they come with the package: read once, told apart by their digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["File", "files_in"]

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8", ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png",
    ".jpg": "image/jpeg", ".ico": "image/x-icon", ".webp": "image/webp", ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8", ".webmanifest": "application/manifest+json", ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
}  # fmt: skip
"""Types by suffix; those of the system may be wrong, or changed by whoever set it up."""


@dataclass(frozen=True)
class File:
    """What is sent of a file."""

    content: bytes
    headers: dict[str, str]

    @property
    def etag(self) -> str:
        """Changes when the content does."""
        return self.headers["etag"]


def files_in(folder: Path = STATIC) -> dict[str, File]:
    """The files in `folder` and below, by their path from there. What is not in here is never sent."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in TYPES:
            content = path.read_bytes()
            found[path.relative_to(folder).as_posix()] = File(
                content,
                {
                    "content-type": TYPES[path.suffix],
                    "etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
                    "cache-control": "no-cache",  # kept, and asked for again: a new version is seen at once
                },
            )
    return found
