"""What the tests with faults share: a workshop for each process of pytest."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from faults.trial import MISSING, Workshop, quick_folder


@pytest.fixture(scope="session")
def workshop() -> Iterator[Workshop]:
    if MISSING:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    with quick_folder() as folder:
        workshop = Workshop(folder)
        yield workshop
        workshop.close()
