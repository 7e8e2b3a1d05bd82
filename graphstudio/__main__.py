"""The program: ``graphstudio`` and ``python -m graphstudio``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from graphstudio import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of the program; opens the window unless a command is given."""
    argv = sys.argv[1:] if argv is None else argv
    if list(argv) == ["--worker"]:  # a frozen program starts its training process this way
        from graphstudio.training import worker

        return worker.main()
    return cli.main(argv, _open_window)


def _open_window(project: Path | None) -> int:
    from graphstudio.ui.app import main as run_window  # late: Qt is not needed for the commands

    return int(run_window(project))


if __name__ == "__main__":
    sys.exit(main())
