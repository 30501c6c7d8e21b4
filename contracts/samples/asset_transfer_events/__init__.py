"""Fabric's asset transfer with an event of every change, as a Python contract."""
