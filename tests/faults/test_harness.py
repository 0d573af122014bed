"""The harness finds what is wrong with commands that are: a check that cannot fail proves nothing."""

from __future__ import annotations

import pytest

from faults.commands import Command, Step
from faults.trial import Finding, Trial, Workshop, every_fault

pytestmark = pytest.mark.heavy

BEGIN = """
import os, subprocess, sys, time
from pathlib import Path
from sumnist.files import write_atomically
from sumnist.errors import SumnistError
table, mine = Path("table.txt"), Path("mine.txt")
"""
OLD = Step(code="from pathlib import Path\nPath('table.txt').write_text('old')")


def found(workshop: Workshop, code: str, calls: int, steps: tuple[Step, ...] = (OLD,), keeps: bool = True) -> set[str]:
    """What the harness says of some code, whatever the fault and the call; it makes so many calls."""
    indented = "".join(f"    {line}\n" for line in code.strip().splitlines())
    guarded = f"{BEGIN}\ntry:\n{indented}except (OSError, SumnistError) as error:\n    sys.exit(f'sumnist: {{error}}')"
    trial = Trial(workshop, Command("unsafe", code=guarded, steps=steps, keeps=keeps))
    assert len(trial.calls) == calls, trial.calls
    trial.try_all(every_fault(trial.calls))
    return {short(finding) for finding in trial.findings}


def short(finding: Finding) -> str:
    return finding.wrong.partition(":")[0] if "Traceback" not in finding.wrong else "Traceback"


def test_a_safe_command_has_no_findings(workshop: Workshop) -> None:
    assert found(workshop, "write_atomically(table, 'new' * 9)", 5) == set()


def test_it_finds_a_file_that_is_emptied_before_its_successor_is_written(workshop: Workshop) -> None:
    assert "table.txt was there, and is neither as it was nor complete" in found(workshop, "table.write_text('new')", 2)


def test_it_finds_a_file_that_is_removed_before_its_successor_is_written(workshop: Workshop) -> None:
    code = "table.unlink(missing_ok=True)\nwrite_atomically(table, 'new')"
    assert found(workshop, code, 6) == {"table.txt was there, and is gone"}


def test_it_finds_an_error_that_is_swallowed(workshop: Workshop) -> None:
    code = "try:\n    write_atomically(table, 'new')\nexcept SumnistError:\n    pass"
    assert found(workshop, code, 5) == {"it ends with 0, and table.txt"}


def test_it_finds_a_write_that_was_taken_in_part(workshop: Workshop) -> None:
    code = "file = os.open('.half', os.O_WRONLY | os.O_CREAT)\nos.write(file, b'new' * 9)\nos.replace('.half', table)"
    assert "it ends with 0, and table.txt" in found(workshop, code, 3)


def test_it_finds_what_is_left_over(workshop: Workshop) -> None:
    code = "half = Path(f'.half-{time.time_ns()}')\nhalf.write_text('new')\nhalf.replace(table)\ntime.sleep(0.01)"
    assert any(text.startswith("done again, .half-") for text in found(workshop, code, 3))


def test_it_finds_a_command_that_cannot_be_done_again(workshop: Workshop) -> None:
    code = "os.mkdir('lock')\nwrite_atomically(table, 'new')\nos.rmdir('lock')"
    assert "done again, it fails" in found(workshop, code, 7)


def test_it_finds_a_file_of_the_user_that_is_touched(workshop: Workshop) -> None:
    code = "mine.write_text('')\nmine.write_text('of the user, and not to be touched')\nwrite_atomically(table, 'new')"
    assert "mine.txt was there, and is neither as it was nor complete" in found(workshop, code, 8, keeps=False)


def test_it_finds_a_traceback_and_a_failure_without_a_message(workshop: Workshop) -> None:
    code = "try:\n    write_atomically(table, 'new')\nexcept SumnistError as error:\n    raise ValueError from error"
    assert found(workshop, code, 5) == {"Traceback"}
    code = "try:\n    write_atomically(table, 'new')\nexcept SumnistError:\n    sys.exit(1)"
    assert found(workshop, code, 5) == {"it fails with 0 messages"}


def test_it_finds_processes_that_are_left_behind(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(workshop.server), "patience", 1.0)
    code = "child = subprocess.Popen(['sleep', '30'])\nwrite_atomically(table, 'new')\nchild.kill()\nchild.wait()"
    assert "it does not end, or leaves processes behind" in found(workshop, code, 5)


MIXED = """
from sumnist.files import write_atomically
from pathlib import Path
for name in ("model.safetensors", "config.json"):
    write_atomically(Path("run", name), Path("INPUTS/other", name).read_bytes())
"""


def test_it_finds_a_run_of_two_runs_and_derived_files_of_an_older_one(workshop: Workshop) -> None:
    steps = (Step("train --preset tiny --data-dir INPUTS/digits --validation 0 --epochs 2 --out run --device cpu"),)
    trial = Trial(workshop, Command("mixed", code=MIXED, steps=steps, run="run"))
    trial.try_all(fault for fault in every_fault(trial.calls) if fault.what == "SIGKILL")
    assert {finding.wrong for finding in trial.findings if finding.fault and finding.fault.at > 5} >= {
        "it is neither the run that was there nor the new one"
    }


def test_it_finds_a_command_that_leaves_something_else_when_begun_anew(workshop: Workshop) -> None:
    steps = (Step("graph --preset fast --out graph.svg"),)
    words = "graph --preset tiny --out graph.svg"
    trial = Trial(workshop, Command("graph", words, steps=steps, like="graph --preset fast --out graph.svg"))
    assert [finding.wrong for finding in trial.findings] == ["graph.svg: other than undisturbed"]
    assert Trial(workshop, Command("graph", words, steps=steps, like=words)).findings == []
