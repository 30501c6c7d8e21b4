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
    _add_state(batch, given)
    _add_transactions(batch, given, is_known_tx)
    _add_history(batch, given)
    written = layout.encode_number(given.number)
    for expiry in given.expiries:
        key = layout.expiry_key(expiry.expires_at_block, expiry.namespace, expiry.key)
        batch.append((key, written))
    batch.append((layout.block_key(given.number), layout.encode_location(location)))
    batch.append((layout.header_hash_key(given.header_hash), written))
    batch.append((layout.SAVEPOINT_KEY, layout.encode_savepoint(savepoint)))
    return batch


def _add_state(batch: list[Change], given: CommitInput) -> None:
    block_bytes = encode_order_preserving(given.number)
    versions: dict[int, bytes] = {}
    for namespace, changed in given.updates.values.items():
        prefix = layout.state_prefix(namespace)
        for key, value in changed.items():
            if value is None:
                batch.append((prefix + key, None))
                continue
            block_num, tx_num = value.version
            assert block_num == given.number
            version = versions.get(tx_num)
            if version is None:
                version = versions[tx_num] = block_bytes + encode_order_preserving(tx_num)
            batch.append((prefix + key, layout.encode_value(value, version)))
    if given.config is not None:
        version_of_config = Version(given.number, 0)
        stored = layout.encode_value(
            VersionedValue(given.config, version_of_config),
            layout.encode_version(version_of_config),
        )
        batch.append((layout.state_key(CONFIG_NAMESPACE, CONFIG_KEY), stored))


def _add_transactions(
    batch: list[Change], given: CommitInput, is_known_tx: Callable[[str], bool]
) -> None:
    block_bytes = encode_order_preserving(given.number)
    seen: set[str] = set()
    for tx_num, tx_id in enumerate(given.tx_ids):
        if not tx_id or tx_id in seen:
            continue
        seen.add(tx_id)
        code = given.flags[tx_num]
        if code in NEW_TX_ID_CODES or not is_known_tx(tx_id):
            place = b"%b%b%c" % (block_bytes, encode_order_preserving(tx_num), code)
            batch.append((layout.tx_key(tx_id), place))


def _add_history(batch: list[Change], given: CommitInput) -> None:
    block_bytes = encode_order_preserving(given.number)
    prefixes: dict[str, bytes] = {}
    for namespace, key, tx_num in given.history:
        prefix = prefixes.get(namespace)
        if prefix is None:
            prefix = prefixes[namespace] = layout.history_namespace_prefix(namespace)
        place = b"%b%b%b%b%b" % (
            prefix,
            encode_order_preserving(len(key)),
            key,
            block_bytes,
            encode_order_preserving(tx_num),
        )
        batch.append((place, b""))
