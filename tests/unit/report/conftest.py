"""The monitor of the tests of checks, for its pages."""

from unit.check.conftest import world

__all__ = ["world"]
