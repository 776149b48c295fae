"""One check: windows → profiles → detectors → verdict → files."""
