"""The modules of the electricity contract."""
