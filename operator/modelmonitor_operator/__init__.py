"""The Kopf operator that reconciles ModelMonitors."""

__version__ = "0.1.0"
