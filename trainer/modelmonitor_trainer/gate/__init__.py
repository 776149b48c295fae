"""The promotion gate: paired comparison of challenger, champion and trivial baselines on the hold-out."""
