"""A model: the declared scikit-learn pipeline, and the metrics it is measured by."""
