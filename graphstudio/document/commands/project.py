"""Changing the data, the training and the settings of a project."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from graphstudio.document.changes import Change, SetData, SetSettings, SetTraining
from graphstudio.document.commands.base import Command
from graphstudio.document.model import DataSpec, Document, Phase, Training
from graphstudio.document.reading import freeze
from graphstudio.nodes.types import Message


def set_data(document: Document, data: DataSpec) -> Command:
    """Set where the samples come from and how they are divided."""
    name = Message("Set data")
    clean = dataclasses.replace(data, options=freeze(dict(data.options)))
    return name, [] if clean == document.data else [SetData(clean)]


def set_training(document: Document, training: Training) -> Command:
    """Set how the model is trained."""
    name = Message("Set training")
    return name, [] if training == document.training else [SetTraining(training)]


def set_phase(document: Document, index: int, **values: Any) -> Command:
    """Set fields of one training phase (``optimizer``, ``epochs``, ``losses`` ...)."""
    phases = list(document.training.phases)
    phases[index] = dataclasses.replace(phases[index], **values)
    return set_training(document, dataclasses.replace(document.training, phases=tuple(phases)))


def set_settings(document: Document, settings: Mapping[str, Any]) -> Command:
    """Replace the project's settings."""
    clean = freeze(dict(settings))
    name = Message("Change settings")
    return name, [] if clean == document.settings else [SetSettings(clean)]


def forget_nodes(document: Document, gone: set[str]) -> list[Change]:
    """Changes that take deleted nodes out of the training specification."""
    phases = tuple(_without(p, gone) for p in document.training.phases)
    if phases == document.training.phases:
        return []
    return [SetTraining(dataclasses.replace(document.training, phases=phases))]


def _without(phase: Phase, gone: set[str]) -> Phase:
    losses = {k: v for k, v in phase.losses.items() if k not in gone}
    frozen = tuple(n for n in phase.frozen if n not in gone)
    if losses == phase.losses and frozen == phase.frozen:
        return phase
    return dataclasses.replace(phase, losses=losses, frozen=frozen)
