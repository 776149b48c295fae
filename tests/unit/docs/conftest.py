"""A run of a monitor, made once for all tests of the documentation."""

from __future__ import annotations

import pytest

from unit.docs.run import Run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with checks, two champions, a look of the champion watch, and a rollback."""
    run = Run(tmp_path_factory.mktemp("run"))
    run.land(1, 14)
    run.call("check")
    run.call("train")
    # The relationship turns round, so that the second model is better and promoted.
    run.land(15, 30, slope=-2.0)
    run.call("train")
    run.land(31, 36, slope=-2.0)
    run.call("check")
    run.call("rollback")
    return run
