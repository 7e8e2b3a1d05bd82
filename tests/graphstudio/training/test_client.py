"""The client at the far end of a process that misbehaves."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from graphstudio.training.client import TrainingClient, exit_text
from graphstudio.training.files import RunInfo, read_run, write_run
from graphstudio.training.messages import Failed, Finished, Preparing, Start, encode


def client_of(code: str, run_dir: Path) -> TrainingClient:
    """A client whose worker is this piece of Python."""
    start = Start(document={}, project_dir="", run_dir=str(run_dir))
    return TrainingClient(start, command=[sys.executable, "-c", code])


def test_a_worker_that_dies_is_reported_with_its_code_and_last_words(tmp_path: Path) -> None:
    write_run(tmp_path, RunInfo(status="running"))
    with client_of("import sys; print('boom', file=sys.stderr); sys.exit(7)", tmp_path) as client:
        (failed,) = list(client)
        assert client.receive() is None
    assert isinstance(failed, Failed)
    assert failed.reason == "died"
    assert "exit code 7" in failed.message
    assert failed.details.endswith("boom")
    info = read_run(tmp_path)
    assert info is not None
    assert info.status == "died"


def test_garbage_on_the_pipe_is_logged_and_passed_over(tmp_path: Path) -> None:
    finished = Finished(status="completed", epochs=1, seconds=1.0, weights="w")
    good, end = encode(Preparing(what="x")), encode(finished)
    code = (
        "import os\n"
        f"os.write(1, b'\\xff\\xfe garbage\\n' + {good!r}.encode() + b'\\n[1,2]\\n\\n')\n"
        f"os.write(1, {end!r}.encode() + b'\\n' + b'torn')\n"
    )
    with client_of(code, tmp_path) as client:
        told = list(client)
    assert told == [Preparing(what="x"), finished]
    assert "garbage" in client.log


def test_a_worker_that_ignores_everything_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphstudio.training import client as module

    monkeypatch.setattr(module, "GRACE_S", 0.3)
    code = "import time\nwhile True: time.sleep(1)"
    began = time.monotonic()
    with client_of(code, tmp_path) as client:
        pass
    assert time.monotonic() - began < 5
    assert client.exit_code not in (None, 0)


def test_a_flood_does_not_keep_it_from_being_closed(tmp_path: Path) -> None:
    line = encode(Preparing(what="x" * 1000))
    code = f"import sys\nwhile True: sys.stdout.write({line!r} + '\\n')"
    with client_of(code, tmp_path) as client:
        assert client.receive() == Preparing(what="x" * 1000)
        client.kill()
    assert client.exit_code is not None


def test_controls_to_a_dead_worker_do_no_harm(tmp_path: Path) -> None:
    with client_of("pass", tmp_path) as client:
        list(client)
        client.pause()
        client.resume()
        client.stop()


def test_exit_texts() -> None:
    assert exit_text(3) == "exit code 3"
    assert exit_text(-9) == "signal SIGKILL"
    assert exit_text(-200) == "signal 200"
