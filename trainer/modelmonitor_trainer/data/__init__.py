"""Partitions and windows, objects as Arrow data, row samples, labelled rows, and the data manifest."""
