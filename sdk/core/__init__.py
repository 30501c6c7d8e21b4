"""The deciding part of the SDK: bytes and answers in, bytes and requests out. No network, clock,
randomness or threads; the drivers beside it (``tongban.sdk.blocking``, ``tongban.sdk.aio``) carry.
"""
