"""Schemathesis asks whatever the OpenAPI document allows, and much that it does not, and holds the answers to it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from test_serve_process import Server, metric

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.heavy
def test_schemathesis_finds_no_answer_that_the_document_does_not_promise() -> None:
    server = Server("--batch", "4")
    try:
        result = subprocess.run(
            [Path(sys.executable).parent / "schemathesis", "run", f"http://127.0.0.1:{server.port}/openapi.json",
             "--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--seed", "1", "--no-color"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout
        assert re.search(r"Selected: 6/6\s+Tested: 6", result.stdout), result.stdout
        for route in ("/v1/read", "/v1/read/batch", "/v1/read-number"):  # both what is right and what is wrong
            assert metric(server, f'sumnist_requests_total{{route="{route}",status="200"}}') > 0
            assert metric(server, f'sumnist_requests_total{{route="{route}",status="422"}}') > 0
    finally:
        assert server.end() == (0, "")
