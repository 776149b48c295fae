"""Champion against challenger on the same rows: metrics, intervals, slices, leaks, the verdict."""
