"""The wire: messages, and every byte that is hashed or signed."""
