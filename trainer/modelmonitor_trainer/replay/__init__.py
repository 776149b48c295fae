"""Replay: a monitor as it would have run over past partitions.

Checks, plans, trainings, promotions and rollbacks are the real ones. What is simulated is the clock, and with it which
objects exist: :mod:`~modelmonitor_trainer.replay.past_store` hides those of the future.
"""
