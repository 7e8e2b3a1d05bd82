"""The command line as a shell sees it: real processes, exit codes, streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import graphstudio
from graphstudio.cli.main import has_display, main, system_language
from graphstudio.services.projects import examples

ROOT = Path(graphstudio.__file__).resolve().parents[1]
DIGITS = next(e.path for e in examples() if e.name == "digits_cnn")


def graphstudio_process(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    clean.pop("QT_QPA_PLATFORM", None)
    return subprocess.run(
        [sys.executable, "-m", "graphstudio", *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        env=clean | {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"} | env,
        timeout=120,
        check=False,
    )


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    done = graphstudio_process("--help")
    assert done.returncode == 0
    for command in ("check", "train", "export", "verify", "run", "data"):
        assert command in done.stdout
    code = (
        "import sys\n"
        "from graphstudio.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'engine', 'rich', 'PySide6', 'sklearn', 'torch', 'subprocess'}\n"
        "sys.exit(repr(heavy & sys.modules.keys()) if heavy & sys.modules.keys() else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_check_loads_neither_engine_nor_frameworks() -> None:
    code = (
        "import sys\n"
        "from graphstudio.__main__ import main\n"
        f"assert main(['check', {str(DIGITS)!r}]) == 0\n"
        "heavy = {'numpy', 'engine', 'PySide6', 'sklearn', 'torch', 'tensorflow', 'keras'}\n"
        "sys.exit(repr(heavy & sys.modules.keys()) if heavy & sys.modules.keys() else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_check_of_a_good_project() -> None:
    done = graphstudio_process("check", DIGITS)
    assert done.returncode == 0
    assert "29,162 parameters" in done.stdout
    done = graphstudio_process("check", DIGITS, "--json")
    assert json.loads(done.stdout) == {"check": {"problems": [], "parameters": 29162}}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    body = json.loads(DIGITS.read_text())
    nodes = body["graphs"]["main"]["nodes"]
    nodes["scores"]["params"]["units"] = 7
    path = tmp_path / "broken.gsproj"
    path.write_text(json.dumps(body))
    return path


def test_check_names_the_faulty_node_and_its_fix(broken: Path) -> None:
    done = graphstudio_process("check", broken)
    assert done.returncode == 1
    assert "Error:" in done.stdout
    done = graphstudio_process("check", broken, "--json")
    assert done.returncode == 1
    (problem, *_rest) = json.loads(done.stdout)["check"]["problems"]
    assert problem["severity"] == "error"
    assert "10" in problem["message"]
    assert problem["fixes"]


def test_a_label_cannot_command_the_terminal(broken: Path) -> None:
    body = json.loads(broken.read_text())
    nodes = body["graphs"]["main"]["nodes"].values()
    judge = next(n for n in nodes if n["type"] == "metric.accuracy")
    judge["label"] = "bad\x1b]0;owned\x07\x9b2J\r"
    broken.write_text(json.dumps(body))
    for words in (["check", broken], ["check", broken, "--json"]):
        done = graphstudio_process(*words)
        assert "bad\ufffd]0;owned" in done.stdout + done.stderr
        assert not {"\x1b", "\x07", "\x9b", "\r"} & {*done.stdout, *done.stderr}


def test_weights_that_are_not_there_are_said_before_anything_is_replaced(tmp_path: Path) -> None:
    done = graphstudio_process("train", DIGITS, "--out", tmp_path, "--weights", "missing.st")
    assert done.returncode == 2
    assert "missing.st" in done.stderr
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("command", ["train", "export", "verify", "run"])
def test_no_command_goes_on_after_a_failed_check(broken: Path, command: str) -> None:
    done = graphstudio_process(command, broken, "--json")
    assert done.returncode == 1
    assert set(json.loads(done.stdout.splitlines()[-1])) == {"check"}
    assert os.listdir(broken.parent) == ["broken.gsproj"]


@pytest.mark.parametrize("content", ["", "{", '{"format": 1}', "\0"])
def test_a_foreign_file_is_explained(tmp_path: Path, content: str) -> None:
    path = tmp_path / "foreign.gsproj"
    path.write_text(content)
    for command in ("check", "run"):
        done = graphstudio_process(command, path, "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout)["error"]["message"]
        assert "Traceback" not in done.stderr
        assert "Error:" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["check"],
        ["check", "missing.gsproj"],
        ["chek", "x.gsproj"],
        ["missing.gsproj"],
        ["--nonsense"],
        ["train", "x.gsproj", "--threads", "0"],
        ["export", "x.gsproj", "--target", "caffe"],
        ["data"],
        ["data", "fetch", "imagenet"],
        ["data", "use", "mnist", "missing-folder"],
    ],
)
def test_a_wrong_call_is_code_2_and_says_why(words: list[str]) -> None:
    done = graphstudio_process(*words)
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there is always a display")
def test_without_a_display_the_commands_are_named() -> None:
    for words in ([], [DIGITS]):
        done = graphstudio_process(*words)
        assert done.returncode == 2
        assert "no display" in done.stderr
        assert "graphstudio run" in done.stderr


def test_a_project_alone_opens_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path | None] = []

    def window(path: Path | None) -> int:
        opened.append(path)
        return 0

    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert has_display()
    assert main([], window) == 0
    assert main([str(DIGITS)], window) == 0
    assert opened == [None, DIGITS]


def test_messages_are_in_the_language_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "GRAPHSTUDIO_LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    assert system_language() == "en"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert system_language() == "zh"
    monkeypatch.setenv("LC_ALL", "fr_FR")
    assert system_language() == "en"
    monkeypatch.setenv("GRAPHSTUDIO_LANGUAGE", "zh")
    assert system_language() == "zh"
    done = graphstudio_process("check", DIGITS, GRAPHSTUDIO_LANGUAGE="zh")
    assert done.returncode == 0
    assert "参数" in done.stdout


def test_version() -> None:
    done = graphstudio_process("--version")
    assert done.stdout.strip() == f"graphstudio {graphstudio.__version__}"
