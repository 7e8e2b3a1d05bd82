"""A process that speaks the training protocol and then behaves as its argument says."""

from __future__ import annotations

import ctypes
import os
import sys
import time

from graphstudio.training.messages import (
    Control,
    EpochEnd,
    Evaluated,
    Failed,
    Finished,
    Preparing,
    Start,
    Started,
    StateChanged,
    StepMetrics,
    decode,
    encode,
)

EPOCHS, STEPS = 2, 50


def say(message) -> None:
    sys.stdout.write(encode(message) + "\n")
    sys.stdout.flush()


def steps(first: int, count: int) -> StepMetrics:
    numbers = list(range(first, first + count))
    return StepMetrics(
        steps=numbers,
        epochs=[n / STEPS for n in numbers],
        values={"loss": [2.0 / n for n in numbers], "accuracy": [1 - 1 / n for n in numbers]},
        learning_rate=[1e-3] * count,
        samples_per_s=5000.0,
        time_left_s=1.0,
        seconds=[n * 0.01 for n in numbers],
    )


def epoch(number: int) -> EpochEnd:
    return EpochEnd(
        epoch=number,
        step=number * STEPS,
        train={"loss": 1.0 / number, "accuracy": 0.5},
        validation={"loss": 1.1 / number, "accuracy": 0.4},
        seconds=0.5,
    )


def begin() -> Start:
    start = decode(sys.stdin.readline())
    assert isinstance(start, Start)
    say(Preparing(what="Loading data"))
    say(
        Started(
            epochs=EPOCHS,
            steps_per_epoch=STEPS,
            batch_size=10,
            num_parameters=42,
            num_train=500,
            num_validation=50,
            num_test=60,
            metrics=("loss", "accuracy"),
            pid=os.getpid(),
        )
    )
    return start


def finish(status: str = "completed") -> None:
    say(
        Evaluated(
            split="test",
            num_samples=60,
            values={"loss": 0.25, "accuracy": 0.9},
            confusion=[[28, 2], [4, 26]],
            class_names=["cat", "dog"],
        )
    )
    say(Finished(status=status, epochs=EPOCHS, seconds=1.0, weights="/nowhere/weights"))


def main(how: str) -> None:
    if how == "mute":
        time.sleep(60)
    start = begin()
    match how:
        case "good":
            for number in range(1, EPOCHS + 1):
                for k in range(5):
                    say(steps((number - 1) * STEPS + 10 * k + 1, 10))
                say(epoch(number))
            sys.stderr.write("a warning of some library\n")
            finish()
        case "echo-start":
            say(Preparing(what=start.run_dir))
            finish()
        case "steer":  # pause, resume and stop as the real one does
            for line in sys.stdin:
                control = decode(line)
                assert isinstance(control, Control)
                if control.action == "stop":
                    say(StateChanged(state="stopping"))
                    finish("stopped")
                    return
                say(StateChanged(state="paused" if control.action == "pause" else "running"))
        case "slow-stop":  # answers, then takes a while to save
            say(steps(1, 10))
            sys.stdin.readline()
            say(StateChanged(state="stopping"))
            time.sleep(1.5)
            finish("stopped")
        case "deaf":  # never answers
            say(steps(1, 10))
            time.sleep(60)
        case "garbage":
            say(steps(1, 10))
            sys.stdout.write("<html>this is no message</html>\n")
            sys.stdout.flush()
            time.sleep(60)
        case "bytes":
            sys.stdout.buffer.write(b"\xff\xfe\x00{]\n")
            sys.stdout.buffer.flush()
            time.sleep(60)
        case "uneven":
            say(
                StepMetrics(
                    steps=[1, 2, 3],
                    epochs=[0.1],
                    values={"loss": [1.0]},
                    learning_rate=[0.1],
                    samples_per_s=1.0,
                    time_left_s=1.0,
                )
            )
            time.sleep(60)
        case "endless-line":
            while True:
                sys.stdout.write("x" * 65536)
        case "half-line":
            sys.stdout.write(encode(steps(1, 10))[:40])
            sys.stdout.flush()
        case "exit":
            sys.stderr.write("ValueError: the reason stands here\n")
            os._exit(7)
        case "exit-0":
            os._exit(0)
        case "abort":
            os.abort()
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), 9)
        case "fail":
            say(
                Failed(
                    reason="data",
                    message="the folder 'mnist' is missing",
                    hint="Choose the folder of the data.",
                    node="abc",
                    details="Traceback ...",
                )
            )
            sys.exit(1)
        case "finish-and-linger":
            finish()
            time.sleep(60)
        case "finish-and-crash":
            finish()
            os.abort()
        case "burst":  # everything at once: far more than one frame can take
            for k in range(3000):
                sys.stdout.write(encode(steps(20 * k + 1, 20)) + "\n")
            sys.stdout.flush()
            finish()
        case "chatty":
            for k in range(20_000):
                sys.stderr.write(f"line {k}\n")
            finish()


main(sys.argv[1])
