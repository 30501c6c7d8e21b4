"""Fabric's basic asset transfer, as a Python contract."""
