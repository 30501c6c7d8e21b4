"""Chaincodes that are part of every peer."""
