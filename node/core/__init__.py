"""The part of a node that decides: bytes in, verdict out; no clock, disk, network or threads."""
