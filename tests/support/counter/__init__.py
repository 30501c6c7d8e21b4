"""A contract for tests under load and faults."""
