"""What a data source is: declared options, fields, loading, and the same loading as a script."""

from __future__ import annotations

import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from graphstudio.document.model import DataSpec, Split
from graphstudio.ir.graph import DataField
from graphstudio.nodes.spec import params_of
from graphstudio.nodes.types import Message

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, "np.ndarray[Any, Any]"]

Progress = Callable[[Message, float], None]
"""Called with what is being done and the share of it that is done, 0 to 1."""


class DataError(Exception):
    """The data cannot be had; ``message`` says why, ``hint`` how to mend it."""

    def __init__(self, message: Message | str, hint: Message | str | None = None) -> None:
        self.message = Message(message) if isinstance(message, str) else message
        self.hint = Message(hint) if isinstance(hint, str) else hint
        super().__init__(str(self.message))


@dataclass(frozen=True)
class DataSet:
    """Arrays by field name, in three splits. The first axis of every array counts samples."""

    train: Arrays
    validation: Arrays
    test: Arrays
    class_names: tuple[str, ...] = ()
    """Names of the classes of the label field, in order; empty for a regression."""

    @staticmethod
    def size_of(arrays: Arrays) -> int:
        """Number of samples in one split; 0 for an empty one."""
        return min((len(a) for a in arrays.values()), default=0)


class Source(ABC):
    """Base of all sources: frozen dataclasses whose fields, made by ``param``, are the options."""

    kind: ClassVar[str]
    label: ClassVar[str]
    class_names: ClassVar[tuple[str, ...]] = ()
    requirements: ClassVar[tuple[str, ...]] = ("numpy",)
    """Distributions that the script of ``python_loader`` imports."""
    has_test_split: ClassVar[bool] = False
    """True if the source brings its own held-out split; the test share is then not used."""

    @abstractmethod
    def fields(self) -> tuple[DataField, ...]:
        """Names and types of the arrays, known without loading anything."""

    @abstractmethod
    def load(self, split: Split, project_dir: Path | None, progress: Progress) -> DataSet:
        """The arrays in three splits; raises DataError."""

    @abstractmethod
    def loader_text(self, split: Split) -> str:
        """A self-contained module that defines ``load_data`` with the result of ``load``."""

    def check_options(self) -> Message | None:
        """Why the options do not go together, or None; single limits are declared."""
        return None

    @classmethod
    def lacking(cls, folder: Path) -> tuple[str, ...]:
        """Names of the files of this data set that are not in ``folder``."""
        return ()

    def missing(self, project_dir: Path | None) -> DataError | None:
        """What keeps ``load`` from finding its files, or None. Opens none of them."""
        return None

    @classmethod
    def python_loader(cls, spec: DataSpec) -> str:
        """``loader_text`` for this specification; raises DataError if it is not valid."""
        return _build(spec).loader_text(spec.split)


S = TypeVar("S", bound=type[Source])
_SOURCES: dict[str, type[Source]] = {}


def register(cls: S) -> S:
    """Class decorator that enters a source into the table; refuses a second owner of a kind."""
    owner = _SOURCES.get(cls.kind)
    if owner is not None:
        raise ValueError(
            f"data source {cls.kind!r} is defined in both {owner.__module__} and {cls.__module__}"
        )
    _SOURCES[cls.kind] = cls
    params_of(cls)
    return cls


def sources() -> Mapping[str, type[Source]]:
    """All source classes by kind. Read-only."""
    import graphstudio.data.catalog as package  # late: source files import this module

    package.discover()
    return types.MappingProxyType(_SOURCES)


def find_source(kind: str) -> type[Source] | None:
    """The source class of this kind, or None if there is none."""
    return sources().get(kind)


def problem_of(spec: DataSpec) -> Message | None:
    """Why this specification is not valid, or None. Looks at no file."""
    if not spec.source:
        return Message("no data source is chosen yet")
    cls = find_source(spec.source)
    if cls is None:
        return Message(
            "there is no data source '{kind}' in this version; it has {known}",
            {"kind": spec.source, "known": ", ".join(sources())},
        )
    for option in params_of(cls):
        if option.name in spec.options:
            problem = option.problem(spec.options[option.name])
            if problem is not None:
                return problem
    return _split_problem(spec.split) or _instance(cls, spec).check_options()


def describe(spec: DataSpec) -> tuple[tuple[DataField, ...], Message | None]:
    """The fields of the data and no problem, or no fields and why not. Loads nothing."""
    problem = problem_of(spec)
    if problem is not None:
        return (), problem
    return _build(spec).fields(), None


def missing(spec: DataSpec, project_dir: Path | None = None) -> DataError | None:
    """Why the data cannot be loaded, as far as can be told without opening a file, or None."""
    problem = problem_of(spec)
    if problem is not None:
        return DataError(problem)
    return _build(spec).missing(project_dir)


def load(
    spec: DataSpec, project_dir: Path | None = None, progress: Progress | None = None
) -> DataSet:
    """The arrays that the specification names, divided into three splits.

    Parameters
    ----------
    spec : DataSpec
        Source, options and split.
    project_dir : Path, optional
        Folder from which relative paths start; None for a project that was never saved.
    progress : callable, optional
        Told what is being done.

    Raises
    ------
    DataError
        If the specification is not valid, or a file is missing or damaged. Nothing is ever
        filled in for what is missing.
    """
    data = _build(spec).load(spec.split, project_dir, progress or (lambda _what, _share: None))
    if not DataSet.size_of(data.train):
        raise DataError(
            Message("the split leaves no sample to train on"),
            Message("Make the validation and test shares smaller."),
        )
    return data


def python_loader(spec: DataSpec) -> str:
    """Text of a self-contained ``data.py`` whose ``load_data()`` gives the arrays of ``load``.

    Raises
    ------
    DataError
        If the specification is not valid.
    """
    return _build(spec).loader_text(spec.split)


def _build(spec: DataSpec) -> Source:
    problem = problem_of(spec)
    if problem is not None:
        raise DataError(problem)
    return _instance(_SOURCES[spec.source], spec)


def _instance(cls: type[Source], spec: DataSpec) -> Source:
    options = {
        option.name: option.coerce(spec.options[option.name])
        for option in params_of(cls)
        if option.name in spec.options
    }
    return cls(**options)


def _split_problem(split: Split) -> Message | None:
    shares = {"validation": split.validation, "test": split.test}
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            return Message(
                "the {split} share must be at least 0 and below 1, not {value}",
                {"split": name, "value": repr(share)[:80]},
            )
    if split.validation + split.test >= 1:
        return Message(
            "the validation share {validation} and the test share {test} leave nothing to train on",
            {"validation": f"{split.validation:g}", "test": f"{split.test:g}"},
        )
    if isinstance(split.seed, bool) or not isinstance(split.seed, int) or split.seed < 0:
        return Message(
            "the seed of the split must be a whole number of at least 0, not {value}",
            {"value": repr(split.seed)[:80]},
        )
    return None
