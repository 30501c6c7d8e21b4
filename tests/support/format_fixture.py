"""Makes the fixture ledgers of a format: ``python tests/support/format_fixture.py DIRECTORY``.

Run once when a format is released, with the release that writes it; what it made is committed and
never made again, so that later releases prove that they still read it.
"""

import sys
from dataclasses import replace
from pathlib import Path

from tests.support.ledger_blocks import commit, next_input, revalidate
from tests.support.recorded_ledger import fill
from tongban.node.core.commit_input import Expiry, PrivateSet
from tongban.node.core.state import Version, VersionedValue, hashed_namespace
from tongban.node.storage.files import RealFiles
from tongban.node.storage.ledger import Backend, Ledger
from tongban.node.storage.leveldb import LevelDBStore
from tongban.node.storage.transient import TransientStore
from tongban.protos.digest import sha256
from tongban.protos.kvrwset_pb2 import KVRWSet, KVWrite

RECORDED_BLOCKS = 11
HASHED = hashed_namespace("cc", "coll")
PRIVATE_SET = KVRWSet(writes=[KVWrite(key="k", value=b"v")]).SerializeToString()


def make_features(directory: Path) -> None:
    """A few blocks over several segments, with one of everything that is stored."""
    ledger = Ledger.open(directory, revalidate, Backend(RealFiles(), segment_bytes_max=800))
    ledger.commit(replace(next_input(ledger, []), config=b"config"))
    commit(ledger, {"a": b"1", "gone": b"x"}, {"b": b"2"})
    commit(ledger, {"a": b"3", "gone": None})
    given = next_input(ledger, [{"m": b"with metadata"}])
    stored = VersionedValue(b"with metadata", Version(3, 0), b"metadata" * 30)
    given.updates.put("cc", b"m", stored)
    given.updates.put(HASHED, sha256(b"k"), VersionedValue(sha256(b"v"), Version(3, 0)))
    ledger.commit(
        replace(
            given,
            expiries=[Expiry(9, HASHED, sha256(b"k"))],
            private_sets=[PrivateSet(0, "cc", "coll", PRIVATE_SET, 9)],
        )
    )
    ledger.commit(replace(next_input(ledger, [{"z": b"26"}]), tx_ids=["not hex"]))
    ledger.close()


def make_transient(directory: Path) -> None:
    store = TransientStore.open(directory)
    store.put("waiting", 4, b"a private set")
    store.close()


def main(directory: Path) -> None:
    fill(directory / "recorded", RECORDED_BLOCKS)
    store = LevelDBStore(directory / "recorded" / "state")
    store.erase_deleted(b"", b"")  # so that one of the fixtures has a sorted file, not just a log
    store.close()
    make_features(directory / "features")
    make_transient(directory / "transient")
    for name in ("LOG", "LOG.old", "LOCK"):
        for path in directory.rglob(name):
            path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
