"""Forks wait for the threads that compute, and those for the fork."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sumnist.inference.onnx import COMPUTING, Gate

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork"),
    # From Python 3.12 on; that such children do end is what is tested here.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def child(run: Callable[[], None]) -> int:
    """The status with which a forked child ends that calls `run`; it is ended after ten seconds."""
    process = fork()
    if process == 0:
        ending = threading.Timer(10, lambda: os._exit(9))
        ending.daemon = True
        ending.start()
        try:
            run()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def fork() -> int:
    """`os.fork`; while another thread forks, filelock, which torch loads, may refuse it from Python 3.12 on: once more
    then, as an application would."""
    while True:
        try:
            return os.fork()
        except RuntimeError as error:
            if "filelock" not in str(error):
                raise
            time.sleep(0.001)


def compute() -> None:
    with COMPUTING:
        pass


def test_a_fork_waits_until_the_thread_that_computes_has_done() -> None:
    inside, done = threading.Event(), threading.Event()

    def work() -> None:
        with COMPUTING:
            inside.set()
            time.sleep(0.3)
            done.set()

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    assert child(compute) == 0
    assert done.is_set()
    thread.join()


def test_two_threads_compute_at_once() -> None:
    both = threading.Barrier(2, timeout=10)

    def work(_: int) -> None:
        with COMPUTING:
            both.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))


def test_whoever_comes_while_a_fork_waits_enters_after_it() -> None:
    gate, order = Gate(), list[str]()
    gate.__enter__()

    def fork() -> None:
        gate.before_fork()
        order.append("fork")
        gate.after_in_parent()

    forking = threading.Thread(target=fork)
    forking.start()
    while not gate.forks:
        time.sleep(0.001)

    def enter() -> None:
        with gate:
            order.append("late")

    late = threading.Thread(target=enter)
    late.start()
    time.sleep(0.05)
    assert order == []
    gate.__exit__()
    forking.join()
    late.join()
    assert order == ["fork", "late"]
