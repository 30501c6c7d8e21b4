"""Limits on what is accepted from outside, each with its unit and its reason."""

MESSAGE_BYTES_MAX = 100 * 1024 * 1024
"""Bytes of one gRPC message, sent or received. Go peers, orderers and clients use the same
(fabric internal/pkg/comm/config.go)."""

GRPC_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
)
"""For every server and channel: grpcio alone would refuse to receive more than 4 MiB."""

SERVER_KEEPALIVE_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 7_200_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 60_000),
    ("grpc.http2.max_ping_strikes", 0),
)
"""Official clients ping every 60 to 120 seconds, also without calls; a server must bear it."""

POLICY_DEPTH_MAX = 48
"""Nested gates of a signature policy. The protobuf parser stops at 100 nested messages, and each
gate takes two, so a deeper policy could not be read back."""

TRANSACTIONS_PER_BLOCK_MAX = 100_000
"""Envelopes in one block; a hundred times what any batch limit in use allows."""

SIGNATURES_PER_SET_MAX = 1_000
"""Signatures that one policy evaluation looks at. More organizations than that do not exist on a
channel, and each costs a verification."""

CERTIFICATE_PEM_BYTES_MAX = 64 * 1024
"""Bytes of one PEM certificate inside an identity."""
