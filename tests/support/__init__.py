"""Test infrastructure: a real API server, a real S3 server, the operator and trainer as processes, and test data."""
