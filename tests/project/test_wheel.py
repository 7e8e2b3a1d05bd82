"""The wheel is whole: installed somewhere else, it finds its resources and its examples."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.project.source import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder with nothing but the unpacked wheel: what installing it puts on the path."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def elsewhere(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in another folder, with the wheel's content before the checkout."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(installed)},
    )


def test_the_wheel_has_both_packages_and_the_data(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"engine", "graphstudio"}
    assert "graphstudio/_data/projects/digits_cnn/digits_cnn.gsproj" in names
    for folder in ("resources", "projects"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and ".runs" not in str(path) and "__pycache__" not in path.parts:
                assert f"graphstudio/_data/{path.relative_to(ROOT).as_posix()}" in names
    assert not [name for name in names if ".runs/" in name or name.endswith(".pyc")]


def test_the_wheel_finds_its_own_data(installed, tmp_path):
    code = "from graphstudio.resources import data_dir as d; print(d('resources'), d('projects'))"
    done = elsewhere(installed, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        str(installed / "graphstudio" / "_data" / kind) for kind in ("resources", "projects")
    ]


def test_the_wheel_checks_an_example_from_another_folder(installed, tmp_path):
    project = installed / "graphstudio/_data/projects/digits_cnn/digits_cnn.gsproj"
    done = elsewhere(installed, tmp_path, "-m", "graphstudio", "check", str(project))
    assert done.returncode == 0, done.stdout + done.stderr
