"""What a folder holds, as far as it can be the same twice: without times, commits and numbers of processes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path
from zipfile import ZipFile, is_zipfile

__all__ = ["FOLDER", "Tree", "digest_of", "put", "tree_of"]

Tree = dict[str, bytes]
"""The content of each file by its path; of a folder `FOLDER`, of a link where it leads."""
FOLDER = b"a folder"
TIMES = re.compile(
    rb'(\\?"(?:started|ended|date|commit|seconds|cpu_seconds|images_per_second)\\?": ?)(\\?"[^"]*"|[-+.\deE]+|null)'
)
CHECKSUM = re.compile(rb'("sha256": ?")[0-9a-f]{64}')
CREATED = re.compile(rb"<dcterms:[^<]*")
"""When a workbook was written, as it says itself."""
NOT_OURS = "tmp"
"""The folder for temporary files: a process that is killed may leave some."""


def tree_of(root: Path) -> Tree:
    """All that lies under `root`, but for temporary files."""
    tree = {}
    for folder, folders, files in os.walk(root):
        if Path(folder) == root and NOT_OURS in folders:
            folders.remove(NOT_OURS)
        for name in (*folders, *files):
            path = Path(folder, name)
            known = re.sub(r"(partial-)\d+", r"\1N", str(path.relative_to(root)))
            tree[known] = content_of(path)
    return tree


def content_of(path: Path) -> bytes:
    """The content of a file without its times."""
    if path.is_symlink():
        return b"a link to " + os.fsencode(path.readlink())
    if path.is_dir():
        return FOLDER
    if path.suffix == ".xlsx" and is_zipfile(path):
        with ZipFile(path) as book:
            return b"".join(os.fsencode(name) + CREATED.sub(b"", book.read(name)) for name in book.namelist())
    content = TIMES.sub(rb"\1_", path.read_bytes())
    if b"cpu_seconds" in content and b"__metadata__" in content:  # a state: its header, its length and its checksum
        content = re.sub(rb" +", b" ", CHECKSUM.sub(rb"\1", content[8:]))
    return content


def digest_of(tree: Tree) -> str:
    """The same text for the same tree."""
    digest = hashlib.sha256()
    for name in sorted(tree):
        digest.update(b"%d %d " % (len(name), len(tree[name])) + os.fsencode(name) + tree[name])
    return digest.hexdigest()


def put(source: Path, root: Path) -> None:
    """Make `root` the same as `source`."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(source, root, symlinks=True)
