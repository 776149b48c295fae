"""Notifications: CloudEvents about the checks and decisions of all monitors, to one sink that an administrator sets."""
