"""Whose endorsement a write needs: chaincode, collection and key policies, and changes of them."""

from collections.abc import Callable, Sequence

import pytest

from tests.support.builders import (
    BOTH,
    EITHER,
    TestChannel,
    TxBuilder,
    a_block,
    a_channel,
    a_collection,
    a_tx,
    code_names,
    endorse,
    hashed,
    key_metadata,
    organizations,
)
from tests.support.pki import Member
from tongban.node.core.validation import block_signers
from tongban.protos.digest import sha256
from tongban.protos.kvrwset_pb2 import KVMetadataEntry, KVMetadataWrite

ORG1_PEER, ORG1_PEER2 = organizations()[0].peers
ORG2_PEER = organizations()[1].peers[0]
ORG1 = (ORG1_PEER,)
ORG2 = (ORG2_PEER,)
ALL = (ORG1_PEER, ORG2_PEER)
VALID = "VALID"
FAILURE = "ENDORSEMENT_POLICY_FAILURE"


@pytest.fixture
def channel() -> TestChannel:
    found = a_channel()
    collections = [
        a_collection("plain"),
        a_collection("guarded", BOTH),
        a_collection("second", "OR('Org2MSP.peer')"),
        a_collection("referring", "/Channel/Application/Endorsement"),
    ]
    found.define("cc", EITHER, collections)
    found.define("strict", BOTH)
    return found


def judge(channel: TestChannel, *transactions: TxBuilder) -> list[str]:
    return code_names(channel.validate(a_block(channel).with_tx(*transactions)))


def tx(channel: TestChannel, endorsers: Sequence[Member], chaincode: str = "cc") -> TxBuilder:
    return a_tx(channel, chaincode, endorsers=endorsers)


Change = Callable[[TxBuilder], TxBuilder]

NEEDS: list[tuple[str, str, Sequence[Member], Change, str]] = [
    ("nothing written, policy met", "strict", ALL, lambda t: t, VALID),
    ("nothing written, policy not met", "strict", ORG1, lambda t: t, FAILURE),
    ("a write with one of OR", "cc", ORG2, lambda t: t.writing("k", b"v"), VALID),
    ("the same peer's organization twice", "strict", (ORG1_PEER, ORG1_PEER2), lambda t: t, FAILURE),
    ("one peer twice", "strict", (ORG1_PEER, ORG1_PEER), lambda t: t, FAILURE),
    ("a client", "cc", (organizations()[0].users[0],), lambda t: t, FAILURE),
    ("an admin", "cc", (organizations()[0].admin,), lambda t: t, FAILURE),
    ("the orderer", "cc", (organizations()[2].orderers[0],), lambda t: t, FAILURE),
    (
        "a neighbour's namespace needs its own policy",
        "cc",
        ORG1,
        lambda t: t.writing("k", b"v", "strict"),
        FAILURE,
    ),
    (
        "a neighbour's namespace with its own policy met",
        "cc",
        ALL,
        lambda t: t.writing("k", b"v", "strict"),
        VALID,
    ),
    (
        "the invoked chaincode's policy counts although only the neighbour is written",
        "strict",
        ORG1,
        lambda t: t.writing("k", b"v", "cc"),
        FAILURE,
    ),
    (
        "a neighbour that is only read",
        "cc",
        ORG1,
        lambda t: t.reading("k", None, "strict"),
        VALID,
    ),
    (
        "a collection without a policy",
        "cc",
        ORG1,
        lambda t: t.writing_private("plain", "k", b"v"),
        VALID,
    ),
    (
        "a collection with AND",
        "cc",
        ORG1,
        lambda t: t.writing_private("guarded", "k", b"v"),
        FAILURE,
    ),
    (
        "a collection with AND met",
        "cc",
        ALL,
        lambda t: t.writing_private("guarded", "k", b"v"),
        VALID,
    ),
    (
        "a collection of the other",
        "cc",
        ORG1,
        lambda t: t.writing_private("second", "k", b"v"),
        FAILURE,
    ),
    (
        "a collection of its own",
        "cc",
        ORG2,
        lambda t: t.writing_private("second", "k", b"v"),
        VALID,
    ),
    (
        "a collection's reference",
        "cc",
        ORG1,
        lambda t: t.writing_private("referring", "k", b"v"),
        FAILURE,
    ),
    ("a purge", "cc", ORG1, lambda t: t.writing_private("guarded", "k", None, purge=True), FAILURE),
    (
        "an unknown collection",
        "cc",
        ALL,
        lambda t: t.writing_private("nothing", "k", b"v"),
        FAILURE,
    ),
    ("a nameless collection", "cc", ALL, lambda t: t.writing_private("", "k", b"v"), FAILURE),
    (
        "metadata in an unknown collection",
        "cc",
        ALL,
        lambda t: t.with_private_policy("nothing", "k", BOTH),
        FAILURE,
    ),
    (
        "a hashed read of an unknown collection",
        "cc",
        ORG1,
        lambda t: t.reading_hash("nothing", "k", None),
        VALID,
    ),
    (
        "an implicit collection by its owner alone",
        "strict",
        ORG1,
        lambda t: t.writing_private("_implicit_org_Org1MSP", "k", b"v"),
        VALID,
    ),
    (
        "an implicit collection by another",
        "cc",
        ORG2,
        lambda t: t.writing_private("_implicit_org_Org1MSP", "k", b"v"),
        FAILURE,
    ),
    (
        "an implicit collection of nobody",
        "cc",
        ALL,
        lambda t: t.writing_private("_implicit_org_Org9MSP", "k", b"v"),
        FAILURE,
    ),
    (
        "an implicit collection and a public write",
        "strict",
        ORG1,
        lambda t: t.writing_private("_implicit_org_Org1MSP", "k", b"v").writing("k", b"v"),
        FAILURE,
    ),
    (
        "an implicit collection of the lifecycle",
        "_lifecycle",
        ORG2,
        lambda t: t.writing_private("_implicit_org_Org2MSP", "k", b"v"),
        VALID,
    ),
    (
        "an explicit collection of the lifecycle, which has none",
        "_lifecycle",
        ALL,
        lambda t: t.writing_private("plain", "k", b"v"),
        FAILURE,
    ),
]


@pytest.mark.parametrize(
    ("chaincode", "endorsers", "change", "code"), [c[1:] for c in NEEDS], ids=[c[0] for c in NEEDS]
)
def test_a_write_needs_its_policy(
    channel: TestChannel, chaincode: str, endorsers: Sequence[Member], change: Change, code: str
) -> None:
    verdict = channel.validate(a_block(channel).with_tx(change(tx(channel, endorsers, chaincode))))
    assert code_names(verdict) == [code]
    if code != VALID:
        assert not verdict.updates.values
        assert not verdict.purges
        assert not verdict.private_hashes


KEYS: list[tuple[str, str, Sequence[Member], Change, str]] = [
    ("the key's policy is met", "cc", ORG2, lambda t: t.writing("org2", b"v"), VALID),
    ("the key's policy is not met", "cc", ORG1, lambda t: t.writing("org2", b"v"), FAILURE),
    ("a delete", "cc", ORG1, lambda t: t.writing("org2", None), FAILURE),
    ("a change of the policy itself", "cc", ORG1, lambda t: t.with_policy("org2", BOTH), FAILURE),
    ("a read", "cc", ORG1, lambda t: t.scanning("x", "y", []), VALID),
    (
        "the key's policy in place of the chaincode's",
        "strict",
        ORG1,
        lambda t: t.writing("org1", b"v"),
        VALID,
    ),
    (
        "another key beside it needs the chaincode's",
        "strict",
        ORG1,
        lambda t: t.writing("org1", b"v").writing("other", b"v"),
        FAILURE,
    ),
    (
        "a private key's policy in place of the collection's",
        "cc",
        ORG1,
        lambda t: t.writing_private("guarded", "org1", b"v"),
        VALID,
    ),
    ("an unreadable policy", "cc", ALL, lambda t: t.writing("garbled", b"v"), FAILURE),
    ("a policy without a rule", "cc", ALL, lambda t: t.writing("ruleless", b"v"), FAILURE),
    ("an empty policy is none", "cc", ORG1, lambda t: t.writing("emptied", b"v"), VALID),
    ("metadata of another name", "cc", ORG1, lambda t: t.writing("named", b"v"), VALID),
]


@pytest.mark.parametrize(
    ("chaincode", "endorsers", "change", "code"), [c[1:] for c in KEYS], ids=[c[0] for c in KEYS]
)
def test_a_key_may_have_a_policy_of_its_own(
    channel: TestChannel, chaincode: str, endorsers: Sequence[Member], change: Change, code: str
) -> None:
    org1, org2 = key_metadata("OR('Org1MSP.peer')"), key_metadata("OR('Org2MSP.peer')")
    channel.put("cc", "org2", b"v", org2)
    channel.put("strict", "org1", b"v", org1)
    channel.put(hashed("guarded"), sha256(b"org1"), b"h" * 32, org1)
    for key, name, value in (
        ("garbled", "VALIDATION_PARAMETER", b"\xff\xff"),
        ("ruleless", "VALIDATION_PARAMETER", b"\x08\x00\x1a\x00"),
        ("emptied", "VALIDATION_PARAMETER", b""),
        ("named", "ANOTHER", b"\xff\xff"),
    ):
        entry = KVMetadataEntry(name=name, value=value)
        metadata = KVMetadataWrite(entries=[entry]).SerializeToString()
        channel.put("cc", key, b"v", metadata)
    assert judge(channel, change(tx(channel, endorsers, chaincode))) == [code]


def test_a_key_whose_policy_changes_cannot_be_written_later_in_the_block(
    channel: TestChannel,
) -> None:
    channel.put("cc", "key", b"v")
    codes = judge(
        channel,
        tx(channel, ORG1).with_policy("key", EITHER),
        tx(channel, ALL).writing("key", b"w"),
        tx(channel, ALL).with_policy("key", BOTH),
        tx(channel, ALL).writing("other", b"w"),
    )
    assert codes == [VALID, FAILURE, FAILURE, VALID]


def test_a_change_that_was_not_endorsed_does_not_count(channel: TestChannel) -> None:
    channel.put("cc", "key", b"v")
    codes = judge(
        channel,
        tx(channel, ()).with_policy("key", BOTH),
        tx(channel, ORG1).writing("key", b"w"),
    )
    assert codes == [FAILURE, VALID]


def test_a_change_counts_although_its_transaction_fails_later(channel: TestChannel) -> None:
    channel.put("cc", "key", b"v")
    codes = judge(
        channel,
        tx(channel, ORG1).with_policy("key", BOTH).reading("key", None),
        tx(channel, ORG1).writing("key", b"w"),
    )
    assert codes == ["MVCC_READ_CONFLICT", FAILURE]


def test_a_change_counts_where_its_namespace_was_endorsed(channel: TestChannel) -> None:
    channel.put("cc", "key", b"v")
    codes = judge(
        channel,
        tx(channel, ORG1).with_policy("key", BOTH).writing("key", b"w", "strict"),
        tx(channel, ORG1).writing("key", b"w"),
    )
    assert codes == [FAILURE, FAILURE]


def test_a_change_in_a_refused_transaction_does_not_count(channel: TestChannel) -> None:
    channel.put("cc", "key", b"v")
    codes = judge(
        channel,
        a_tx(channel, proposal_hash=b"h" * 32).with_policy("key", BOTH),
        tx(channel, ORG1).writing("key", b"w"),
    )
    assert codes == ["INVALID_ENDORSER_TRANSACTION", VALID]


def test_private_keys_depend_on_changes_in_the_block_too(channel: TestChannel) -> None:
    channel.put(hashed("plain"), sha256(b"key"), b"h" * 32)
    codes = judge(
        channel,
        tx(channel, ORG1).with_private_policy("plain", "key", EITHER),
        tx(channel, ALL).writing_private("plain", "key", b"w"),
        tx(channel, ALL).writing_private("guarded", "key", b"w"),
    )
    assert codes == [VALID, FAILURE, VALID]


def test_a_policy_set_in_a_block_holds_from_the_next_one(channel: TestChannel) -> None:
    set_it = tx(channel, ORG1).writing("key", b"v").with_policy("key", BOTH)
    channel.commit(a_block(channel).with_tx(set_it))
    codes = judge(
        channel, tx(channel, ORG1).writing("key", b"w"), tx(channel, ALL).writing("key", b"w")
    )
    assert codes == [FAILURE, VALID]


def test_a_definition_committed_in_a_block_holds_from_the_next_one(channel: TestChannel) -> None:
    wanted = a_channel()
    wanted.define("cc", BOTH)
    key = "namespaces/fields/cc/ValidationInfo"
    value = wanted.value("_lifecycle", key)
    assert value is not None
    block = a_block(channel).with_tx(
        tx(channel, ALL, "_lifecycle").writing(key, value.value),
        tx(channel, ORG1).writing("key", b"v"),
    )
    assert code_names(channel.commit(block)) == [VALID, VALID]
    assert judge(channel, tx(channel, ORG1).writing("key", b"v")) == [FAILURE]


def test_a_corrupted_signature_does_not_hide_the_good_one_of_the_same_endorser(
    channel: TestChannel,
) -> None:
    good = tx(channel, ALL, "strict")
    bad = endorse(b"something else", ORG1_PEER)
    assert judge(channel, good) == [VALID]
    good.overrides["more_endorsements"] = [bad]
    assert judge(channel, good) == [VALID]
    only_bad = tx(channel, ORG2, "strict")
    only_bad.overrides["more_endorsements"] = [bad]
    assert judge(channel, only_bad) == [FAILURE]


def test_an_endorser_that_nobody_can_read_is_skipped(channel: TestChannel) -> None:
    unreadable = endorse(b"x", ORG1_PEER)
    unreadable.endorser = b"\xff\xff"
    built = tx(channel, ALL, "strict")
    built.overrides["more_endorsements"] = [unreadable]
    assert judge(channel, built) == [VALID]


def test_signature_checks_name_every_signature_that_the_verdict_asks_for(
    channel: TestChannel,
) -> None:
    block = a_block(channel).with_tx(tx(channel, ALL), tx(channel, ORG1), b"\xff").parsed()
    checks = channel.validator(block).signature_checks()
    assert len(checks) == 5
    channel.verifier.verify_many(checks)
    for check in checks:
        assert channel.verifier.verify(*check)


def test_what_endorsers_signed_is_not_all_in_memory_if_it_is_too_much(
    channel: TestChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large response with many endorsements: each is put together when it is asked for."""
    first, second = tx(channel, ALL, "strict"), tx(channel, ORG2, "strict")
    for one in (first, second):
        one.overrides["more_endorsements"] = [endorse(b"something else", ORG1_PEER)]
    block = a_block(channel).with_tx(first, second, tx(channel, ALL, "strict"))
    everything = len(channel.validator(block.parsed()).signature_checks())
    assert everything == 3 + 3 + 2 + 2
    body = block.parsed().transactions[0].body
    assert body is not None
    for limit, ahead in ((0, 3), (3 * len(body.response_payload), 6)):
        monkeypatch.setattr(block_signers, "AHEAD_BYTES_MAX", limit)
        validator = channel.validator(block.parsed())
        checks = validator.signature_checks()
        assert len(checks) == ahead
        validator.take_results(channel.verifier.verify_many(checks))
        assert code_names(validator.finish()) == [VALID, FAILURE, VALID]
