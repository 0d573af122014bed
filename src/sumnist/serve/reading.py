"""Answers requests in a process that reads, one at a time: from the body of a request to the bytes of its answer.

The server's own process only moves bytes. Parsing, decoding, reading and writing JSON are done here, so no picture
holds up another request. A picture that brings down its process costs only its own answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

from sumnist.batch.pool import reads
from sumnist.config import InkColour
from sumnist.errors import ConfigError, HandError, SumnistError
from sumnist.inference.adaptation import Lesson, helps
from sumnist.inference.hand import Hand
from sumnist.inference.inside import evidence_of, read_inside
from sumnist.inference.numbers import NumberReading
from sumnist.inference.page import page_as_dict
from sumnist.inference.paper import sums_as_dict
from sumnist.inference.reader import Reader, Reading
from sumnist.memory import return_freed_memory
from sumnist.serve.bodies import (
    AskedDigit,
    AskedExample,
    AskedNumber,
    AskedNumbers,
    AskedOfHand,
    AskedSums,
    Body,
    asked_in,
)
from sumnist.serve.hands import NAME, Hands
from sumnist.serve.problems import Problem, problem_of
from sumnist.serve.settings import Settings
from sumnist.sheets.worksheet import sums_on_worksheet

ACCEPTED = "accepted"
Read = TypeVar("Read")
Question = TypeVar("Question", AskedNumber, AskedNumbers, AskedSums)
Readers = tuple[Reader, Reader | None]
Load = Callable[[], Readers]
Outcome = str | Problem
"""The outcome of a picture: "accepted", the reason why it is not, the state of a form, or a problem."""
Found = tuple[dict[str, Any] | bytes, Sequence[Reading | NumberReading | Outcome]]
"""An answer, and the readings in it or their outcomes."""
Answer = tuple[bytes, list[Outcome]]
"""The bytes to send, and the outcome of each picture, for the metrics."""


@dataclass(frozen=True)
class Job:
    """A request.

    Attributes:
        body: The body of the request.
        path: The path of the request.
        by: The function that answers it; it takes the job, the reader, and the second reader or None.
        kept: The folder of hands, if the server keeps hands.
        most: The most pictures of a batch; None if it is no batch.
        wanted: The flags that are true, such as "image" and "workbook".
    """

    body: Body
    path: str
    by: Callable[[Job, Reader, Reader | None], Found]
    kept: Hands | None = None
    most: int | None = None
    wanted: frozenset[str] = frozenset()


def load_readers(settings: Settings) -> Readers:
    """The reader, and the second reader or None. Raises `RunError` for a file that is no network of sumnist, and
    `ConfigError` for a second network whose sum is computed."""
    second = None if settings.beside is None else Reader(settings.beside)
    if second is not None and second.exact:
        raise ConfigError(
            f"--beside {settings.beside}: its sum is computed as the first one's is, expected a network that "
            "learned to add: train one with --fusion concat"
        )
    return Reader(settings.model), second


def answering(load: Load) -> Callable[[Job], Answer]:
    """Load the networks of a process, and return the function that answers its jobs, or raises a `Problem`."""
    return_freed_memory()
    reader, second = load()
    return lambda job: answer_to(job, reader, second)


def answer_to(job: Job, reader: Reader, second: Reader | None = None) -> Answer:
    """The answer to a job. Raises the `Problem` that prevents it."""
    try:
        answer, read = job.by(job, reader, second)
        outcomes = [one if isinstance(one, Problem | str) else one.reason or ACCEPTED for one in read]
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode(), outcomes
    except MemoryError:
        detail = "it needs more memory than there is: scale the pictures down, or send fewer"
        problem = Problem("body-too-large", detail)
    except Exception as error:
        problem = problem_of(error)
    try:
        raise problem
    finally:
        del problem  # or it and this frame would hold each other, and the job


def read_one(job: Job, reader: Reader, second: Reader | None) -> Found:
    """Read one picture. If the job wants it, the answer also says how the reading came about, and has the second
    reader's reading."""
    (asked,) = asked_in(job.body, AskedDigit, reader.exact)
    reader = knowing(reader, asked, job.kept)
    is_wanted = "inside" in job.wanted
    found = read_picture(asked, partial(read_inside, reader) if is_wanted else lambda *of: (reader.read(*of), None))
    if isinstance(found, Problem):
        raise found
    read, inside = found
    answer = reading_as_dict(read, "image" in job.wanted)
    if inside is not None:
        answer["inside"] = inside.as_dict()
    if "evidence" in job.wanted:
        evidence = evidence_of(reader, read)
        answer["evidence"] = None if evidence is None else evidence.as_dict()
    if "beside" in job.wanted and second is not None:
        other = read_picture(asked, second.read)  # a problem if it has not learned to add this number
        answer["beside"] = None if isinstance(other, Problem) else reading_as_dict(other, False)
        if answer["beside"] and second.network.left_out:
            answer["beside"]["left_out"] = second.network.left_out
    return answer, [read]


def read_all(job: Job, reader: Reader, *_: Reader | None) -> Found:
    """Read several pictures: a reading or a problem for each."""
    asked_for = asked_in(job.body, AskedDigit, reader.exact, job.most)
    read = list[Reading | Problem]()
    for place, asked in enumerate(asked_for, 1):
        reads(f"picture {place}")
        read.append(read_picture(asked, knowing(reader, asked, job.kept).read))
    readings = [
        {"error": one.as_dict(job.path)} if isinstance(one, Problem) else reading_as_dict(one, "image" in job.wanted)
        for one in read
    ]
    return {"readings": readings}, read


def read_number(job: Job, reader: Reader, *_: Reader | None) -> Found:
    """Read a number of any length."""
    asked, picture, reader = about_picture(job, AskedNumber, reader)
    read = reader.read_number(picture, asked.digits, asked.decimal, asked.ink, asked.count)
    return read.as_dict(), [read]


def find_numbers(job: Job, reader: Reader, *_: Reader | None) -> Found:
    """Find and read all numbers on a picture."""
    asked, picture, reader = about_picture(job, AskedNumbers, reader)
    found = reader.find(picture, asked.digits, asked.decimal, asked.count)
    return page_as_dict(picture, found), found


def check_sums(job: Job, reader: Reader, *_: Reader | None) -> Found:
    """Find the sums on a picture, and say which are right."""
    _asked, picture, reader = about_picture(job, AskedSums, reader)
    return sums_as_dict(picture, sums_on_worksheet(picture) or reader.sums(picture)), []


def about_picture(job: Job, kind: type[Question], reader: Reader) -> tuple[Question, bytes, Reader]:
    """A request about a picture, the picture, and the reader that answers. Raises `Problem`, `HandError`."""
    (asked,) = asked_in(job.body, kind)
    if isinstance(asked.picture, Problem):
        raise asked.picture
    return asked, asked.picture, knowing(reader, asked, job.kept)


def knowing(reader: Reader, asked: AskedOfHand, kept: Hands | None) -> Reader:
    """The reader, adapted to the hand of a request if it has one. Raises `HandError`, `Problem`."""
    if asked.hand is None:
        return reader
    content, name = asked.hand, asked.hand[:40].decode("latin-1")
    if NAME.fullmatch(asked.hand.decode("latin-1")):
        if kept is None:
            raise HandError(f"hand {name}: this server keeps none, expected the hand's file: send that")
        content = kept.content(name)
    return with_hand(reader, content)


@lru_cache(16)
def with_hand(reader: Reader, content: bytes) -> Reader:
    """The reader, adapted to the hand in a file. Raises `HandError`."""
    return reader.with_hand(Hand.of_json(content))


def learn_hand(job: Job, reader: Reader, *_: Reader | None) -> Found:
    """Learn a hand from a writer's pictures. If it helps, it is kept, provided that the server keeps hands."""
    asked = asked_in(job.body, AskedExample, most=job.most)
    for one in asked:
        if isinstance(one.picture, Problem):
            raise one.picture
    pictures: list[Any] = [one.picture for one in asked]
    lesson = Lesson(reader, pictures, [one.text for one in asked])
    hand, trials = lesson.hand(), lesson.trials()
    return {
        "hand": json.loads(hand.to_json()), "name": job.kept.add(hand) if job.kept and helps(trials) else None,
        "helps": helps(trials),
        "trials": {
            name: {"examples": one.rows, "wrong": one.wrong, "loss": one.nll} for name, one in trials.items()
        },
    }, []  # fmt: skip


def read_picture(asked: AskedDigit, read: Callable[[bytes, int, InkColour], Read]) -> Read | Problem:
    """The reading of a picture by `read`, or the problem with it. Raises errors that no request should cause."""
    if isinstance(asked.picture, Problem):
        return asked.picture
    try:
        return read(asked.picture, asked.number, asked.ink)
    except SumnistError as error:
        if is_internal(error):
            raise
        return problem_of(error)


def is_internal(error: Exception) -> bool:
    """Whether the error is one that no request should cause."""
    return problem_of(error).kind.status == 500


def reading_as_dict(reading: Reading, image: bool) -> dict[str, Any]:
    """The fields of a reading in an answer."""
    return reading.as_dict(image) | {"sum_confidence": reading.sum_confidence}
