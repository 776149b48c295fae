"""HTML report pages: of checks, trainings and model versions."""
