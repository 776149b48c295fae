"""Monitors on a cluster, as a person sees them: their state, why they train or not, and what is wrong with them."""
