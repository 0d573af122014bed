"""Children that are forked while other threads read.

A child has a copy of every lock as it was, and none of the threads that would let go of it: forked in the midst of a
computation, it may wait inside ONNX Runtime or torch for ever. So whoever forks waits until no other thread computes.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from typing import Any, Self
from weakref import WeakSet

__all__ = ["COMPUTING", "FORKABLE"]

FORKABLE: WeakSet[Any] = WeakSet()
"""The networks of this process: what each has to do in a forked child is its `after_fork`."""


class Gate:
    """Any number of threads are inside at once, each in a `with` block; a fork waits until they are out."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.inside: Counter[int] = Counter()
        self.forks = 0

    def __enter__(self) -> Self:
        me = threading.get_ident()
        with self.changed:
            self.changed.wait_for(lambda: not self.forks or self.inside[me])
            self.inside[me] += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self.inside[threading.get_ident()] -= 1
            self.changed.notify_all()

    def before_fork(self) -> None:
        """Keep threads out, and wait until those that are inside have left. A thread that is inside may fork itself."""
        me = threading.get_ident()
        self.changed.acquire()
        self.forks += 1
        self.changed.wait_for(lambda: self.inside.total() == self.inside[me])

    def after_in_parent(self) -> None:
        """Let threads in again."""
        self.forks -= 1
        self.changed.notify_all()
        self.changed.release()

    def after_in_child(self) -> None:
        """Forget the parent's other threads, which are not in this child."""
        me = threading.get_ident()
        self.changed, self.inside, self.forks = threading.Condition(), Counter({me: self.inside[me]}), 0


COMPUTING = Gate()
"""Where a thread is while a network computes."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=COMPUTING.before_fork,
        after_in_parent=COMPUTING.after_in_parent,
        after_in_child=COMPUTING.after_in_child,
    )
    os.register_at_fork(after_in_child=lambda: [network.after_fork() for network in FORKABLE])
