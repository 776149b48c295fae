"""Models of the built-in trainer: scikit-learn pipelines, parameter search, warm starts, and evaluation metrics."""
