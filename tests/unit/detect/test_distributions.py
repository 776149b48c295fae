"""Our tail probabilities are those of scipy."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from modelmonitor_trainer.detect.distributions import chi_square_tail, kolmogorov

TINY = 1e-290  # below, scipy has denormal numbers or none


@given(st.floats(0, 40))
def test_kolmogorov(distance: float) -> None:
    assert kolmogorov(distance) == pytest.approx(special.kolmogorov(distance), rel=1e-11, abs=TINY)


@given(st.integers(1, 4000), st.floats(0, 20_000))
def test_chi_square(freedom: int, statistic: float) -> None:
    assert chi_square_tail(freedom, statistic) == pytest.approx(special.chdtrc(freedom, statistic), rel=1e-9, abs=TINY)


@pytest.mark.parametrize("freedom", [1, 2, 3, 10, 127, 1127, 3000])
def test_chi_square_where_the_decision_falls(freedom: int) -> None:
    for level in (0.5, 0.05, 1e-3, 1e-6, 1e-12, 1e-50):
        statistic = float(special.chdtri(freedom, level))
        assert chi_square_tail(freedom, statistic) == pytest.approx(level, rel=1e-9)


def test_the_ends() -> None:
    assert kolmogorov(0.0) == kolmogorov(-1.0) == chi_square_tail(3, 0.0) == 1.0
    assert kolmogorov(1e9) == chi_square_tail(1, math.inf) == chi_square_tail(1, 1e12) == 0.0
    assert all(0 <= kolmogorov(float(x)) <= 1 for x in np.linspace(0, 3, 301))


def test_a_check_of_files_does_without_scipy() -> None:
    code = "import sys, modelmonitor_trainer.check.pipeline; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
