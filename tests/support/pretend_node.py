"""A process that behaves as its configuration says, for tests of what supervises nodes:
``python -m tests.support.pretend_node --config FILE``.

The file holds one word: ``serve`` runs until SIGTERM, ``stubborn`` ignores it, a number ends the
process at once with that status. Each start appends a line to ``starts`` beside the file.
"""

import signal
import sys
from pathlib import Path


def main() -> int:
    config = Path(sys.argv[2])
    word = config.read_text().strip()
    if word == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with (config.parent / "starts").open("a") as starts:
        starts.write("started\n")
    if word in ("serve", "stubborn"):
        signal.pause()
        return 0
    print(f"status {word}, as asked", file=sys.stderr)
    return int(word)


if __name__ == "__main__":
    sys.exit(main())
