"""Every command that writes files keeps its promises when a call fails or the process is killed: a sample, fixed by
seed. `make faults` tries all."""

from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

import pytest

from faults.commands import COMMANDS, READ_ONLY, Command
from faults.trial import Trial, Workshop, sample
from sumnist.cli import commands

OUTPUTS = {"out", "show", "rows"}
"""The names of fields that name files to write."""


@pytest.mark.heavy
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_whatever_fails_nothing_is_lost_and_nothing_is_silently_wrong(command: Command, workshop: Workshop) -> None:
    trial = Trial(workshop, command)
    trial.try_all(sample(trial.calls, COMMANDS.index(command)))
    assert trial.tried >= len({call.partition(" ")[0] for call in trial.calls})
    assert [str(finding) for finding in trial.findings] == []


def words_of(name: str) -> list[list[str]]:
    return [command.words.split() for command in COMMANDS if f"{command.words} ".startswith(f"{name} ")]


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_is_tried_unless_it_writes_nothing(name: str) -> None:
    assert bool(words_of(name)) != (name in READ_ONLY)


@pytest.mark.parametrize("name", sorted(commands.COMMANDS.keys() - READ_ONLY.keys()))
def test_every_flag_that_names_an_output_is_tried_and_every_other_path_is_an_input(name: str) -> None:
    inputs = {"model", "source", "pictures", "run_folder", "data_dir", "start_from", "folder", "labels", "from_",
              "people", "font", "layout"}  # fmt: skip
    kind = commands.COMMANDS[name]
    hints = get_type_hints(kind)
    paths = {field.name for field in fields(kind) if "Path" in str(hints[field.name])}
    assert paths <= OUTPUTS | inputs, f"is {paths - OUTPUTS - inputs} written or read?"
    given = {word for words in words_of(name) for word in words}
    assert {f"--{flag}" for flag in paths & OUTPUTS} - {"--out"} <= given
    assert "--out" in given or "out" not in paths or name == "export"


@pytest.mark.heavy
@pytest.mark.parametrize("name", [name for name, words in READ_ONLY.items() if words])
def test_what_only_reads_changes_no_file(name: str, workshop: Workshop) -> None:
    command = next(command for command in COMMANDS if command.name == "train --overwrite")
    workshop.begin_with(command.steps)
    outcome = workshop.run(READ_ONLY[name] or "")
    assert (outcome.status, outcome.errors) == (0, "")
    assert [call for call in outcome.calls if " tmp/" not in call] == []


def test_the_sample_has_every_kind_of_call_with_every_fault_in_one_command_or_another() -> None:
    calls = ["open a", "write a", "write b", "sync a", "rename a b"]
    tried = {(calls[fault.at - 1].split()[0], fault.what) for seed in range(3) for fault in sample(calls, seed)}
    assert len(tried) == 4 * 3 + 1
    assert sample(calls, 1) == sample(calls, 1)
