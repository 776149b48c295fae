"""The command line, and how it behaves in a pod."""
