"""Windows of partitions, their objects as tables, labels, and the frozen data manifest."""
