"""The bridge against real processes: good ones, and all the ways in which one can go wrong."""

from __future__ import annotations

import collections
import os
import signal
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QElapsedTimer, QTimer

from graphstudio.document.model import Document
from graphstudio.training.messages import Failed, Finished
from graphstudio.ui import training_bridge
from graphstudio.ui.processes import program_command
from graphstudio.ui.training_bridge import TrainingBridge

SCRIPT = Path(__file__).with_name("dashboard") / "scripted_worker.py"
SIGNALS = ("preparing", "started", "stepped", "epoch_ended", "evaluated", "finished", "failed")


class Recorder:
    """Everything a bridge said, in order."""

    def __init__(self, bridge: TrainingBridge) -> None:
        self.said: list[tuple[str, object]] = []
        self.states: list[str] = []
        self.log: list[str] = []
        for name in SIGNALS:
            getattr(bridge, name).connect(lambda m, n=name: self.said.append((n, m)))
        bridge.state_changed.connect(self.states.append)
        bridge.logged.connect(self.log.append)

    def of(self, name: str) -> list:
        return [m for n, m in self.said if n == name]


@pytest.fixture
def bridge(qapp):
    made = TrainingBridge()
    yield made
    made.shutdown()
    made.deleteLater()


def run(bridge: TrainingBridge, how: str, folder: Path, qtbot, *, wait_s: float = 15) -> Recorder:
    """Run the scripted worker to its end."""
    told = begin(bridge, how, folder)
    qtbot.waitUntil(lambda: bridge.state == "idle", timeout=round(wait_s * 1000))
    return told


def begin(bridge: TrainingBridge, how: str, folder: Path) -> Recorder:
    bridge._command = [sys.executable, str(SCRIPT), how]
    told = Recorder(bridge)
    bridge.start(Document(), folder, folder / "run")
    return told


def only_outcome(told: Recorder) -> Finished | Failed:
    """The one last word: every run has exactly one."""
    outcomes = told.of("finished") + told.of("failed")
    assert len(outcomes) == 1, outcomes
    return outcomes[0]


def test_every_message_of_a_good_run_arrives_in_order(bridge, tmp_path, qtbot):
    told = run(bridge, "good", tmp_path, qtbot)
    kinds = [name for name, _ in told.said]
    assert kinds == [
        "preparing", "started", *["stepped"] * 5, "epoch_ended", *["stepped"] * 5, "epoch_ended",
        "evaluated", "finished",
    ]  # fmt: skip
    assert [s for m in told.of("stepped") for s in m.steps] == list(range(1, 101))
    assert told.states == ["preparing", "running", "idle"]
    assert "a warning of some library" in told.log
    assert only_outcome(told).status == "completed"


def test_the_worker_is_given_document_and_folders(bridge, tmp_path, qtbot):
    told = run(bridge, "echo-start", tmp_path, qtbot)
    assert [m.what for m in told.of("preparing")] == ["Loading data", str(tmp_path / "run")]


def test_pause_resume_and_stop(bridge, tmp_path, qtbot):
    told = begin(bridge, "steer", tmp_path)
    qtbot.waitUntil(lambda: bridge.state == "running")
    bridge.pause()
    qtbot.waitUntil(lambda: bridge.state == "paused")
    bridge.resume()
    qtbot.waitUntil(lambda: bridge.state == "running")
    bridge.stop()
    assert bridge.state == "stopping"
    qtbot.waitUntil(lambda: bridge.state == "idle")
    assert only_outcome(told).status == "stopped"
    assert told.states == [
        "preparing", "running", "paused", "running", "stopping", "idle",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("how", "reason", "part"),
    [
        ("garbage", "garbage", "no message"),
        ("bytes", "garbage", "no message"),
        ("uneven", "garbage", "no message"),
        ("endless-line", "garbage", "no message"),
        ("half-line", "exit", "code 0"),
        ("exit", "exit", "code 7"),
        ("exit-0", "exit", "code 0"),
        ("fail", "data", "'mnist' is missing"),
    ],
)
def test_a_broken_worker_is_reported_once_and_the_next_run_works(
    bridge, tmp_path, qtbot, how, reason, part
):
    told = run(bridge, how, tmp_path, qtbot)
    failure = only_outcome(told)
    assert isinstance(failure, Failed)
    assert failure.reason == reason
    assert part in failure.message
    assert bridge.pid == 0
    again = run(bridge, "good", tmp_path, qtbot)
    assert only_outcome(again).status == "completed"


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize(
    ("how", "reason", "number"),
    [
        ("abort", "crash", signal.SIGABRT),
        ("segfault", "crash", signal.SIGSEGV),
        ("kill", "killed", signal.SIGKILL),
    ],
)
def test_a_crash_names_the_signal(bridge, tmp_path, qtbot, how, reason, number):
    told = run(bridge, how, tmp_path, qtbot)
    failure = only_outcome(told)
    assert failure.reason == reason
    assert str(int(number)) in failure.message
    assert failure.hint


def test_a_killed_worker_is_noticed_within_two_seconds(bridge, tmp_path, qtbot):
    told = begin(bridge, "deaf", tmp_path)
    qtbot.waitUntil(lambda: bool(told.of("stepped")))
    clock = QElapsedTimer()
    clock.start()
    os.kill(bridge.pid, signal.SIGTERM)
    qtbot.waitUntil(lambda: bridge.state == "idle")
    assert clock.elapsed() < 2000
    assert isinstance(only_outcome(told), Failed)


def test_the_end_of_the_error_output_goes_with_the_failure(bridge, tmp_path, qtbot):
    told = run(bridge, "exit", tmp_path, qtbot)
    assert "the reason stands here" in only_outcome(told).details


def test_a_worker_deaf_to_stop_is_ended_after_three_seconds(bridge, tmp_path, qtbot):
    told = begin(bridge, "deaf", tmp_path)
    qtbot.waitUntil(lambda: bool(told.of("stepped")))
    clock = QElapsedTimer()
    clock.start()
    bridge.stop()
    qtbot.waitUntil(lambda: bridge.state == "idle", timeout=8000)
    assert 2500 < clock.elapsed() < 4500
    assert only_outcome(told).reason == "hang"


def test_a_second_stop_does_not_wait(bridge, tmp_path, qtbot):
    told = begin(bridge, "deaf", tmp_path)
    qtbot.waitUntil(lambda: bool(told.of("stepped")))
    bridge.stop()
    bridge.stop()
    qtbot.waitUntil(lambda: bridge.state == "idle", timeout=2000)
    assert only_outcome(told).reason == "hang"


def test_stopping_before_the_first_step_is_no_failure(bridge, tmp_path, qtbot):
    told = begin(bridge, "mute", tmp_path)
    bridge.stop()
    bridge.stop()
    qtbot.waitUntil(lambda: bridge.state == "idle", timeout=2000)
    outcome = only_outcome(told)
    assert (outcome.status, outcome.epochs, outcome.weights) == ("stopped", 0, "")


def test_a_worker_that_answers_is_given_time_to_save(bridge, tmp_path, qtbot, monkeypatch):
    monkeypatch.setattr(training_bridge, "STOP_TIMEOUT_S", 0.2)
    told = begin(bridge, "slow-stop", tmp_path)
    qtbot.waitUntil(lambda: bool(told.of("stepped")))
    bridge._step_s = -1.0  # as if steps took no time
    bridge.stop()
    qtbot.waitUntil(lambda: bridge.state == "idle", timeout=5000)
    assert only_outcome(told).status == "stopped"


def test_what_a_finished_worker_said_is_read_to_the_end(bridge, tmp_path, qtbot, monkeypatch):
    monkeypatch.setattr(training_bridge, "PARSE_BUDGET_S", 0.0)
    bridge._parse_timer.setInterval(0)
    told = run(bridge, "burst", tmp_path, qtbot, wait_s=30)
    assert [s for m in told.of("stepped") for s in m.steps] == list(range(1, 60_001))
    assert only_outcome(told).status == "completed"


@pytest.mark.parametrize("how", ["finish-and-linger", "finish-and-crash"])
def test_a_finished_run_stays_finished_however_its_process_ends(bridge, tmp_path, qtbot, how):
    told = run(bridge, how, tmp_path, qtbot)
    assert only_outcome(told).status == "completed"


def test_a_program_that_does_not_exist(bridge, tmp_path, qtbot):
    bridge._command = [str(tmp_path / "missing")]
    told = Recorder(bridge)
    bridge.start(Document(), tmp_path, tmp_path / "run")
    qtbot.waitUntil(lambda: bridge.state == "idle")
    assert only_outcome(told).reason == "start"
    assert only_outcome(run(bridge, "good", tmp_path, qtbot)).status == "completed"


def test_one_run_at_a_time(bridge, tmp_path, qtbot):
    begin(bridge, "deaf", tmp_path)
    with pytest.raises(RuntimeError, match="going on"):
        bridge.start(Document(), tmp_path, tmp_path / "run")


def test_shutdown_kills_the_worker(bridge, tmp_path, qtbot):
    told = begin(bridge, "deaf", tmp_path)
    qtbot.waitUntil(lambda: bool(told.of("stepped")))
    pid = bridge.pid
    bridge.shutdown()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert bridge.state == "idle"


def test_a_burst_is_read_in_slices_and_completely(bridge, tmp_path, qtbot):
    ticks, seen = [0], []

    def tick() -> None:
        ticks[0] += 1

    timer = QTimer(interval=1)
    timer.timeout.connect(tick)
    timer.start()
    bridge.stepped.connect(lambda _: seen.append(ticks[0]))
    told = run(bridge, "burst", tmp_path, qtbot, wait_s=30)
    timer.stop()
    assert [s for m in told.of("stepped") for s in m.steps] == list(range(1, 60_001))
    assert only_outcome(told).status == "completed"
    # All 3,000 messages were there at once; the event loop turned many times between them.
    turns = collections.Counter(seen)
    assert len(turns) > 10
    assert max(turns.values()) < 1000


def test_a_flood_on_the_error_output_is_cut_not_buffered(bridge, tmp_path, qtbot):
    told = run(bridge, "chatty", tmp_path, qtbot)
    assert only_outcome(told).status == "completed"
    assert "line 19999" in told.log
    assert len(bridge.log_tail.splitlines()) <= training_bridge.LOG_LINES


def test_backlog_over_its_limit_ends_the_run(bridge, tmp_path, qtbot, monkeypatch):
    monkeypatch.setattr(training_bridge, "MAX_BACKLOG_BYTES", 20_000)
    monkeypatch.setattr(training_bridge, "PARSE_BUDGET_S", 0.0)
    told = run(bridge, "burst", tmp_path, qtbot)
    assert only_outcome(told).reason == "flood"


def test_a_frozen_program_starts_itself(monkeypatch):
    assert program_command("verify")[1:] == ["-P", "-m", "graphstudio", "verify"]
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert program_command("verify") == [sys.executable, "verify"]
