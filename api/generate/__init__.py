"""Generators of the CustomResourceDefinition and the reference pages; used at development time, not installed."""
