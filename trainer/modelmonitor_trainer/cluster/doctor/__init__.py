"""What is wrong with a monitor: pure functions from what was read of the cluster and the store to findings."""
