"""Versions of models and the champion pointer."""
