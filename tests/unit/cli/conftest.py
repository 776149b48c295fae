"""The monitor and the files of the tests of checks, for the command line."""

from unit.check.conftest import files, world

__all__ = ["files", "world"]
