"""Fixtures of the native kernels' tests: one plan on NumPy kernels, its twin on native ones."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite")


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory):
    """Machine code of this test run, in a folder of its own."""
    patch = pytest.MonkeyPatch()
    patch.setenv("ENGINE_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def team():
    from engine.native.runtime import Team

    team = Team(2)
    yield team
    team.close()


@pytest.fixture
def agree(team):
    """Check that native code gives what the NumPy kernels give: losses and all gradients."""
    from engine.native.program import lower

    def check(build, batch, tolerance=1e-5, training=True):
        reference, native = build(), build()
        size = len(next(iter(batch.values())))
        losses, gradients = reference.gradients(batch, training=training)
        program = native._compiled("gradients", training, size).program
        program._run = lower(program.steps, team)
        for _ in range(2):  # twice: scratch must not carry anything over
            own_losses, own_gradients = native.gradients(batch, training=training)
            for name, value in losses.items():
                assert own_losses[name] == pytest.approx(value, rel=tolerance, abs=tolerance)
            for name, expected in gradients.items():
                scale = max(float(np.abs(expected).max(initial=0.0)), 1e-2)
                np.testing.assert_allclose(
                    own_gradients[name], expected, rtol=0, atol=tolerance * scale, err_msg=name
                )
        return program._run

    return check
