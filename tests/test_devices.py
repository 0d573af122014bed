"""Several processes that train one network."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sumnist.config import Config
from sumnist.data.mnist import load_mnist
from sumnist.data.pairs import PairBatches
from sumnist.errors import DataError, OutputError, TrainingError
from sumnist.model.network import TwoInputNet, load_network
from sumnist.training.devices import ProcessGroup, process_group
from sumnist.training.loop import train, training_step

LOST = """
import os, sys, torch
from pathlib import Path
from sumnist.errors import SumnistError
from sumnist.training.devices import process_group

def work():
    with process_group(torch.device("cpu")) as processes:
        processes.average([torch.ones(3)])
        if processes.rank == 1:
            os._exit(0)
        for _ in range(1000):
            processes.average([torch.ones(3)])

try:
    work()
except SumnistError as error:
    print(error)
left = [name for name in Path("/proc/self/task").glob("*/comm") if "gloo" in name.read_text()]
assert left == [], left
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def torchrun(*words: str, processes: int = 2, agents: int = 1) -> list[subprocess.CompletedProcess[str]]:
    """Run a module or script under `agents` torchruns on loopback, as on so many machines, each with `processes`.

    Two faults of torch's own are met by doing all again, at most twice. An agent can miss the others' leaving and wait
    for them for five minutes after all work is done. And a process can abort as it ends: if a thread of torch wants
    Python's lock while the interpreter shuts down, Python before 3.14 ends that thread, which unwinds through C++ that
    must not be unwound (pytorch issue 190489). Our processes leave no such thread behind, which two tests check; the
    agents are torch's.
    """
    for _ in range(2):
        try:
            results = torchrun_once(words, processes, agents, timeout=90)
        except subprocess.TimeoutExpired:
            continue
        if not any("terminate called without an active exception" in result.stderr for result in results):
            return results
    return torchrun_once(words, processes, agents, timeout=330)


def torchrun_once(
    words: tuple[str, ...], processes: int, agents: int, timeout: float
) -> list[subprocess.CompletedProcess[str]]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "torch.distributed.run", f"--nnodes={agents}", f"--nproc-per-node={processes}",
               "--master-addr=127.0.0.1", f"--master-port={free_port()}"]  # fmt: skip
    started = [
        subprocess.Popen([*command, f"--node-rank={rank}", *words], env=environment, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for rank in range(agents)
    ]  # fmt: skip
    try:
        results = []
        for agent in started:
            out, err = agent.communicate(timeout=timeout)
            results.append(subprocess.CompletedProcess(agent.args, agent.returncode, out, err))
        return results
    finally:
        for agent in started:
            agent.kill()
            agent.communicate()


def test_two_processes_take_the_step_that_one_takes(small_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(small_config, batch_size=63)  # an odd batch: the shares differ
    digits, sent = load_mnist("train", config.data_dir), list[torch.Tensor]()

    def step(rank: int, size: int, exchanged: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """The weights after a step of one process, which gets `exchanged` from all of them together."""

        def all_reduce(tensor: torch.Tensor) -> None:
            sent.append(tensor.clone())
            if exchanged is not None:
                tensor.copy_(exchanged)

        monkeypatch.setattr("torch.distributed.all_reduce", all_reduce)
        torch.manual_seed(0)
        net = TwoInputNet.from_config(config)
        pairs = next(PairBatches(digits, 63, 0, torch.device("cpu"), share=(rank, size)).epoch(0))
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        training_step(net, optimizer, pairs, config, nullcontext(), processes=ProcessGroup(rank, size))
        return net.state_dict()

    step(0, 2), step(1, 2)
    together = sent[0] + sent[1]
    alone = step(0, 1)
    for rank in range(2):
        for name, value in step(rank, 2, together).items():
            assert torch.allclose(value, alone[name], atol=1e-6), name


@pytest.mark.heavy
@pytest.mark.parametrize(("processes", "agents"), [(2, 1), pytest.param(1, 2, marks=pytest.mark.long)])
def test_processes_train_together_and_one_of_them_writes(
    small_config: Config, tmp_path: Path, processes: int, agents: int
) -> None:
    out = tmp_path / "run"
    words = ["-m", "sumnist", "train", "--preset", "tiny", "--data-dir", str(small_config.data_dir), "--validation",
             "200", "--epochs", "2", "--batch-size", "64", "--threads", "1", "--device", "cpu",
             "--out", str(out), "--overwrite"]  # fmt: skip
    results = torchrun(*words, processes=processes, agents=agents)
    assert [result.returncode for result in results] == [0] * agents, [result.stderr for result in results]
    assert sum(result.stdout.count("s of training") for result in results) == 1
    record = json.loads((out / "record.json").read_text())
    assert record["processes"] == 2
    assert record["steps"] == 2 * 13
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    load_network(out)


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux to tell of threads")
def test_a_process_that_loses_another_says_so_and_leaves_no_thread_of_the_group(tmp_path: Path) -> None:
    (tmp_path / "lost.py").write_text(LOST)
    port = str(free_port())
    started = [
        subprocess.Popen([sys.executable, str(tmp_path / "lost.py")], text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, env=os.environ | {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_PORT":
                         port, "MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONWARNINGS": "ignore"})
        for rank in range(2)
    ]  # fmt: skip
    (out, err), _ = (process.communicate(timeout=90) for process in started)
    assert started[0].returncode == 0, err
    assert out.startswith("process 0 of 2 has lost another one (")
    assert out.endswith("): see why that one ended, and start all of them again, with --resume\n")


def test_the_error_of_the_leading_process_is_raised_in_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[list[object]] = []

    def broadcast(box: list[object], src: int) -> None:
        assert src == 0
        if sent:
            box[:] = sent[0]
        else:
            sent.append(list(box))

    def fail() -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("torch.distributed.broadcast_object_list", broadcast)
    for rank in range(2):
        with pytest.raises(OutputError, match="the disk is full"):
            ProcessGroup(rank, 2).from_leader(fail if rank == 0 else lambda: pytest.fail("the leader alone does it"))


def test_the_threads_of_one_training_are_not_those_of_the_next(small_config: Config, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        config = replace(small_config, epochs=1, threads=1)
        train(config, tmp_path / "run", progress=False)
        assert torch.get_num_threads() == 2
        with pytest.raises(DataError):
            train(replace(config, data_dir=tmp_path), tmp_path / "none", progress=False)
        assert torch.get_num_threads() == 2
        train(replace(config, threads=0), tmp_path / "other", progress=False)
        records = [json.loads((tmp_path / name / "record.json").read_text()) for name in ("run", "other")]
        assert [record["threads"] for record in records] == [1, 2]
    finally:
        torch.set_num_threads(before)


def test_without_torchrun_a_process_is_alone_and_an_exchange_that_fails_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group(torch.device("cpu")) as processes:
        assert (processes.rank, processes.size, processes.leads) == (0, 1, True)
        assert processes.from_leader(lambda: "x") == "x"
    with pytest.raises(TrainingError) as caught, ProcessGroup(1, 3).connected():
        raise RuntimeError("Connection closed by peer\nframe #0")
    assert str(caught.value) == (
        "process 1 of 3 has lost another one (Connection closed by peer): "
        "see why that one ended, and start all of them again, with --resume"
    )
