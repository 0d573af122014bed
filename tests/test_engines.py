"""Workers: every job once, in order or as they finish, no further ahead than allowed; what dies is an error."""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial

import pytest

from sumnist.errors import MissingExtraError, ScoreError, StudyError, SumnistError
from sumnist.inference.engines import Workers, start_workers


class ByHand:
    """Jobs that end when they are told to, with ten times their number."""

    def __init__(self) -> None:
        self.futures: dict[int, Future[int]] = {}
        self.workers = Workers(self.submit, limit=3)

    def submit(self, job: int) -> Future[int]:
        self.futures[job] = Future()
        return self.futures[job]

    def finish(self, job: int) -> None:
        self.futures[job].set_result(10 * job)


def test_results_come_in_the_order_of_the_jobs_which_are_taken_no_further_ahead_than_the_limit() -> None:
    hand = ByHand()

    def jobs() -> Iterator[int]:
        for job in range(5):
            yield job
            if job == 1:
                hand.finish(1)
                hand.finish(0)

    results = hand.workers.in_order(jobs())
    assert next(results) == (0, 0)
    assert list(hand.futures) == [0, 1, 2]
    assert next(results) == (1, 10)
    assert list(hand.futures) == [0, 1, 2, 3]
    for job in (2, 3):
        hand.finish(job)
    assert [next(results), next(results)] == [(2, 20), (3, 30)]
    hand.finish(4)
    assert list(results) == [(4, 40)]


def test_results_come_as_they_finish_and_each_makes_room_for_the_next_job() -> None:
    hand = ByHand()

    def jobs() -> Iterator[int]:
        for job in range(4):
            yield job
            if job == 2:
                hand.finish(2)

    results = hand.workers.as_they_finish(jobs())
    hand_over = next(results)
    assert (hand_over, list(hand.futures)) == (20, [0, 1, 2])
    hand.finish(1)
    assert next(results) == 10
    assert list(hand.futures) == [0, 1, 2, 3]
    hand.finish(3)
    hand.finish(0)
    assert sorted(results) == [0, 30]


def doubling() -> Callable[[int], tuple[int, int]]:
    return lambda job: (2 * job, os.getpid())


def dying() -> Callable[[int], None]:
    return lambda job: os._exit(1)


@pytest.mark.parametrize("way", ["in_order", "as_they_finish"])
def test_one_worker_is_this_process_and_does_a_job_when_the_result_before_it_was_taken(way: str) -> None:
    done: list[int] = []
    with start_workers("local", 1, lambda: done.append, StudyError) as workers:
        results = getattr(workers, way)(range(3))
        next(results)
        assert done == [0]
        assert len(list(results)) == 2
    assert done == [0, 1, 2]


def test_several_workers_are_other_processes_and_do_every_job_once() -> None:
    with start_workers("local", 2, doubling, StudyError) as workers:
        ordered = [(job, doubled) for job, (doubled, _) in workers.in_order(range(20))]
        finished = list(workers.as_they_finish(range(20)))
    assert ordered == [(job, 2 * job) for job in range(20)]
    assert sorted(doubled for doubled, _ in finished) == list(range(0, 40, 2))
    assert os.getpid() not in {process for _, process in finished}


@pytest.mark.parametrize("failure", [ScoreError, StudyError])
def test_a_worker_that_dies_is_the_error_of_who_asked_for_it(failure: type[SumnistError]) -> None:
    with pytest.raises(failure) as caught, start_workers("local", 2, dying, failure) as workers:
        list(workers.as_they_finish(range(3)))
    assert type(caught.value) is failure
    assert str(caught.value) == (
        "a worker process died, out of memory perhaps: run the same command again to go on, with fewer --workers"
    )


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"^--engine ray needs ray, which is not installed; "):
        start_workers("ray", 2, doubling, StudyError).__enter__()


@pytest.mark.ray
@pytest.mark.heavy
def test_a_ray_cluster_does_every_job_once() -> None:
    pytest.importorskip("ray")
    double = partial(partial, operator.mul, 2)  # what a cluster can import: it does not know this file
    with start_workers("ray", 2, double, StudyError, ahead=1) as workers:
        assert list(workers.in_order(range(9))) == [(job, 2 * job) for job in range(9)]
        assert sorted(workers.as_they_finish(range(9))) == list(range(0, 18, 2))
