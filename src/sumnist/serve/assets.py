"""The files of the page, as they come with the package: read once, told apart by their checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.responses import Response

__all__ = ["files_in"]

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png", ".woff2": "font/woff2",
}  # fmt: skip
"""Types by suffix; those of the system may be wrong, or changed by whoever set it up."""


def files_in(folder: Path = STATIC) -> dict[str, Response]:
    """The answers with the files in `folder` and below, by their path from there; no other file is ever sent."""
    return {
        path.relative_to(folder).as_posix(): answer_with(path.read_bytes(), TYPES[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in TYPES
    }


def answer_with(content: bytes, media_type: str) -> Response:
    """An answer that browsers keep, and ask for again by its checksum, so that a new version is seen at once."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Response(content, media_type=media_type, headers={"etag": etag, "cache-control": "no-cache"})
