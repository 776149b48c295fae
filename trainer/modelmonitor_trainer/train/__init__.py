"""Trainings: freeze the data, fit a challenger, evaluate it, promote it; with the built-in or a custom trainer."""
