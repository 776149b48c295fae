"""``kubectl mmon``: commands for monitors on a cluster."""
