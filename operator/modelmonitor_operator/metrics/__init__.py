"""Prometheus metrics of the monitors and of the operator itself."""
