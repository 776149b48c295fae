"""Drift statistics, calibration, data quality and performance: pure, on profiles and arrays."""
