"""Object stores: S3 and local files behind one interface."""
