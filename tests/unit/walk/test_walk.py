"""Worlds are lived day by day, with real checks, trainings and gate; `make bench-loop` lives more and longer ones."""

import pytest

from support.walk.life import live_in
from support.walk.summary import beyond_chance, summarize
from support.walk.worlds import Kind, world

#: World, seed, days and first day of what happens: as many days as it takes to learn it.
LIVES = [
    (Kind.SUDDEN, 1, 95, 5),
    (Kind.CORRUPTED, 2, 60, 5),
    (Kind.LOST_FEATURE, 3, 45, 15),
]


@pytest.mark.parametrize(("kind", "seed", "days", "onset"), LIVES)
def test_a_life(tmp_path, kind, seed, days, onset):
    life = live_in(world(kind, seed, days, onset), tmp_path)
    summary = summarize(life)
    assert not summary.violations, "\n".join(summary.violations)
    assert not beyond_chance([summary])
    assert not any(promotion.wrong for promotion in summary.promotions), summary.promotions
    if kind is Kind.SUDDEN:
        assert summary.promoted >= 1
        assert summary.served.monitor[-1] > summary.served.never[-1] + 0.1
