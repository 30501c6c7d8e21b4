"""What the gateway decides: whom to ask, whether the answers agree, and the envelope they make."""
