"""How often the interpreter looks for reference cycles.

A node makes thousands of short-lived objects a request and hardly any cycle, so the interpreter's
default, a look after every 700 new objects, finds nothing most of the time.
"""

import gc

YOUNG_OBJECTS_MAX = 20_000
"""New objects between two looks; a few megabytes."""


def settle_collector() -> None:
    """What exists now stays, and is not looked at again; new objects are looked at less often.
    For the end of a node's start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX)
