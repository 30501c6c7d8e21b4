"""One side of a framed stream, as a server sees it: a reader, a writer, and an orderly end."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def serve_stream(
    reading: Coroutine[Any, Any, None],
    writing: Coroutine[Any, Any, None],
    draining: asyncio.Event,
) -> None:
    """Run both until the writer is done. The first error of either ends the other and comes out.
    When the drain begins the reader is cancelled; it must see to it that the writer ends then.
    """
    reader = asyncio.create_task(reading)
    writer = asyncio.create_task(writing)
    drain = asyncio.create_task(draining.wait())
    pending: set[asyncio.Task[Any]] = {reader, writer, drain}
    try:
        while not writer.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if drain in done:
                reader.cancel()
            for task in done:
                if not task.cancelled():
                    task.result()
    finally:
        tasks = (reader, writer, drain)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
