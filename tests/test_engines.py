"""Workers: every job once, in order, no further ahead than allowed; what dies is an error."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from served import is_running
from sumnist.batch.pool import Workers, start_workers
from sumnist.errors import MissingExtraError, RunError, ScoreError, ServeError, SumnistError


def test_results_come_in_the_order_of_the_jobs_which_are_taken_no_further_ahead_than_the_limit() -> None:
    futures, begun = [Future[int]() for _ in range(5)], list[int]()

    def submit(job: int) -> Future[int]:
        begun.append(job)
        return futures[job]

    results = Workers(submit, limit=3).in_order(range(5))
    for job in (1, 0, 2, 3, 4):
        futures[job].set_result(10 * job)
        if job == 0:
            assert next(results) == (0, 0)
            assert begun == [0, 1, 2]
    assert next(results) == (1, 10)
    assert begun == [0, 1, 2, 3]
    assert list(results) == [(2, 20), (3, 30), (4, 40)]


def doubling() -> Callable[[int], tuple[int, int]]:
    return lambda job: (2 * job, os.getpid())


def test_one_worker_is_this_process_and_does_a_job_when_the_result_before_it_was_taken() -> None:
    done: list[int] = []
    with start_workers("local", 1, lambda: done.append, ServeError) as workers:
        results = workers.in_order(range(3))
        next(results)
        assert done == [0]
        assert len(list(results)) == 2
    assert done == [0, 1, 2]


def test_several_workers_are_other_processes_and_do_every_job_once() -> None:
    with start_workers("local", 2, doubling, ServeError) as workers:
        ordered = list(workers.in_order(range(20)))
    assert [(job, doubled) for job, (doubled, _) in ordered] == [(job, 2 * job) for job in range(20)]
    assert os.getpid() not in {process for _, (_, process) in ordered}


def killed() -> Callable[[int], None]:
    return lambda job: os.kill(os.getpid(), signal.SIGKILL)


def without_memory() -> Callable[[int], None]:
    raise MemoryError


def without_model() -> Callable[[int], None]:
    raise RunError("model.onnx: damaged: copy it again")


def without_extra() -> Callable[[int], None]:
    raise MissingExtraError("torch", "train", "reading it")


AGAIN = "run the same command again to go on, with fewer --workers"


@pytest.mark.parametrize(
    ("prepare", "failure", "kind", "message"),
    [(killed, ServeError, ServeError, f"a worker process died, out of memory perhaps: {AGAIN}"),
     (without_memory, ScoreError, ScoreError, f"a worker process cannot start (MemoryError): {AGAIN}"),
     (without_model, ScoreError, RunError, "model.onnx: damaged: copy it again"),
     (without_extra, ScoreError, SumnistError, str(MissingExtraError("torch", "train", "reading it")))],
)  # fmt: skip
def test_a_worker_that_ends_or_cannot_start_is_one_error_and_prints_nothing(
    prepare: Any, failure: type[SumnistError], kind: type[SumnistError], message: str, capfd: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("sumnist.batch.pool.PAUSE", 0.01)
    with pytest.raises(kind) as caught, start_workers("local", 2, prepare, failure) as workers:
        list(workers.in_order(range(20)))
    assert str(caught.value) == message
    assert capfd.readouterr() == ("", "")


class OddError(Exception):
    """An error that comes out of no pickle."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def failing() -> Callable[[int], int]:
    def work(job: int) -> int:
        if job == 3:
            raise ValueError("three")
        if job == 5:
            raise OddError(2, 3)
        return job

    return work


def test_the_error_of_a_job_is_raised_in_its_place_and_other_jobs_are_done() -> None:
    with start_workers("local", 2, failing, ScoreError) as workers:
        futures = [workers.submit(job) for job in range(8)]
        with pytest.raises(ValueError, match=r"^three$"):
            futures[3].result()
        with pytest.raises(RuntimeError, match=r"^2 and 3$"):
            futures[5].result()
        assert [futures[job].result() for job in (0, 1, 2, 4, 6, 7)] == [0, 1, 2, 4, 6, 7]


def talking() -> Callable[[Any], int]:
    return lambda job: sys.stdout.write("a library says something\n") and len(job)


def test_what_a_worker_prints_is_no_result_and_jobs_and_results_may_be_large() -> None:
    with start_workers("local", 2, talking, ScoreError) as workers:
        assert [result for _, result in workers.in_order([bytes(3_000_000)] * 9)] == [3_000_000] * 9


SCRIPT = """
from functools import partial
from sumnist.batch.pool import start_workers
from sumnist.errors import ScoreError

work = "lambda seconds: (__import__('time').sleep(seconds), __import__('os').getpid())[1]"
print("begins")
with start_workers("local", 2, partial(eval, work), ScoreError) as workers:
    print(*[future.result() for future in (workers.submit(0.5), workers.submit(0.5))], flush=True)
    print(list(workers.in_order([600, 600])))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_workers_of_a_program_which_need_not_guard_its_main_part_end_with_it(tmp_path: Path, end: int) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(tmp_path / "script.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as begun:
        assert begun.stdout is not None
        assert begun.stdout.readline() == "begins\n"
        workers = [int(word) for word in begun.stdout.readline().split()]
        assert len(set(workers)) == 2
        begun.send_signal(end)
        begun.communicate()
    until = time.monotonic() + 30
    while any(is_running(worker) for worker in workers):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"^--engine ray needs ray, which is not installed; "):
        start_workers("ray", 2, doubling, ServeError).__enter__()


@pytest.mark.ray
@pytest.mark.long
def test_a_ray_cluster_does_every_job_once() -> None:
    pytest.importorskip("ray")
    double = partial(partial, operator.mul, 2)  # what a cluster can import: it does not know this file
    with start_workers("ray", 2, double, ServeError) as workers:
        assert list(workers.in_order(range(9))) == [(job, 2 * job) for job in range(9)]
