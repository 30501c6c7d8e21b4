"""What both ends of our own streams agree on (protos/stream.proto)."""

PROTOCOL_VERSION = 1
"""Said in each side's Hello. A side that cannot speak it ends the stream."""
