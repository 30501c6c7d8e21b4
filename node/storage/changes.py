"""A validated block as one batch of changes to the ledger's key-value store. Pure."""

from collections.abc import Callable, Iterable

from tongban.node.core.commit_input import CommitInput
from tongban.node.core.state import CONFIG_KEY, CONFIG_NAMESPACE, Version, VersionedValue
from tongban.node.storage import layout
from tongban.node.storage.kvstore import Change
from tongban.protos.digest import encode_order_preserving

NEW_TX_ID_CODES = frozenset((0, 10, 11, 12))
"""VALID, ENDORSEMENT_POLICY_FAILURE, MVCC_READ_CONFLICT, PHANTOM_READ_CONFLICT: given only to
transactions whose id was looked up and not found, so it need not be looked up again."""


def build_changes(
    given: CommitInput,
    location: layout.Location,
    savepoint: layout.Savepoint,
    due: Iterable[bytes],
    is_known_tx: Callable[[str], bool],
) -> list[Change]:
    """``due`` are the keys of the expiry schedule for this block, which are done with."""
    batch: list[Change] = [(key, None) for key in due]
    for gone in given.expired:
        batch.append((layout.state_key(gone.namespace, gone.key), None))
    block = encode_order_preserving(given.number)
    versions = [block + encode_order_preserving(tx_num) for tx_num in range(len(given.tx_ids))]
    _add_state(batch, given, versions)
    _add_transactions(batch, given, versions, is_known_tx)
    _add_history(batch, given, versions)
    written = layout.encode_number(given.number)
    for expiry in given.expiries:
        key = layout.expiry_key(expiry.expires_at_block, expiry.namespace, expiry.key)
        batch.append((key, written))
    batch.append((layout.block_key(given.number), layout.encode_location(location)))
    batch.append((layout.header_hash_key(given.header_hash), written))
    batch.append((layout.SAVEPOINT_KEY, layout.encode_savepoint(savepoint)))
    return batch


def _add_state(batch: list[Change], given: CommitInput, versions: list[bytes]) -> None:
    number = given.number
    encode = layout.encode_value
    for namespace, changed in given.updates.values.items():
        prefix = layout.state_prefix(namespace)
        for key, value in changed.items():
            if value is None:
                batch.append((prefix + key, None))
                continue
            block_num, tx_num = value.version
            assert block_num == number
            batch.append((prefix + key, encode(value, versions[tx_num])))
    if given.config is not None:
        version = Version(number, 0)
        stored = encode(VersionedValue(given.config, version), layout.encode_version(version))
        batch.append((layout.state_key(CONFIG_NAMESPACE, CONFIG_KEY), stored))


def _add_transactions(
    batch: list[Change],
    given: CommitInput,
    versions: list[bytes],
    is_known_tx: Callable[[str], bool],
) -> None:
    seen: set[str] = set()
    for tx_id, version, code in zip(given.tx_ids, versions, given.flags, strict=True):
        if not tx_id or tx_id in seen:
            continue
        seen.add(tx_id)
        if code in NEW_TX_ID_CODES or not is_known_tx(tx_id):
            batch.append((layout.tx_key(tx_id), b"%b%c" % (version, code)))


def _add_history(batch: list[Change], given: CommitInput, versions: list[bytes]) -> None:
    prefixes: dict[tuple[str, int], bytes] = {}
    for namespace, key, tx_num in given.history:
        size = len(key)
        prefix = prefixes.get((namespace, size))
        if prefix is None:
            prefix = layout.history_namespace_prefix(namespace) + encode_order_preserving(size)
            prefixes[namespace, size] = prefix
        batch.append((b"%b%b%b" % (prefix, key, versions[tx_num]), b""))
