"""What must hold after a fault: functions that say what is wrong with exit status, messages, files and runs."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

from faults.client import Outcome
from faults.tree import Tree

__all__ = ["LOOK", "look_of", "of_files", "of_looks", "of_messages", "succeeded", "tells_another_way"]

UNSEEMLY = ("Traceback", "Exception ignored", "Warning", "terminate called", "core dumped")
"""What no command may print on standard error, whatever happens."""
LINE = re.compile(r"^sumnist: .", re.MULTILINE)

LOOK = """
import json
import numpy as np
import torch
import sumnist
from sumnist.data.mnist import load_mnist
from sumnist.errors import SumnistError
from sumnist.model.checkpoint import load_config
from sumnist.training.evaluate import compare_runs
from sumnist.training.folder import EVALUATION, read_record
from pathlib import Path

torch.set_num_threads(1)
run, test = Path(RUN), load_mnist("test", DATA)


def asked(question):
    try:
        return question()
    except SumnistError:
        return None


def reads():
    return [reading.digit_probabilities for reading in sumnist.load(run).read(list(test.images), 3)]


def weights():
    net = sumnist.TwoInputNet.from_pretrained(run).eval()
    images = torch.from_numpy(test.images[:, None].astype(np.float32) / 255)
    with torch.inference_mode():
        return net(images, torch.full((len(test),), 3))[0].exp().tolist()


def evaluated():
    compare_runs([run])
    return json.loads((run / EVALUATION).read_text())["digit"]["value"]


own, config = asked(weights), asked(lambda: load_config(run).to_json())
right = own and float((np.argmax(own, 1) == test.digits).mean())
print(json.dumps({"reads": asked(reads), "weights": own, "right": right, "evaluated": asked(evaluated),
                  "config": config, "finished": bool(read_record(run).get("finished"))}))
"""
"""What a user sees of the run RUN: how it reads, how its weights would, what `compare` says of it."""

Look = dict[str, Any]


def succeeded(outcome: Outcome, usual: int) -> bool:
    """Whether a command, which undisturbed ends with the status `usual`, says that it has done its work."""
    failed = LINE.search(outcome.errors) or "Traceback" in outcome.errors
    return outcome.ended and outcome.status == usual and not (usual and failed)


def of_messages(outcome: Outcome, usual: int, killed: bool = False) -> list[str]:
    """What is wrong with how a command ended and with what it said, `killed` or not."""
    wrong = [f"it says {word!r}: {around(outcome.errors, word)}" for word in UNSEEMLY if word in outcome.errors]
    lines = len(LINE.findall(outcome.errors))
    if not outcome.ended:
        wrong.append("it does not end, or leaves processes behind")
    elif not succeeded(outcome, usual) and not (killed and outcome.status == -signal.SIGKILL):
        if outcome.status != 1:
            wrong.append(f"its exit status is {outcome.status}: {outcome.errors[-300:]!r}")
        elif lines != 1 and not wrong:
            wrong.append(f"it fails with {lines} messages: {outcome.errors[-300:]!r}")
    return wrong


def around(text: str, word: str) -> str:
    """The last lines from `word` on, on one line."""
    return " | ".join(line.strip() for line in text[text.index(word) :].splitlines()[-3:])


def of_files(found: Tree, before: Tree, wanted: Tree, keeps: bool) -> list[str]:
    """What is wrong with the files that were there `before`: each must be as it was, or as `wanted`; hidden ones are
    the command's own.

    `keeps`: what was there was complete, and may not be replaced by anything that is not. Otherwise files that the
    undisturbed command changes may be on their way.
    """
    wrong = []
    for name in sorted(name for name in found.keys() | before.keys() if not hidden(name)):
        is_now, was, to_be = (of.get(name) for of in (found, before, wanted))
        if is_now not in (was, to_be) and (keeps or was == to_be is not None):
            state = "gone" if is_now is None else "neither as it was nor complete"
            wrong.append(f"{name} {'was there, and ' if was is not None else ''}is {state}")
    return wrong


def hidden(name: str) -> bool:
    """Whether a path has a part that is hidden."""
    return any(part.startswith(".") for part in name.split("/"))


def of_looks(found: Look, before: Look, wanted: Look, keeps: bool) -> list[str]:
    """What is wrong with a run as users see it."""
    wrong = []
    if found["reads"] is not None and not same(found["reads"], found["weights"]):
        wrong.append("it reads otherwise than its weights would")
    if found["evaluated"] is not None and found["evaluated"] != found["right"]:
        wrong.append(f"compare says {found['evaluated']}, its weights are right in {found['right']}")
    old, new = (all(is_same(found[part], of[part]) for part in ("weights", "config")) for of in (before, wanted))
    if keeps and before["weights"] is not None and not old and not new:
        wrong.append("it is neither the run that was there nor the new one")
    elif keeps and old and not new and before["evaluated"] is not None and found["evaluated"] is None:
        wrong.append("the run that was there has lost its evaluation")
    elif keeps and old and not new and found["reads"] is None:
        wrong.append("the run that was there is refused")
    if found["finished"] and not new and not (old and before["finished"]):
        wrong.append("it says that it is finished, and is not")
    return wrong


def is_same(one: Any, other: Any) -> bool:
    """Whether two configurations, or two networks by their answers, are the same."""
    return same(one, other) if isinstance(one, list) and isinstance(other, list) else bool(one == other)


def same(one: list[list[float]] | None, other: list[list[float]] | None) -> bool:
    """Whether two networks give the same probabilities, as far as two libraries can."""
    if one is None or other is None:
        return one is other
    return all(
        abs(a - b) < 1e-3 for left, right in zip(one, other, strict=True) for a, b in zip(left, right, strict=True)
    )


def tells_another_way(outcome: Outcome, words: str) -> str | None:
    """The command that a refusal to begin again says will go on; None if it names none."""
    flag = "--resume"
    return f"{words} {flag}" if outcome.status and flag in outcome.errors and flag not in words else None


def look_of(outcome: Outcome) -> Look:
    """What `LOOK` printed."""
    return json.loads(outcome.output)  # type: ignore[no-any-return]
