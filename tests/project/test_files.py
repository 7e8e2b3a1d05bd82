"""The checkout itself: icons, examples, documents, and what must never be in it."""

from __future__ import annotations

import re
import tomllib
from xml.etree import ElementTree

import pytest

from graphstudio.nodes.spec import catalog
from graphstudio.resources import data_dir, resource
from tests.project.source import ROOT, tracked_files

TEXT = {".py", ".md", ".toml", ".json", ".yaml", ".gsproj", ".svg", ".qss", ".txt", ".cfg", ""}
TOP_LEVEL = {
    ".ci", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
    "Makefile", "README.md", "benchmarks", "docs", "engine", "graphstudio", "projects",
    "pyproject.toml", "resources", "tests",
}  # fmt: skip
EXAMPLES = ("digits_mlp", "digits_cnn", "mnist_mlp", "mnist_cnn")
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/file-format.md",
)

# Written in pieces, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"(?<![\w./~$}-])/(?:wor" + r"k|roo" + r"t|tm" + r"p|home/[a-z]+)/")
PACKAGE_HOSTS = re.compile(r"pyp" + r"i\.org|files\.pythonhos" + r"ted|download\.pytor" + "ch")


def text_files():
    for path in tracked_files():
        if path.suffix in TEXT and path.stat().st_size < 2_000_000:
            yield path, path.read_text(encoding="utf-8")


@pytest.mark.parametrize("type_id", sorted(catalog()))
def test_every_node_type_has_an_icon(type_id):
    assert resource("icons", "nodes", f"{type_id}.svg").is_file()


def test_every_category_has_an_icon():
    for category in {cls.category for cls in catalog().values()}:
        assert resource("icons", "categories", f"{category.lower()}.svg").is_file()


def test_no_icon_without_its_node_type():
    icons = {p.stem for p in resource("icons", "nodes").glob("*.svg")}
    assert icons == set(catalog())


@pytest.mark.parametrize("folder", ["nodes", "categories", "actions"])
def test_icons_are_plain_and_of_one_style(folder):
    """One grid, one colour that the theme replaces, nothing that refers outside the file."""
    for path in resource("icons", folder).glob("*.svg"):
        svg = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert svg.get("viewBox") == "0 0 24 24", path.name
        for element in svg.iter():
            tag = element.tag.rpartition("}")[2]
            assert tag in {"svg", "path", "rect", "circle", "ellipse"}, f"{path.name}: {tag}"
            for key in ("stroke", "fill"):
                assert element.get(key, "none") in ("none", "#000"), (
                    f"{path.name}: {element.attrib}"
                )


def test_icons_are_distinct():
    for folder in ("nodes", "actions"):
        drawings: dict[str, str] = {}
        for path in sorted(resource("icons", folder).glob("*.svg")):
            other = drawings.setdefault(path.read_text(encoding="utf-8"), path.name)
            assert other == path.name, f"{path.name} is the same drawing as {other}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_complete(name):
    folder = data_dir("projects") / name
    assert (folder / f"{name}.gsproj").is_file()
    assert (folder / "README.md").is_file()


def test_top_level_is_the_agreed_one():
    found = {p.relative_to(ROOT).parts[0] for p in tracked_files()}
    assert found <= TOP_LEVEL, f"unexpected at the top: {sorted(found - TOP_LEVEL)}"


def test_no_path_of_a_machine_and_no_host_of_packages():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATHS.search(line) or PACKAGE_HOSTS.search(line)
    ]
    assert not found, "\n".join(found)


def test_no_module_of_leftovers():
    names = {"utils.py", "util.py", "misc.py", "helpers.py", "common.py"}
    assert not [p for p in tracked_files() if p.name in names]


def test_modules_stay_small():
    """A module past 500 lines is asking to be split by gesture, panel or op; past 700 it has to."""
    long = {
        str(path.relative_to(ROOT)): text.count("\n")
        for path, text in text_files()
        if path.suffix == ".py" and text.count("\n") > 700
    }
    assert not long


def test_tests_mirror_the_tree():
    """Each folder of tests belongs to a package, or to one of the folders about the whole."""
    apart = {"project", "integration", "golden", "fixtures"}
    astray = set()
    for path in tracked_files():
        parts = path.relative_to(ROOT).parts
        if parts[0] != "tests" or len(parts) < 3 or parts[1] in apart:
            continue
        if not (ROOT / "/".join(parts[1:-1])).is_dir():
            astray.add("/".join(parts[:-1]))
    assert not astray


def test_links_between_documents_lead_somewhere():
    broken = []
    for name in DOCUMENTS:
        path = ROOT / name
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{name}: {target}")
    assert not broken, "\n".join(broken)


def test_the_readme_names_commands_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", text))
    assert {"run", "test"} <= named <= targets

    from graphstudio.cli.main import build_parser

    help_text = build_parser().format_help()
    commands = set(re.findall(r"^ *(?:\$ )?graphstudio ([a-z]+) ", text, re.MULTILINE))
    assert {"check", "train", "export", "verify", "run"} <= commands
    assert all(command in help_text for command in commands)


def test_the_changelog_has_this_version():
    from graphstudio import __version__

    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{__version__}]" in text or "## [Unreleased]" in text


def test_every_marker_and_extra_is_used():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {"exports", "dev"} <= config["project"]["optional-dependencies"].keys()
    assert config["project"]["license"] == "MIT"
