"""Profiles: what a drift test needs to know of any number of rows, in constant space; and their cache."""
