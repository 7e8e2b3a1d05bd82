"""Prepares ``.venv`` and, where it may, Qt's system libraries. Quick when nothing changed.

Run by the Makefile with the Python that the environment is to have:

    python .ci/setup.py [--extras exports,dev] [--window-tests] [--venv .venv]

Only the standard library is used: there is nothing else yet.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = "graphstudio-setup.json"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

TORCH = "torch==2.13.0"
"""Installed by itself and first: pip then takes a CPU build (``2.13.0+cpu``) wherever it is
configured to find one, and the ``exports`` extra is content with it. TORCH_INDEX names an index."""

QT_PACKAGES = [
    "libxcb-cursor0",
    "libxcb-icccm4",
    "libxcb-keysyms1",
    "libxcb-image0",
    "libxcb-render-util0",
    "libxcb-shape0",
    "libxcb-xinerama0",
    "libxcb-randr0",
    "libxkbcommon-x11-0",
    "libegl1",
    "libgl1",
    "libdbus-1-3",
    "libfontconfig1",
    "libglib2.0-0",
    "fonts-dejavu-core",
    "fonts-wqy-microhei",
]
WINDOW_TEST_PACKAGES = ("xvfb", "openbox", "xdotool")


class SetupError(Exception):
    """Something is missing that only the user can bring; the text says what to type."""


def run(*command: str | Path, quiet: bool = False) -> None:
    """Run a command without a terminal to ask questions on; a failure ends the setup."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else None,
        check=False,
    )
    if done.returncode:
        line = " ".join(map(str, command))
        raise SetupError(f"this command failed with exit code {done.returncode}:\n  {line}")


def apt_install(packages: list[str], reason: str) -> None:
    """Install Debian packages as root; otherwise say the line that does it."""
    line = f"apt-get install {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise SetupError(f"{reason}. Install what Debian calls: {' '.join(packages)}")
    if os.geteuid() != 0:
        raise SetupError(f"{reason}. Install it with:\n  sudo {line}")
    print(f"{reason}; installing it with apt-get ...", flush=True)
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", "update", "-q", quiet=True)
    run("apt-get", "install", "-q", "-y", "--no-install-recommends", *packages, quiet=True)


# The environment


def venv_python(venv: Path) -> Path:
    """The environment's own interpreter."""
    folder, suffix = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
    return venv / folder / f"python{suffix}"


def works(python: Path) -> bool:
    """True if this environment runs, has pip, and has the version it is to have."""
    probe = "import sys, pip; print('%d.%d' % sys.version_info[:2], sys.prefix != sys.base_prefix)"
    try:
        done = subprocess.run(
            [str(python), "-c", probe],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return False
    return done.stdout.split() == [VERSION, "True"]


def make_venv(venv: Path) -> Path:
    """Create the environment, or create it anew if an interrupted setup left half of one."""
    python = venv_python(venv)
    if works(python):
        return python
    if venv.exists():
        if any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
            raise SetupError(f"{venv} exists and is no Python environment; move it away")
        print(f"Making {venv} anew ...", flush=True)
    else:
        print(f"Making {venv} with Python {sys.version.split()[0]} ...", flush=True)
    try:
        import ensurepip  # noqa: F401  # Debian leaves it out of the plain python3 package
    except ImportError:
        apt_install([f"python{VERSION}-venv"], f"Python {VERSION} came without its venv module")
    run(sys.executable, "-m", "venv", "--clear", venv)
    return python


def fingerprint(extras: str) -> str:
    """Changes whenever the packages might have to be installed again."""
    digest = hashlib.sha256()
    for part in (ROOT / "pyproject.toml", Path(__file__)):
        digest.update(part.read_bytes())
    digest.update(f"{ROOT} {sys.version} {extras}".encode())
    return digest.hexdigest()


def install(python: Path, venv: Path, extras: set[str]) -> None:
    """Install graphstudio, editable, with these extras and those installed before."""
    stamp = venv / STAMP
    try:
        before = json.loads(stamp.read_text(encoding="utf-8"))
        known = set(before["extras"])
    except (OSError, ValueError, KeyError, TypeError):
        before, known = {}, set()
    wanted = ",".join(sorted(extras | known))
    if extras <= known and before.get("fingerprint") == fingerprint(wanted):
        return
    stamp.unlink(missing_ok=True)  # an interrupted installation must not pass for a whole one
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    if "exports" in wanted:
        print("Installing PyTorch (large; once) ...", flush=True)
        index = os.environ.get("TORCH_INDEX")
        run(*pip, *(("--index-url", index) if index else ()), TORCH)
    print(f"Installing graphstudio{f' with {wanted}' if wanted else ''} ...", flush=True)
    run(*pip, "--editable", f"{ROOT}[{wanted}]" if wanted else ROOT)
    content = {"fingerprint": fingerprint(wanted), "extras": sorted(extras | known)}
    stamp.write_text(json.dumps(content), encoding="utf-8")


# The system


def qt_problem(python: Path) -> str:
    """Why Qt cannot open windows here, or nothing. Loads its X11 platform as Qt itself would."""
    probe = (
        "import ctypes, pathlib, PySide6\n"
        "from PySide6 import QtGui, QtWidgets, QtSvg\n"
        "folder = pathlib.Path(PySide6.__file__).parent / 'Qt/plugins/platforms'\n"
        "for name in ('libqoffscreen.so', 'libqxcb.so'): ctypes.CDLL(str(folder / name))\n"
    )
    done = subprocess.run(
        [str(python), "-c", probe],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.stderr.strip().splitlines()[-1] if done.returncode and done.stderr.strip() else ""


def prepare_system(python: Path, *, window_tests: bool) -> None:
    """Bring the libraries of Qt's windows; for the windowed tests also an X server of their own."""
    if not sys.platform.startswith("linux"):
        return
    if problem := qt_problem(python):
        apt_install(list(QT_PACKAGES), f"Qt's libraries are not complete ({problem})")
        if problem := qt_problem(python):
            raise SetupError(f"Qt still cannot be loaded: {problem}")
    missing = [name for name in WINDOW_TEST_PACKAGES if shutil.which(_program(name)) is None]
    if window_tests and missing:
        apt_install(missing, f"the tests of the real window need {', '.join(missing)}")
    if window_tests and not _has_chinese_font():
        apt_install(["fontconfig", "fonts-wqy-microhei"], "the Chinese tests need a font")


def _program(package: str) -> str:
    return "Xvfb" if package == "xvfb" else package


def _has_chinese_font() -> bool:
    if shutil.which("fc-list") is None:
        return False
    done = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip())


def main() -> int:
    """Prepare everything; exit code 1 and the line to type where that is not possible."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--extras", default="", help="comma-separated extras of pyproject.toml")
    parser.add_argument("--window-tests", action="store_true", help="also prepare for real windows")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    options = parser.parse_args()
    try:
        python = make_venv(options.venv)
        install(python, options.venv, {e for e in options.extras.split(",") if e})
        prepare_system(python, window_tests=options.window_tests)
    except SetupError as error:
        print(f"Setup stopped: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
