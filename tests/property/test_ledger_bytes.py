"""Hostile bytes in the files of a ledger: the right answer or a named fault, never a wrong one."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ledger_blocks import NAMESPACE, commit, revalidate
from tongban.node.core.faults import CorruptLedgerError, NewerFormatError
from tongban.node.core.state import Version, VersionedValue
from tongban.node.storage import layout
from tongban.node.storage.files import RealFiles
from tongban.node.storage.ledger import Backend, Ledger
from tongban.node.storage.segments import parse_record_header, parse_segment_header
from tongban.protos.digest import decode_order_preserving

BACKEND = Backend(RealFiles(), segment_bytes_max=1500)


@dataclass(frozen=True, slots=True)
class Original:
    directory: Path
    blocks: list[bytes]
    commit_hashes: list[bytes]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    directory = tmp_path_factory.mktemp("original") / "c"
    ledger = Ledger.open(directory, revalidate, BACKEND)
    given = [commit(ledger, {"a": b"%d" % n, f"k{n}": b"v" * 200}) for n in range(9)]
    ledger.close()
    assert len(list((directory / "blocks").iterdir())) > 2
    return Original(directory, [g.block for g in given], [g.commit_hash for g in given])


@st.composite
def damages(draw: st.DrawFn) -> tuple[int, int, str, bytes]:
    segment = draw(st.integers(0, 2))
    place = draw(st.integers(0, 10**6))
    kind = draw(st.sampled_from(["overwrite", "cut", "insert", "append", "zero", "drop"]))
    return segment, place, kind, draw(st.binary(min_size=1, max_size=40))


def damaged(data: bytes, place: int, kind: str, junk: bytes) -> bytes:
    place %= len(data)
    match kind:
        case "overwrite":
            return data[:place] + junk + data[place + len(junk) :]
        case "cut":
            return data[:place]
        case "insert":
            return data[:place] + junk + data[place:]
        case "append":
            return data + junk
        case "zero":
            return data[:place] + bytes(len(data) - place)
        case _:
            return data[:place] + data[place + len(junk) :]


def answers(ledger: Ledger, original: Original) -> Iterator[bool]:
    """Whether each block could be read; what could be read is right."""
    for number in range(ledger.height):
        try:
            assert ledger.get_block(number) == original.blocks[number]
        except (CorruptLedgerError, NewerFormatError):
            yield False
        else:
            yield True


@settings(max_examples=150, deadline=None)
@given(damage=damages(), keeps_state=st.booleans())
def test_damaged_segments_never_give_a_wrong_block(
    original: Original, damage: tuple[int, int, str, bytes], keeps_state: bool
) -> None:
    segment, place, kind, junk = damage
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "c"
        shutil.copytree(original.directory, directory)
        if not keeps_state:
            shutil.rmtree(directory / "state")
        path = directory / "blocks" / f"{segment:06d}.seg"
        path.write_bytes(damaged(path.read_bytes(), place, kind, junk))
        try:
            ledger = Ledger.open(directory, revalidate, BACKEND)
        except (CorruptLedgerError, NewerFormatError):
            return
        assert ledger.height == 9 or not keeps_state
        assert ledger.commit_hash == original.commit_hashes[ledger.height - 1]
        readable = list(answers(ledger, original))
        assert keeps_state or all(readable)
        with ledger.snapshot() as snapshot:
            found = snapshot.get(NAMESPACE, b"a")
        assert found is not None
        assert found.value == b"%d" % (ledger.height - 1)
        ledger.close()


@given(st.binary(max_size=60))
def test_headers_of_any_bytes_are_refused_quietly(data: bytes) -> None:
    assert parse_record_header(data, b"saltsalt") is None
    assert parse_segment_header(data, 0, "x") is None


@given(
    st.binary(max_size=300),
    st.binary(max_size=300),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
)
def test_values_round_trip(value: bytes, metadata: bytes, block_num: int, tx_num: int) -> None:
    given = VersionedValue(value, Version(block_num, tx_num), metadata)
    stored = layout.encode_value(given, layout.encode_version(given.version))
    assert layout.decode_value(stored) == given


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 255))
def test_places_of_transactions_round_trip(block_num: int, tx_num: int, code: int) -> None:
    given = layout.TxLocation(block_num, tx_num, code)
    assert layout.decode_tx_location(layout.encode_tx_location(given)) == given


@given(st.text(max_size=5), st.text(max_size=5))
def test_different_transaction_ids_have_different_keys(one: str, other: str) -> None:
    digest = "ab" * 32
    names = {one, other, digest, digest.upper(), digest[:-1], one + digest}
    assert len({layout.tx_key(name) for name in names}) == len(names)


@given(
    st.lists(
        st.tuples(st.binary(max_size=4), st.integers(0, 70_000), st.integers(0, 300)),
        min_size=1,
        max_size=6,
    )
)
def test_places_in_the_history_sort_like_blocks_and_never_mix_keys(
    places: list[tuple[bytes, int, int]],
) -> None:
    keyed = [
        (layout.history_prefix("cc", key) + layout.encode_version(Version(block, tx)), place)
        for place in places
        for key, block, tx in [place]
    ]
    for key, _, _ in places:
        prefix = layout.history_prefix("cc", key)
        mine = [place for stored, place in sorted(keyed) if stored.startswith(prefix)]
        assert mine == sorted(place for place in places if place[0] == key)
        for stored, (_, block, tx) in keyed:
            if stored.startswith(prefix):
                assert layout.parse_history_key(stored, len(prefix)) == (block, tx)


@given(st.binary(max_size=12))
def test_a_cut_number_is_refused(data: bytes) -> None:
    try:
        number, end = decode_order_preserving(data)
    except ValueError:
        return
    assert 0 < end <= len(data)
    assert number >= 0
