"""Seeded worlds that a monitor lives in day by day, what it must never do in them, and a judge that knows the truth."""
