"""Drafts of monitors: a commented YAML file, made from the data that a monitor will watch."""
