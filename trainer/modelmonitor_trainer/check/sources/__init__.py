"""Sources of a check: a monitor, or files on the command line. Both produce :class:`~..data.CheckData`."""
