"""Counters that show how often a transaction took effect."""

from hashlib import sha256

from tongban.contracts import Context, Contract, evaluate, submit


class Counter(Contract):
    """Adds up, and remembers which transaction added what."""

    @submit(name="Add")
    def add(self, ctx: Context, account: str) -> str:
        """One more on the account; returns how many it has now."""
        count = int(ctx.stub.get_state(account) or b"0") + 1
        ctx.stub.put_state(account, str(count).encode())
        return str(count)

    @submit(name="Put")
    def put(self, ctx: Context, key: str, value: str) -> None:
        """Puts a value under a key, whatever was there; reads nothing."""
        ctx.stub.put_state(key, value.encode())

    @evaluate(name="Get")
    def get(self, ctx: Context, key: str) -> str:
        """The value of a key."""
        return (ctx.stub.get_state(key) or b"").decode()

    @evaluate(name="Spin")
    def spin(self, ctx: Context, rounds: int) -> str:
        """Uses the processor for a while; a round takes about a microsecond."""
        digest = b""
        for _ in range(rounds):
            digest = sha256(digest).digest()
        return digest.hex()
