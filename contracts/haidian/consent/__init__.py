"""授权链: what people agreed to, and what was done with it."""
