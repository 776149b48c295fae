"""What tests stand on: a real API server, a real S3 server, the operator as a process, and what they are given."""
