"""Column profiles and cross-moments of objects: tasks, engines that run them, and their cache."""
