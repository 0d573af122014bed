"""The lines of docs/serving.md run against a real server, and what the page says of it is so."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from served import Server
from sumnist.serve.metrics import Metrics
from sumnist.serve.problems import KINDS
from sumnist.serve.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/serving.md").read_text(encoding="utf-8")


def here(text: str, server: Server) -> str:
    """The text with the address of the server in place of the usual one."""
    return text.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")


def commands() -> list[str]:
    return [line.removeprefix("$ ") for line in PAGE.splitlines() if line.startswith("$ ")]


def output(command: str, server: Server) -> str:
    result = subprocess.run(here(command, server), shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), command
    return result.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_lines_with_curl_run(shared: Server) -> None:
    lines = [command for command in commands() if command.startswith("curl")]
    assert len(lines) == 8
    form, as_json, batch, number, problem, health, ready, metrics = (output(line, shared) for line in lines)
    assert (json.loads(form)["digit"], json.loads(form)["sum"]) == (5, 12)
    image = json.loads(as_json).pop("image")
    assert [len(row) for row in image] == [28] * 28
    assert json.loads(as_json) == json.loads(form) | {"image": image}
    first, second = json.loads(batch)["readings"]
    assert (first["sum"], second["error"]["status"]) == (12, 415)
    assert (json.loads(number)["value"], json.loads(number)["accepted"]) == (5, True)
    assert json.loads(problem)["type"] == "urn:sumnist:problem:unknown-format"
    assert (json.loads(health), json.loads(ready)) == ({"status": "alive"}, {"status": "ready"})
    assert metrics.startswith("# HELP sumnist_requests_total ")


def test_the_python_runs(shared: Server) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    command = [sys.executable, "-W", "error", "-c", here(code, shared)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("5 12 True\n", "")


def test_the_page_names_every_problem_metric_flag_field_and_member(shared: Server) -> None:
    assert here(PAGE, shared).count(shared.line) == 1
    rows = {row.split("|")[1].strip(): row for row in PAGE.splitlines() if row.startswith("| ")}
    for kind in KINDS.values():
        row = next(row for statuses, row in rows.items() if str(kind.status) in statuses.split(", "))
        assert f"`{kind.slug}`" in row
    for name in re.findall(r"# TYPE (\w+)", bytes(Metrics().answer().body).decode()):
        assert f"`{name}`" in rows
    flags = {f"--{name.replace('_', '-')}" for name in Settings.__dataclass_fields__} | {"--help"}
    assert set(re.findall(r"--[a-z-]+", PAGE.replace(" --- ", ""))) <= flags
    document = json.loads(shared.get("/openapi.json")[1])
    _, numbers = PAGE.split("### Numbers of any length")
    for path, part in (("/v1/read", PAGE), ("/v1/read-number", numbers.split("###", 1)[0])):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) >= set(content["properties"])
    for schema in ("Reading", "NumberReading", "Candidate"):
        for member in document["components"]["schemas"][schema]["properties"]:
            assert f"`{member}`" in (PAGE if schema == "Reading" else numbers)
