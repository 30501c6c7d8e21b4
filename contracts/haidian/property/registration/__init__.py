"""The modules of the property contract."""
