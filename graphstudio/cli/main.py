"""Reads the command line and hands it to a command, or to the window."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from graphstudio import __version__, i18n
from graphstudio.cli.output import PROBLEMS, USAGE, Output
from graphstudio.cli.project import CommandError
from graphstudio.i18n import tr

COMMANDS = ("check", "train", "export", "verify", "run", "data")

OpenWindow = Callable[[Path | None], int]
Command = Callable[[argparse.Namespace, Output], int]


def main(argv: Sequence[str], open_window: OpenWindow) -> int:
    """Exit code of ``graphstudio ARGV``; 0 only if every part held.

    Parameters
    ----------
    open_window : callable
        Opens the window on a project or on none; the command line itself knows no window.
    """
    i18n.set_language(system_language())
    first = next((word for word in argv if not word.startswith("-")), None)
    try:
        if first in COMMANDS:
            return _run_command(build_parser().parse_args(argv))
        return _open(argv, open_window)
    except BrokenPipeError:  # the reader of our output went away, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PROBLEMS
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="graphstudio",
        usage="graphstudio [-h] [--version] [PROJECT | COMMAND ...]",
        description=tr(
            "Draw a neural network, train it, watch it learn, and export PyTorch, TensorFlow or "
            "Keras code that gives the same numbers. Without a command, the window opens."
        ),
    )
    parser.add_argument("--version", action="version", version=f"graphstudio {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title=tr("commands"))

    def command(name: str, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("project", metavar="PROJECT", type=Path, help=tr("a .gsproj file"))
        _add_json(sub)
        return sub

    command("check", tr("say what is wrong with a project, or that nothing is"))
    train = command("train", tr("train a project and evaluate it on the held-out samples"))
    _add_training(train)
    _add_weights(train, tr("begin with these weights instead of fresh ones"))
    export = command("export", tr("write the project as code of each framework"))
    export.add_argument("--out", metavar="DIR", type=Path, help=tr("folder for the code"))
    _add_weights(export, tr("weights to export; else those of the latest run"))
    _add_target(export)
    verify = command("verify", tr("run the exports and compare their numbers with the engine's"))
    _add_weights(verify, tr("weights to use; else those of the latest run"))
    _add_target(verify)
    verify.add_argument(
        "--project-dir",
        metavar="DIR",
        type=Path,
        help=tr("folder in which relative data folders lie; else that of the project"),
    )
    whole = command("run", tr("check, train, evaluate, export everything and verify"))
    _add_training(whole)
    _add_data(commands.add_parser("data", help=tr("list, fetch or point to data sets")))
    return parser


def system_language() -> str:
    """Language of the messages: ``GRAPHSTUDIO_LANGUAGE``, else that of the locale."""
    asked = [os.environ.get("GRAPHSTUDIO_LANGUAGE", "")]
    asked += [os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG")]
    code = next(filter(None, asked), "en").partition("_")[0].partition(".")[0].lower()
    return code if code in i18n.LANGUAGES else "en"


def has_display() -> bool:
    """True if a window can be shown."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help=tr("print one JSON object as the last line")
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help=tr("folder for the results; else a new one beside the project"),
    )
    parser.add_argument(
        "--threads", metavar="N", type=_positive, help=tr("threads; else one fewer than the cores")
    )


def _add_weights(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--weights", metavar="FILE", type=Path, help=text)


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target",
        action="append",
        choices=("pytorch", "tensorflow", "keras"),
        help=tr("one framework; can be repeated; else all"),
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help=tr("list the sources"))
    fetch = actions.add_parser("fetch", help=tr("download a data set"))
    fetch.add_argument("name", metavar="NAME")
    fetch.add_argument("--to", metavar="DIR", type=Path, help=tr("folder for the files"))
    use = actions.add_parser("use", help=tr("say where the files of a data set lie"))
    use.add_argument("name", metavar="NAME")
    use.add_argument("folder", metavar="DIR", type=Path)
    for action in (listing, fetch, use):
        _add_json(action)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _run_command(args: argparse.Namespace) -> int:
    out = Output(as_json=args.json)
    try:
        code = _command(args)(args, out)
    except CommandError as error:
        code = error.code
    except BrokenPipeError:
        raise
    except Exception as error:  # the promise of one JSON object holds for our own errors too
        out.note(traceback.format_exc().rstrip())
        out.failure(error)
        code = PROBLEMS
    return out.finish(code)


def _command(args: argparse.Namespace) -> Command:
    """The function behind a command; only its own module is imported."""
    match args.command:
        case "check":
            from graphstudio.cli.check import run
        case "train":
            from graphstudio.cli.train import run
        case "export":
            from graphstudio.cli.export import run
        case "verify":
            from graphstudio.cli.verify import run
        case "run":
            from graphstudio.cli.run import run
        case _:
            from graphstudio.cli import data

            return {"list": data.run_list, "fetch": data.run_fetch, "use": data.run_use}[
                args.action
            ]
    return run


def _open(argv: Sequence[str], open_window: OpenWindow) -> int:
    if any(word in ("-h", "--help", "--version") for word in argv):
        build_parser().parse_args(argv)
    options = [word for word in argv if word.startswith("-")]
    words = [word for word in argv if not word.startswith("-")]
    project = Path(words[0]) if words else None
    commands = ", ".join(COMMANDS)
    if options or len(words) > 1 or (project is not None and not project.exists()):
        wrong = (options or words[-1:])[0] if options or len(words) > 1 else words[0]
        _complain(
            tr(
                "'{word}' is neither a project file nor a command; the commands are {commands}. "
                "graphstudio --help tells more.",
                word=wrong,
                commands=commands,
            )
        )
        return USAGE
    if not has_display():
        _complain(
            tr(
                "There is no display to open a window on. These commands work without one: "
                "{commands}. For example: graphstudio run PROJECT",
                commands=commands,
            )
        )
        return USAGE
    return open_window(project)


def _complain(text: str) -> None:
    print(text, file=sys.stderr)
