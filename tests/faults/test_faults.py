"""Every command that writes files keeps its promises when a call fails or the process is killed.

`make test` has a fault at each kind of call of a few that write in different ways, `make test-long` of all; `make
faults` tries every fault at every call.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from typing import get_type_hints

import pytest

from faults.commands import COMMANDS, EXPORTED, OLD, READ_ONLY, Command, Step
from faults.trial import MISSING, Trial, Workshop, every_fault, quick_folder, sample
from sumnist.cli.commands import COMMANDS as OURS

WRITERS = {"train --overwrite", "save_pretrained, over an older run", "score, killed before", "sheet new, again"}
"""A run and a network that take the place of others, a table that grows, and a file that is replaced."""
OUTPUTS = {"out", "show", "rows"}
"""The names of fields that name files to write."""
INPUTS = {"model", "source", "pictures", "run_folder", "data_dir", "start_from", "folder", "labels", "from_", "people",
          "font", "layout", "hand", "tables"}  # fmt: skip


@pytest.fixture(scope="session")
def workshop() -> Iterator[Workshop]:
    if MISSING:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    with quick_folder() as folder:
        workshop = Workshop(folder)
        yield workshop
        workshop.close()


@pytest.mark.parametrize(
    "command",
    [pytest.param(one, marks=() if one.name in WRITERS else pytest.mark.long) for one in COMMANDS],
    ids=lambda command: command.name,
)
def test_whatever_fails_nothing_is_lost_and_nothing_is_silently_wrong(command: Command, workshop: Workshop) -> None:
    trial = Trial(workshop, command)
    trial.try_all(sample(trial.calls, COMMANDS.index(command)))
    assert trial.tried >= len({call.partition(" ")[0] for call in trial.calls})
    assert [str(finding) for finding in trial.findings] == []


@pytest.mark.parametrize("name", OURS)
def test_every_command_and_every_flag_that_names_an_output_is_tried_unless_it_writes_nothing(name: str) -> None:
    lines = [command.words.split() for command in COMMANDS if f"{command.words} ".startswith(f"{name} ")]
    assert bool(lines) != (name in READ_ONLY)
    if lines:
        hints = get_type_hints(OURS[name])
        paths = {field.name for field in fields(OURS[name]) if "Path" in str(hints[field.name])}
        assert paths <= OUTPUTS | INPUTS, f"is {paths - OUTPUTS - INPUTS} written or read?"
        given = {word for words in lines for word in words}
        assert {f"--{flag}" for flag in paths & OUTPUTS} - {"--out"} <= given
        assert "--out" in given or "out" not in paths or name == "export"


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, words in READ_ONLY.items() if words])
def test_what_only_reads_changes_no_file(name: str, workshop: Workshop) -> None:
    workshop.begin_with((OLD, EXPORTED, Step("evaluate run")))
    outcome = workshop.run(READ_ONLY[name] or "")
    assert (outcome.status, outcome.errors) == (0, "")
    assert [call for call in outcome.calls if " tmp/" not in call] == []


# A check that cannot fail proves nothing: what the harness says of commands that are wrong.

BEGIN = """
import os, subprocess, sys, time
from pathlib import Path
from sumnist.files import write_atomically
from sumnist.errors import SumnistError
table, mine = Path("table.txt"), Path("mine.txt")
"""
TABLE = Step(code="from pathlib import Path\nPath('table.txt').write_text('old')")
WRITE = "write_atomically(table, 'new' * 9)"
CHANGED = "table.txt was there, and is neither as it was nor complete"
GONE = "table.txt was there, and is gone"
NOT_DONE = "it ends with 0, and table.txt"
WRONG = {
    "a safe one": (WRITE, 5, set[str]()),
    "emptied before its successor is written": ("table.write_text('new')", 2, {CHANGED}),
    "removed before its successor is written": (f"table.unlink(missing_ok=True)\n{WRITE}", 6, {GONE}),
    "an error that is swallowed": (f"try:\n    {WRITE}\nexcept SumnistError:\n    pass", 5, {NOT_DONE}),
    "a write that was taken in part": (
        "file = os.open('.half', os.O_WRONLY | os.O_CREAT)\nos.write(file, b'new' * 9)\nos.replace('.half', table)", 3,
        {NOT_DONE},
    ),
    "what is left over": (
        "half = Path(f'.half-{time.time_ns()}')\nhalf.write_text('new')\nhalf.replace(table)\ntime.sleep(0.01)", 3,
        {"done again, .half-"},
    ),
    "one that cannot be done again": (f"os.mkdir('lock')\n{WRITE}\nos.rmdir('lock')", 7, {"done again, it fails"}),
    "a traceback": (
        f"try:\n    {WRITE}\nexcept SumnistError as error:\n    raise ValueError from error", 5,
        {"it says 'Traceback'"},
    ),
    "a failure without a message": (
        f"try:\n    {WRITE}\nexcept SumnistError:\n    sys.exit(1)", 5, {"it fails with 0 messages"},
    ),
    "processes that are left behind": (
        f"child = subprocess.Popen(['sleep', '30'])\n{WRITE}\nchild.kill()\nchild.wait()", 5,
        {"it does not end, or leaves processes behind"},
    ),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", WRONG)
def test_the_harness_finds_what_is_wrong(name: str, workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(workshop.server), "patience", 5.0)
    code, calls, expected = WRONG[name]
    indented = "".join(f"    {line}\n" for line in code.splitlines())
    guarded = f"{BEGIN}\ntry:\n{indented}except (OSError, SumnistError) as error:\n    sys.exit(f'sumnist: {{error}}')"
    trial = Trial(workshop, Command(name, code=guarded, steps=(TABLE,)))
    assert len(trial.calls) == calls, trial.calls
    trial.try_all(every_fault(trial.calls))
    found = {finding.wrong for finding in trial.findings}
    assert all(any(wrong.startswith(part) for wrong in found) for part in expected), found
    assert expected or not found


MIXED = """
from sumnist.files import write_atomically
from pathlib import Path
Path("run/evaluation.json").unlink(missing_ok=True)
write_atomically(Path("run/mine.txt"), "touched")
write_atomically(Path("run/model.safetensors"), Path("INPUTS/other/model.safetensors").read_bytes())
write_atomically(Path("run/mine.txt"), "")
"""


@pytest.mark.long
def test_the_harness_finds_a_run_that_loses_its_evaluation_and_a_file_of_the_user_that_is_touched(
    workshop: Workshop,
) -> None:
    trial = Trial(workshop, Command("mixed", code=MIXED, steps=(OLD, Step("evaluate run")), run="run"))
    trial.try_all(fault for fault in every_fault(trial.calls) if fault.what == "SIGKILL")
    found = {finding.wrong for finding in trial.findings}
    assert "the run that was there has lost its evaluation" in found
    assert "run/mine.txt was there, and is neither as it was nor complete" in found


def test_nothing_is_asked_about_a_file_that_is_only_read(workshop: Workshop) -> None:
    workshop.begin_with((Step(code="open('table.txt', 'w').close()"),))
    assert workshop.run(code="open('table.txt').read()").calls == []
    assert workshop.run(code="open('table.txt', 'r+').close()").calls == ["open table.txt"]
