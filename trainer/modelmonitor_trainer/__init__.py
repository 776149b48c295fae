"""Drift checks, training, comparison and promotion."""

__version__ = "0.1.0"
