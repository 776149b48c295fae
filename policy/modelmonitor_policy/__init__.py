"""When to retrain: pure functions from facts and a clock to a decision."""
