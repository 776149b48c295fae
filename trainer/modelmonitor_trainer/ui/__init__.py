"""Pages over the monitors of a cluster in a browser: the fleet, and one page for each monitor; read-only."""
