"""Contracts in processes of their own: the fences around them and the host that runs them."""
