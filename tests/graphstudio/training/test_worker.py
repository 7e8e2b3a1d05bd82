"""The worker as a real process: what it leaves, what it obeys, what it survives."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import checkpoint
from graphstudio import __version__
from graphstudio.document import format as file_format
from graphstudio.document.model import Choice, DataSpec, Document
from graphstudio.services.projects import from_example
from graphstudio.training import files, messages
from graphstudio.training.client import TrainingClient, worker_command, worker_environment
from graphstudio.training.history import read_history
from graphstudio.training.messages import (
    Evaluated,
    Failed,
    Finished,
    Preparing,
    Start,
    Started,
    StateChanged,
    StepMetrics,
)
from tests.graphstudio.data.test_sources import write_mnist
from tests.graphstudio.training.conftest import MakeStart, with_phase

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")


def run(start: Start, **more: Any) -> list[messages.Message]:
    with TrainingClient(start, **more) as client:
        return list(client)


def failure(start: Start, **more: Any) -> Failed:
    last = run(start, **more)[-1]
    assert isinstance(last, Failed)
    return last


def weights(start: Start) -> dict[str, np.ndarray]:
    return dict(checkpoint.load(Path(start.run_dir) / files.WEIGHTS)[0])


@pytest.fixture
def long_project(project: Document) -> Document:
    """Far more epochs than any test waits for."""
    return with_phase(project, epochs=100_000)


def test_a_run_tells_its_story_and_leaves_its_results(
    project: Document, make_start: MakeStart
) -> None:
    start = make_start(project)
    told = run(start)
    kinds = [type(m).__name__ for m in told if not isinstance(m, Preparing | StepMetrics)]
    assert kinds == ["Started", "EpochEnd", "EpochEnd", "Evaluated", "Finished"]
    started = next(m for m in told if isinstance(m, Started))
    assert (started.epochs, started.steps_per_epoch, started.num_train) == (2, 40, 1258)
    assert (started.num_parameters, started.batch_size, started.num_test) == (50826, 32, 359)
    assert set(started.metrics) == {"cross_entropy", "accuracy"}
    folder = Path(start.run_dir)
    assert {p.name for p in folder.iterdir()} == set(files.ALL)
    info = files.read_run(folder)
    assert info is not None
    assert (info.status, info.epochs, info.steps, info.pid) == ("completed", 2, 80, started.pid)
    text = (folder / files.PROJECT).read_text(encoding="utf-8")
    assert text == file_format.dumps(project)
    assert info.document_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert info.versions["graphstudio"] == __version__
    assert {"numpy", "python"} <= info.versions.keys()
    finished = told[-1]
    assert isinstance(finished, Finished)
    assert finished.weights == str(folder / files.WEIGHTS)
    assert weights(start)["dense_1.weight"].shape == (256, 64)
    evaluation = json.loads((folder / files.EVALUATION).read_text())
    evaluated = next(m for m in told if isinstance(m, Evaluated))
    assert evaluation == dataclasses.asdict(evaluated)
    assert sum(map(sum, evaluated.confusion)) == 359
    assert evaluated.class_names == list("0123456789")
    assert len(read_history(folder / files.METRICS).steps) == 80


def test_pause_and_resume_leave_the_weights_bit_equal(
    project: Document, make_start: MakeStart
) -> None:
    straight, paused = make_start(project, "straight"), make_start(project, "paused")
    run(straight)
    states = []
    with TrainingClient(paused) as client:
        for message in client:
            if isinstance(message, Started):
                client.pause()
            if isinstance(message, StateChanged):
                states.append(message.state)
                if message.state == "paused":
                    quiet = time.monotonic()
                    time.sleep(0.2)
                    client.resume()
                else:
                    assert time.monotonic() - quiet >= 0.2
    assert states == ["paused", "running"]
    left, right = weights(straight), weights(paused)
    assert left.keys() == right.keys()
    assert all(left[k].tobytes() == right[k].tobytes() for k in left)


def test_stopping_keeps_the_weights_and_evaluates(
    long_project: Document, make_start: MakeStart
) -> None:
    start = make_start(long_project)
    told = []
    with TrainingClient(start) as client:
        for message in client:
            told.append(message)
            if isinstance(message, StepMetrics) and message.steps[-1] > 50:
                client.stop()
    finished = told[-1]
    assert isinstance(finished, Finished)
    assert finished.status == "stopped"
    assert StateChanged(state="stopping") in told
    assert any(isinstance(m, Evaluated) for m in told)
    info = files.read_run(Path(start.run_dir))
    assert info is not None
    assert info.status == "stopped"
    assert len(weights(start)) == 6
    history = read_history(Path(start.run_dir) / files.METRICS)
    assert history.steps == list(range(1, info.steps + 1))


def test_a_paused_run_can_be_stopped(long_project: Document, make_start: MakeStart) -> None:
    with TrainingClient(make_start(long_project)) as client:
        for message in client:
            if isinstance(message, Started):
                client.pause()
            if message == StateChanged(state="paused"):
                client.stop()
    assert isinstance(message, Finished)
    assert message.status == "stopped"


def test_at_most_twenty_messages_a_second_carry_every_step(
    long_project: Document, make_start: MakeStart
) -> None:
    start = make_start(long_project)
    arrivals: list[float] = []
    steps: list[int] = []
    with TrainingClient(start) as client:
        for message in client:
            if isinstance(message, StepMetrics):
                arrivals.append(message.seconds[-1])
                steps += message.steps
                if message.seconds[-1] > 2.5:
                    client.stop()
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > 3 * len(arrivals)  # a small model steps far more often
    for i, first in enumerate(arrivals):
        assert sum(first <= t < first + 1 for t in arrivals[i:]) <= 21


def test_stray_prints_do_not_reach_the_protocol(
    project: Document, make_start: MakeStart, tmp_path: Path
) -> None:
    (tmp_path / "stray").mkdir()
    (tmp_path / "stray" / "sitecustomize.py").write_text(
        "import os, sys, threading, time\n"
        "def shout():\n"
        "    for _ in range(3000):\n"
        "        if os.fstat(1).st_ino == os.fstat(2).st_ino:\n"  # once they have been joined
        "            os.write(1, b'stray bytes\\n')\n"
        "            print('stray print')\n"
        "        time.sleep(0.001)\n"
        "threading.Thread(target=shout, daemon=True).start()\n"
    )
    environment = worker_environment()
    environment["PYTHONPATH"] += os.pathsep + str(tmp_path / "stray")
    start = make_start(project)
    with (tmp_path / "log").open("w+") as log:
        worker = subprocess.Popen(
            worker_command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            encoding="utf-8",
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(messages.encode(start) + "\n")
        worker.stdin.flush()
        told = [messages.decode(line) for line in worker.stdout]
        assert worker.wait(60) == 0
        worker.stdin.close()
        worker.stdout.close()
        log.seek(0)
        err = log.read()
    assert isinstance(told[-1], Finished)
    assert "stray bytes" in err
    assert "stray print" in err


@pytest.mark.parametrize("pipe", ["stdin", "stdout"])
def test_a_parent_that_is_gone_ends_the_run_with_its_weights_saved(
    long_project: Document, make_start: MakeStart, pipe: str
) -> None:
    start = make_start(long_project)
    worker = subprocess.Popen(
        worker_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=worker_environment(),
        encoding="utf-8",
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(messages.encode(start) + "\n")
    worker.stdin.flush()
    while not isinstance(messages.decode(worker.stdout.readline()), StepMetrics):
        pass
    getattr(worker, pipe).close()
    assert worker.wait(10) == 0
    worker.stdin.close()
    worker.stdout.close()
    assert weights(start)
    assert not (Path(start.run_dir) / files.EVALUATION).exists()


@posix
def test_a_killed_worker_is_reported_and_the_next_run_works(
    long_project: Document, make_start: MakeStart
) -> None:
    start = make_start(long_project)
    with TrainingClient(start) as client:
        for message in client:
            if isinstance(message, StepMetrics) and message.steps[-1] > 100:
                os.kill(client.pid, signal.SIGKILL)
    assert isinstance(message, Failed)
    assert message.reason == "died"
    assert "SIGKILL" in message.message
    assert "memory" in message.hint
    info = files.read_run(Path(start.run_dir))
    assert info is not None
    assert info.status == "died"
    read_history(Path(start.run_dir) / files.METRICS)  # readable up to the last whole line
    again = make_start(with_phase(long_project, epochs=1), "again")
    assert isinstance(run(again)[-1], Finished)


@posix
def test_it_is_nice_and_leaves_a_core_alone(long_project: Document, make_start: MakeStart) -> None:
    with TrainingClient(make_start(long_project)) as client:
        for message in client:
            if isinstance(message, StepMetrics):
                nice = os.getpriority(os.PRIO_PROCESS, client.pid)
                client.stop()
    assert nice == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    info = files.read_run(Path(client.start.run_dir))
    assert info is not None
    assert info.num_threads == max(1, len(os.sched_getaffinity(0)) - 1)


@posix
def test_an_interrupt_of_the_terminal_is_left_to_the_parent(
    long_project: Document, make_start: MakeStart
) -> None:
    with TrainingClient(make_start(long_project)) as client:
        for message in client:
            if isinstance(message, StepMetrics):
                os.kill(client.pid, signal.SIGINT)
                client.stop()
    assert isinstance(message, Finished)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_reported(project: Document, make_start: MakeStart) -> None:
    start = make_start(project)
    (Path(start.run_dir) / files.METRICS).symlink_to("/dev/full")
    failed = failure(start)
    assert failed.reason == "disk"
    assert "No space left on device" in failed.message
    assert start.run_dir in failed.message
    assert "Make room" in failed.hint
    info = files.read_run(Path(start.run_dir))
    assert info is not None
    assert (info.status, info.error) == ("failed", failed.message)


@posix
def test_weights_that_do_not_fit_on_the_disk_leave_the_former_ones(
    project: Document, make_start: MakeStart
) -> None:
    start = make_start(project)
    former = Path(start.run_dir) / files.WEIGHTS
    former.write_bytes(b"former")
    # The limit stands for a disk that fills up: the weights need 203 kB.
    limited = ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", *worker_command()]
    failed = failure(start, command=limited)
    assert failed.reason == "disk"
    assert former.read_bytes() == b"former"
    assert not [p for p in Path(start.run_dir).iterdir() if p.name not in files.ALL]


def test_a_loss_that_blows_up_names_its_node(project: Document, make_start: MakeStart) -> None:
    sgd = Choice(kind="sgd", params={"learning_rate": 100.0})
    project = with_phase(project, optimizer=sgd, epochs=50)
    failed = failure(make_start(project))
    assert (failed.reason, failed.node) == ("notfinite", "loss")
    assert "Cross-entropy" in failed.message
    assert "learning rate" in failed.hint


def test_missing_data_says_so_and_how_to_get_it(make_start: MakeStart) -> None:
    failed = failure(make_start(from_example("mnist_mlp")))
    assert failed.reason == "data"
    assert "train-images-idx3-ubyte" in failed.message
    assert "graphstudio data fetch mnist" in failed.hint


def test_mnist_files_beside_the_project_are_trained_on(
    make_start: MakeStart, tmp_path: Path
) -> None:
    write_mnist(tmp_path / "data" / "mnist", train=200, test=50)
    start = make_start(with_phase(from_example("mnist_cnn"), epochs=1))
    told = run(start)
    evaluated = next(m for m in told if isinstance(m, Evaluated))
    assert (evaluated.split, evaluated.num_samples) == ("test", 50)
    assert weights(start)["conv_2.weight"].shape == (64, 32, 3, 3)


def test_a_graph_with_an_error_names_its_node(project: Document, make_start: MakeStart) -> None:
    node = project.main.nodes["scores"]
    project.main.nodes["scores"] = dataclasses.replace(node, params={"units": 3})
    failed = failure(make_start(project))
    assert failed.reason == "check"
    assert failed.node in ("loss", "accuracy")  # both compare the three scores with ten classes
    assert "(N, 3)" in failed.message


@pytest.mark.parametrize(("data", "phases"), [(DataSpec(), 1), (DataSpec(source="digits"), 2)])
def test_what_cannot_be_done_is_refused(
    project: Document, make_start: MakeStart, data: DataSpec, phases: int
) -> None:
    project.data = data
    project.training = dataclasses.replace(
        project.training, phases=project.training.phases * phases
    )
    assert failure(make_start(project)).reason in ("check", "unsupported")


def test_training_goes_on_from_weights(project: Document, make_start: MakeStart) -> None:
    first = make_start(project, "first")
    run(first)
    path = str(Path(first.run_dir) / files.WEIGHTS)
    second = make_start(project, "second", resume_from=path)
    run(second)
    logs = [read_history(Path(s.run_dir) / files.METRICS) for s in (first, second)]
    assert np.mean(logs[1].values["loss"][:5]) < 0.5 * np.mean(logs[0].values["loss"][:5])
    other = make_start(with_phase(from_example("digits_cnn"), epochs=1), "third", resume_from=path)
    failed = failure(other)
    assert failed.reason == "weights"
    assert files.WEIGHTS in failed.message


@pytest.mark.parametrize("first", ["", "hello\n", '{"v":1,"type":"Control","action":"stop"}\n'])
def test_anything_but_a_start_is_refused(first: str, tmp_path: Path) -> None:
    done = subprocess.run(
        worker_command(),
        input=first,
        stdout=subprocess.PIPE,
        env=worker_environment(),
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    failed = messages.decode(line)
    assert isinstance(failed, Failed)
    assert failed.reason == "protocol"


def test_garbage_between_controls_is_passed_over(
    long_project: Document, make_start: MakeStart
) -> None:
    with TrainingClient(make_start(long_project)) as client:
        for message in client:
            if isinstance(message, Started):
                client.write_line("garbage \ud800 {{{")
                client.write_line(messages.encode(message))
                client.stop()
    assert isinstance(message, Finished)
    assert "ignored" in client.log


def test_failures_are_told_in_the_language_of_the_window(make_start: MakeStart) -> None:
    environment = worker_environment() | {"GRAPHSTUDIO_LANGUAGE": "zh"}
    failed = failure(make_start(from_example("mnist_mlp")), environment=environment)
    assert any("\u4e00" <= c <= "\u9fff" for c in failed.message)
    assert any("\u4e00" <= c <= "\u9fff" for c in failed.hint)
