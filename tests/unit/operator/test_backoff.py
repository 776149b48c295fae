"""Delays between attempts."""

from __future__ import annotations

import pytest

from modelmonitor_operator.backoff import delay_after, spread
from modelmonitor_operator.gateway import Unavailable


@pytest.mark.parametrize(
    ("failures", "error", "factor", "seconds"),
    [
        (1, OSError(), 1.0, 1.0),
        (4, OSError(), 1.0, 8.0),
        (4, OSError(), 0.5, 4.0),
        (99, OSError(), 1.0, 60.0),
        (99, OSError(), 1.25, 60.0),
        (1, Unavailable("busy", 20.0), 0.5, 20.0),
        (9, Unavailable("busy", 20.0), 1.0, 60.0),
        (1, Unavailable("busy", 3600.0), 1.0, 60.0),
    ],
)
def test_delays(failures: int, error: Exception, factor: float, seconds: float) -> None:
    """Not even a factor below 1 shortens what the API server asks for."""
    assert delay_after(failures, error, first=1.0, longest=60.0, factor=factor) == seconds


def test_factors_differ() -> None:
    factors = {spread(0.5, 1.0) for _ in range(50)}
    assert len(factors) > 1
    assert all(0.5 <= factor <= 1.0 for factor in factors)
