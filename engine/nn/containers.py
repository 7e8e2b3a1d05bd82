"""Modules that hold modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, overload

from engine.errors import EngineError
from engine.nn.module import Module


def _check_name(kind: Module, name: Any) -> None:
    """Raise EngineError unless a module may be called so."""
    if not isinstance(name, str) or not name or "." in name or hasattr(type(kind), name):
        raise EngineError(
            f"{type(kind).__name__} found the name {name!r}; expected text without dots that is no "
            "method's name."
        )


def _checked(whole: Module, module: Any, place: int | str) -> Module:
    """The module, or EngineError where something else was put into ``whole``."""
    if isinstance(module, Module):
        return module
    name = getattr(module, "__name__", repr(module))
    found, hint = name, "a function is called in a forward of one's own"
    if isinstance(module, type):
        found, hint = f"the class {name}", f"write {name}(...)"
    raise EngineError(
        f"{type(whole).__name__} found {found} as {place!r}; expected a module ({hint})."
    )


class _Numbered(Module):
    """Modules whose names are their numbers, in order."""

    def append(self, module: Module) -> Self:
        """Add one at the end; returns the whole."""
        setattr(self, str(len(self)), _checked(self, module, len(self)))
        return self

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.children())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> _Numbered: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):  # the same modules, numbered anew
            kind = Sequential if isinstance(self, Sequential) else ModuleList
            return kind(list(self)[index])
        return list(self)[index]

    def __setitem__(self, index: int, module: Module) -> None:
        name, _ = list(self.children())[index]
        setattr(self, name, _checked(self, module, name))


class Sequential(_Numbered):
    """Modules one after the other; their names are their numbers, or the keys of a mapping."""

    def __init__(self, *modules: Module | Iterable[Module] | Mapping[str, Module]) -> None:
        super().__init__()
        given: Any = modules
        if len(modules) == 1 and isinstance(modules[0], list | tuple | Mapping):
            given = modules[0]
        if not isinstance(given, Mapping):
            given = {str(i): module for i, module in enumerate(given)}
        for name, module in given.items():
            _check_name(self, name)
            setattr(self, name, _checked(self, module, name))

    def forward(self, x: Any) -> Any:
        for _, module in self.children():
            x = module(x)
        return x


class ModuleList(_Numbered):
    """Modules that a ``forward`` of your own calls as it likes."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def forward(self, *inputs: Any) -> Any:
        raise TypeError("a ModuleList has no forward of its own; call its modules")


class ModuleDict(Module):
    """Modules by name, which a ``forward`` of your own calls as it likes."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self[name] = module

    def forward(self, *inputs: Any) -> Any:
        raise TypeError("a ModuleDict has no forward of its own; call its modules")

    def __getitem__(self, name: str) -> Module:
        return dict(self.children())[name]

    def __setitem__(self, name: str, module: Module) -> None:
        _check_name(self, name)
        setattr(self, name, _checked(self, module, name))

    def __contains__(self, name: object) -> bool:
        return any(name == own for own, _ in self.children())

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.children())

    def keys(self) -> list[str]:
        return list(self)

    def values(self) -> list[Module]:
        return [module for _, module in self.children()]

    def items(self) -> list[tuple[str, Module]]:
        return list(self.children())
