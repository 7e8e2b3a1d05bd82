"""A screen of its own and a person's hands on it: Xvfb, a window manager, xdotool.

The program runs as its users start it. Its test hook (``GRAPHSTUDIO_TEST_HOOK``) only answers
where things are, so that gestures aim at nodes and buttons and not at pixels; every change is made
by mouse and keyboard.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Point = tuple[float, float]
State = Mapping[str, Any]

ROOT = Path(__file__).resolve().parent.parent.parent
SIZE = (1600, 1000)
NEEDED = {"Xvfb": "xvfb", "openbox": "openbox", "xdotool": "xdotool"}
"""Program to the Debian package that has it."""


def missing_packages() -> list[str]:
    """Debian packages without which no window can be tried."""
    return [package for program, package in NEEDED.items() if shutil.which(program) is None]


class Screen:
    """An X server with a window manager, on the first free display."""

    def __init__(self, size: tuple[int, int] = SIZE) -> None:
        read, write = os.pipe()
        geometry = f"{size[0]}x{size[1]}x24"
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", geometry, "-nolisten", "tcp"],
            pass_fds=(write,),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()  # empty if the server ended without a display
        if not number:
            raise RuntimeError(f"Xvfb did not start (exit code {self._server.wait()})")
        self.display = f":{number}"
        self.env = os.environ | {"DISPLAY": self.display}
        self._manager = subprocess.Popen(
            ["openbox", "--sm-disable"],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def xdo(self, *arguments: object) -> str:
        """Run one xdotool command line."""
        done = subprocess.run(
            ["xdotool", *map(str, arguments)],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        if done.returncode:
            raise RuntimeError(f"xdotool {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def close(self) -> None:
        """End the window manager and the server."""
        for process in (self._manager, self._server):
            process.terminate()
            process.wait(timeout=10)


class Desktop:
    """The running program as a person has it: looks, mouse, keys."""

    def __init__(self, screen: Screen, folder: Path, *arguments: str, **env: str) -> None:
        self.screen = screen
        self.folder = folder
        self.hook = folder / "hook"
        self.hook.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log.txt"
        environment = screen.env | {
            "PYTHONPATH": str(ROOT),  # it runs in another folder, as a user's program does
            "QT_QPA_PLATFORM": "xcb",
            "GRAPHSTUDIO_TEST_HOOK": str(self.hook),
            "GRAPHSTUDIO_CONFIG_DIR": str(folder / "config"),
            "GRAPHSTUDIO_STATE_DIR": str(folder / "state"),
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "graphstudio", *arguments],
                cwd=folder,
                env=environment | env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait(lambda state: bool(state["widgets"]), "the window", timeout_s=60)

    # What there is to see

    def state(self, *, timeout_s: float = 15) -> State:
        """What the program shows now, and where."""
        nonce = uuid.uuid4().hex
        answer = self.hook / "answer.json"
        request = self.hook / "ask.new"
        request.write_text(nonce, encoding="utf-8")
        request.replace(self.hook / "ask")
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the program ended: {self.log.read_text()[-3000:]}")
            if answer.exists():
                told: State = json.loads(answer.read_text(encoding="utf-8"))
                if told.get("nonce") == nonce:
                    return told
            time.sleep(0.02)
        raise AssertionError(f"no answer within {timeout_s} s: {self.log.read_text()[-3000:]}")

    def wait(self, condition: Callable[[State], Any], what: str, *, timeout_s: float = 15) -> State:
        """The first state in which ``condition`` holds."""
        end = time.monotonic() + timeout_s
        while True:
            state = self.state(timeout_s=timeout_s)
            if condition(state):
                return state
            if time.monotonic() > end:
                self.shot("waited-in-vain")
                raise AssertionError(f"waited {timeout_s} s for {what}; see {self.folder}")
            time.sleep(0.1)

    def shot(self, name: str) -> Path:
        """Keep a picture of the whole screen; None of the tests compares it, people look at it."""
        path = self.folder / f"{name}.png"
        if shutil.which("import"):
            subprocess.run(
                ["import", "-window", "root", str(path)],
                env=self.screen.env,
                check=False,
                capture_output=True,
                timeout=30,
            )
        return path

    # Hands

    def pause(self, seconds: float) -> None:
        """Rest, for what appears only after a while, such as an explanation beside the pointer."""
        time.sleep(seconds)

    def move(self, to: Point) -> None:
        """Put the pointer there."""
        self.screen.xdo("mousemove", round(to[0]), round(to[1]))
        time.sleep(0.03)

    def click(self, at: Point, *, button: int = 1, times: int = 1, hold: str = "") -> None:
        """Click, with modifier keys such as ``shift`` held if wanted."""
        self.move(at)
        if hold:
            self.screen.xdo("keydown", hold)
        self.screen.xdo("click", "--repeat", times, "--delay", 60, button)
        if hold:
            self.screen.xdo("keyup", hold)
        time.sleep(0.12)

    def drag(self, start: Point, end: Point, *, button: int = 1, steps: int = 12) -> None:
        """Press at ``start``, go to ``end`` in steps as a hand does, release."""
        self.move(start)
        self.screen.xdo("mousedown", button)
        for i in range(1, steps + 1):
            x = start[0] + (end[0] - start[0]) * i / steps
            y = start[1] + (end[1] - start[1]) * i / steps
            self.move((x, y))
        time.sleep(0.1)
        self.screen.xdo("mouseup", button)
        time.sleep(0.12)

    def key(self, *keys: str) -> None:
        """Press keys one after the other: ``ctrl+z``, ``Tab``, ``Return``."""
        for key in keys:
            self.screen.xdo("key", "--clearmodifiers", key)
            time.sleep(0.1)

    def type(self, text: str) -> None:
        """Type a text."""
        self.screen.xdo("type", "--delay", 25, text)
        time.sleep(0.15)

    # Aims

    def widget(self, name: str) -> Point:
        """Centre of the visible widget with this object name."""
        state = self.wait(lambda s: name in s["widgets"], f"the widget {name!r}")
        return centre(state["widgets"][name]["rect"])

    def press(self, name: str) -> None:
        """Click a button by its object name, once it can be clicked."""
        state = self.wait(
            lambda s: s["widgets"].get(name, {}).get("enabled"), f"{name!r} to be enabled"
        )
        self.click(centre(state["widgets"][name]["rect"]))

    def press_text(self, text: str) -> None:
        """Click the visible button with this text."""
        state = self.wait(lambda s: _buttons(s, text), f"a button {text!r}")
        self.click(centre(_buttons(state, text)[0]["rect"]))

    def row(self, name: str, text: str) -> Point:
        """Centre of a row of a list, a tree or a tab bar."""

        def rows(state: State) -> list[Any]:
            shown = state["widgets"].get(name, {}).get("rows", ())
            return [row for row in shown if row["text"] == text]

        return centre(rows(self.wait(rows, f"the row {text!r} in {name!r}"))[0]["rect"])

    def fill(self, name: str, text: str, *, leave: str = "Tab") -> None:
        """Replace what stands in a field, and leave it with this key."""
        self.click(self.widget(name))
        self.key("ctrl+a")
        self.type(text)
        self.key(leave)

    def node(self, label: str) -> str:
        """Id of the node with this label."""
        state = self.state()
        found = [i for i, node in state["nodes"].items() if node["label"] == label]
        assert len(found) == 1, f"{label!r} among {[n['label'] for n in state['nodes'].values()]}"
        return found[0]

    def close(self) -> int:
        """End the program as a session manager would, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait(timeout=10)


def _buttons(state: State, text: str) -> list[Any]:
    return [
        widget
        for widget in state["widgets"].values()
        if widget["visible"] and widget["enabled"] and widget.get("text") == text
    ]


def centre(rect: tuple[float, float, float, float] | list[float]) -> Point:
    """Middle of ``(x, y, width, height)``."""
    x, y, width, height = rect
    return x + width / 2, y + height / 2
