"""Every check of an envelope, in the order of Fabric's, with the code it ends in."""

from collections.abc import Callable
from functools import cache

import pytest

from tests.support.builders import (
    BOTH,
    TestChannel,
    TxBuilder,
    a_block,
    a_channel,
    a_tx,
    an_event,
    application_policy,
    code_names,
    organizations,
)
from tests.support.pki import EXPIRED, make_organization
from tongban.node.core.state import Version
from tongban.protos.chaincode_pb2 import ChaincodeID
from tongban.protos.common_pb2 import (
    ChannelHeader,
    Envelope,
    Header,
    HeaderType,
    Payload,
    SignatureHeader,
)
from tongban.protos.proposal_pb2 import ChaincodeHeaderExtension
from tongban.protos.rwset_pb2 import TxReadWriteSet
from tongban.protos.transaction_pb2 import ChaincodeActionPayload

GARBAGE = b"\xff\xff\xff"


@cache
def channel() -> TestChannel:
    """Shared: validating changes nothing."""
    found = a_channel()
    found.define("cc", BOTH)
    found.define("plugged", BOTH, plugin="another")
    found.define("unruled", b"")
    found.define("dangling", "/Channel/Application/Nothing")
    found.define("garbled", GARBAGE)
    found.put("_lifecycle", "namespaces/metadata/strange", b"\x0a\x07Strange")
    return found


def tx(**overrides: object) -> TxBuilder:
    return a_tx(channel(), **overrides).writing("key", b"value")  # type: ignore[arg-type]


def twice_the_namespace() -> bytes:
    message = TxReadWriteSet()
    message.ns_rwset.add(namespace="cc")
    message.ns_rwset.add(namespace="cc")
    return message.SerializeToString()


def unparsable_part(hashed: bool) -> bytes:
    message = TxReadWriteSet()
    part = message.ns_rwset.add(namespace="cc")
    if hashed:
        part.collection_hashed_rwset.add(collection_name="coll", hashed_rwset=GARBAGE)
    else:
        part.rwset = GARBAGE
    return message.SerializeToString()


def payload_of(
    channel_header: ChannelHeader | bytes, signature_header: SignatureHeader | bytes
) -> bytes:
    def raw(part: ChannelHeader | SignatureHeader | bytes) -> bytes:
        return part if isinstance(part, bytes) else part.SerializeToString()

    header = Header(channel_header=raw(channel_header), signature_header=raw(signature_header))
    return Payload(header=header).SerializeToString()


def extension(name: str | None) -> bytes:
    if name is None:
        return b""
    return ChaincodeHeaderExtension(chaincode_id=ChaincodeID(name=name)).SerializeToString()


def foreign_user() -> TxBuilder:
    stranger = make_organization("Org1MSP", users=1)
    return tx(creator=stranger.users[0])


def member_of(mspid: str) -> TxBuilder:
    return tx(creator=make_organization(mspid, users=1).users[0])


def issued(units: list[str], **how: object) -> TxBuilder:
    return tx(creator=organizations()[0].issue("somebody", units, **how))


CASES: list[tuple[str, Callable[[], TxBuilder], str]] = [
    ("an ordinary transaction", tx, "VALID"),
    ("the envelope is unparsable", lambda: tx(envelope=GARBAGE), "INVALID_OTHER_REASON"),
    ("the envelope is empty", lambda: tx(envelope=b""), "BAD_COMMON_HEADER"),
    ("the payload is unparsable", lambda: tx(payload=GARBAGE), "BAD_PAYLOAD"),
    ("the payload has no header", lambda: tx(payload=b""), "BAD_COMMON_HEADER"),
    ("the channel header is unparsable", lambda: tx(channel_header=GARBAGE), "BAD_COMMON_HEADER"),
    (
        "the signature header is unparsable",
        lambda: tx(signature_header=GARBAGE),
        "BAD_COMMON_HEADER",
    ),
    ("type MESSAGE", lambda: tx(type=HeaderType.MESSAGE), "BAD_COMMON_HEADER"),
    ("an unknown type", lambda: tx(type=99), "BAD_COMMON_HEADER"),
    ("epoch 1", lambda: tx(epoch=1), "BAD_COMMON_HEADER"),
    (
        "no nonce",
        lambda: tx(
            payload=payload_of(
                tx().channel_header(), SignatureHeader(creator=tx().creator.identity)
            )
        ),
        "BAD_COMMON_HEADER",
    ),
    (
        "no creator",
        lambda: tx(payload=payload_of(tx().channel_header(), SignatureHeader(nonce=b"n"))),
        "BAD_COMMON_HEADER",
    ),
    ("no signature", lambda: tx(signature=b""), "BAD_CREATOR_SIGNATURE"),
    ("a signature over something else", lambda: tx(signature=b"0" * 70), "BAD_CREATOR_SIGNATURE"),
    ("a creator of a foreign CA", foreign_user, "BAD_CREATOR_SIGNATURE"),
    ("a creator of an unknown MSP", lambda: member_of("Org9MSP"), "BAD_CREATOR_SIGNATURE"),
    ("a creator without a role", lambda: issued([]), "BAD_CREATOR_SIGNATURE"),
    ("a creator with two roles", lambda: issued(["client", "peer"]), "BAD_CREATOR_SIGNATURE"),
    ("an expired creator", lambda: issued(["client"], not_after=EXPIRED), "VALID"),
    ("a P-384 creator", lambda: issued(["client"], kind="P-384"), "VALID"),
    (
        "an Ed25519 creator without capability V3_0",
        lambda: issued(["client"], kind="Ed25519"),
        "BAD_CREATOR_SIGNATURE",
    ),
    ("another channel", lambda: tx(channel_id="other"), "BAD_CREATOR_SIGNATURE"),
    ("no channel", lambda: tx(channel_id=""), "BAD_CREATOR_SIGNATURE"),
    ("a CONFIG_UPDATE", lambda: tx(type=HeaderType.CONFIG_UPDATE), "UNSUPPORTED_TX_PAYLOAD"),
    (
        "a CONFIG that is none",
        lambda: tx(type=HeaderType.CONFIG),
        "INVALID_CONFIG_TRANSACTION",
    ),
    ("another transaction id", lambda: tx(tx_id="0" * 64), "BAD_PROPOSAL_TXID"),
    ("an empty transaction id", lambda: tx(tx_id=""), "BAD_PROPOSAL_TXID"),
    ("an upper-case transaction id", lambda: tx(tx_id="A" * 64), "BAD_PROPOSAL_TXID"),
    ("the transaction is unparsable", lambda: tx(data=GARBAGE), "INVALID_ENDORSER_TRANSACTION"),
    ("no data", lambda: tx(data=b""), "INVALID_ENDORSER_TRANSACTION"),
    ("no action", lambda: tx(action_count=0), "INVALID_ENDORSER_TRANSACTION"),
    ("two actions", lambda: tx(action_count=2), "INVALID_ENDORSER_TRANSACTION"),
    ("no action header", lambda: tx(action_header=b""), "INVALID_ENDORSER_TRANSACTION"),
    (
        "an unparsable action header",
        lambda: tx(action_header=GARBAGE),
        "INVALID_ENDORSER_TRANSACTION",
    ),
    (
        "the action header of somebody else, which the proposal hash covers",
        lambda: tx(action_header=SignatureHeader(creator=b"c", nonce=b"n").SerializeToString()),
        "VALID",
    ),
    (
        "the action payload is unparsable",
        lambda: tx(action_payload=GARBAGE),
        "INVALID_ENDORSER_TRANSACTION",
    ),
    (
        "the action payload has no endorsed action",
        lambda: tx(
            action_payload=ChaincodeActionPayload(
                chaincode_proposal_payload=b"p"
            ).SerializeToString()
        ),
        "INVALID_ENDORSER_TRANSACTION",
    ),
    (
        "the response payload is unparsable",
        lambda: tx(response_payload=GARBAGE),
        "INVALID_ENDORSER_TRANSACTION",
    ),
    ("another proposal hash", lambda: tx(proposal_hash=b"h" * 32), "INVALID_ENDORSER_TRANSACTION"),
    ("no proposal payload", lambda: tx(proposal=b""), "INVALID_ENDORSER_TRANSACTION"),
    ("an unparsable extension", lambda: tx(extension=GARBAGE), "BAD_HEADER_EXTENSION"),
    ("no chaincode action", lambda: tx(action=b""), "BAD_RESPONSE_PAYLOAD"),
    ("an unparsable chaincode action", lambda: tx(action=GARBAGE), "BAD_RESPONSE_PAYLOAD"),
    ("an unparsable read-write set", lambda: tx(results=GARBAGE), "BAD_RWSET"),
    ("an unparsable namespace", lambda: tx(results=unparsable_part(False)), "BAD_RWSET"),
    ("an unparsable collection", lambda: tx(results=unparsable_part(True)), "BAD_RWSET"),
    (
        "an unparsable set before a missing id",
        lambda: tx(results=GARBAGE, extension=b""),
        "BAD_RWSET",
    ),
    ("no chaincode id in the header", lambda: tx(extension=b""), "INVALID_OTHER_REASON"),
    ("no chaincode id in the action", lambda: tx(endorsed_name=None), "INVALID_OTHER_REASON"),
    ("an empty chaincode name", lambda: tx(extension=extension("")), "INVALID_CHAINCODE"),
    ("another chaincode name", lambda: tx(extension=extension("dd")), "INVALID_CHAINCODE"),
    ("no chaincode version", lambda: tx(endorsed_version=""), "INVALID_CHAINCODE"),
    ("another chaincode version", lambda: tx(endorsed_version="9"), "VALID"),
    ("an event", lambda: tx(events=an_event("cc")), "VALID"),
    ("an unparsable event", lambda: tx(events=GARBAGE), "INVALID_OTHER_REASON"),
    ("an event of another chaincode", lambda: tx(events=an_event("dd")), "INVALID_OTHER_REASON"),
    ("a namespace twice", lambda: tx(results=twice_the_namespace()), "ILLEGAL_WRITESET"),
    (
        "a bad event before a namespace twice",
        lambda: tx(events=GARBAGE, results=twice_the_namespace()),
        "INVALID_OTHER_REASON",
    ),
    ("an undefined chaincode", lambda: a_tx(channel(), "nothing"), "INVALID_CHAINCODE"),
    ("a definition of another kind", lambda: a_tx(channel(), "strange"), "INVALID_CHAINCODE"),
    ("a definition with another plugin", lambda: a_tx(channel(), "plugged"), "INVALID_CHAINCODE"),
    ("a definition without a policy", lambda: a_tx(channel(), "unruled"), "INVALID_CHAINCODE"),
    (
        "a policy reference to nothing",
        lambda: a_tx(channel(), "dangling"),
        "ENDORSEMENT_POLICY_FAILURE",
    ),
    ("an unreadable policy", lambda: a_tx(channel(), "garbled"), "ENDORSEMENT_POLICY_FAILURE"),
    (
        "a write to an undefined namespace",
        lambda: tx().writing("key", b"v", "nothing"),
        "INVALID_CHAINCODE",
    ),
    ("a read of an undefined namespace", lambda: tx().reading("key", None, "nothing"), "VALID"),
    ("no endorsement", lambda: tx(endorsers=()), "ENDORSEMENT_POLICY_FAILURE"),
    (
        "one endorsement of two",
        lambda: tx(endorsers=organizations()[0].peers[:1]),
        "ENDORSEMENT_POLICY_FAILURE",
    ),
    (
        "a read of a version that is not there",
        lambda: tx().reading("key", Version(1, 0)),
        "MVCC_READ_CONFLICT",
    ),
    (
        "a range that has rows no more",
        lambda: tx().scanning("a", "z", [("key", Version(1, 0))]),
        "PHANTOM_READ_CONFLICT",
    ),
]


@pytest.mark.parametrize(("build", "code"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_an_envelope_gets_the_code_of_its_first_failure(
    build: Callable[[], TxBuilder], code: str
) -> None:
    verdict = channel().validate(a_block(channel()).with_tx(build()))
    assert code_names(verdict) == [code]
    if code != "VALID":
        assert not verdict.updates.values, "an invalid transaction changed something"
        assert not verdict.history
        assert verdict.config is None


def test_an_empty_event_is_an_event_without_a_chaincode() -> None:
    # Field 2 present with no content: Go sees it, and it names no chaincode.
    action = tx().action() + b"\x12\x00"
    verdict = channel().validate(a_block(channel()).with_tx(tx(action=action)))
    assert code_names(verdict) == ["INVALID_OTHER_REASON"]


def test_an_id_used_in_an_earlier_block_is_refused_before_the_content_is_read() -> None:
    here = a_channel()
    here.define("cc", BOTH)
    first = a_tx(here).writing("key", b"value")
    here.commit(a_block(here).with_tx(first))
    again = a_tx(here, results=GARBAGE)
    again.nonce = first.nonce
    verdict = here.validate(a_block(here).with_tx(first, again))
    assert code_names(verdict) == ["DUPLICATE_TXID", "DUPLICATE_TXID"]
    assert not verdict.updates.values


def test_of_an_id_repeated_in_a_block_the_first_valid_one_stays() -> None:
    here = a_channel()
    here.define("cc", BOTH)
    bad = a_tx(here, endorsers=()).writing("key", b"bad")
    good = a_tx(here).writing("key", b"good")
    third = a_tx(here).writing("key", b"third")
    good.nonce = third.nonce = bad.nonce
    verdict = here.validate(a_block(here).with_tx(bad, good, third))
    assert code_names(verdict) == ["ENDORSEMENT_POLICY_FAILURE", "VALID", "DUPLICATE_TXID"]
    written = verdict.updates.get("cc", b"key")
    assert written is not None and written.value == b"good"


def test_an_id_in_a_malformed_transaction_counts_as_used() -> None:
    here = a_channel()
    here.define("cc", BOTH)
    malformed = a_tx(here, epoch=1)
    verdict = here.commit(a_block(here).with_tx(malformed))
    assert verdict.tx_ids == (malformed.tx_id,)
    later = a_tx(here).writing("key", b"value")
    later.nonce = malformed.nonce
    assert code_names(here.validate(a_block(here).with_tx(later))) == ["DUPLICATE_TXID"]


def test_an_empty_id_is_listed_under_the_one_it_should_have() -> None:
    built = tx(tx_id="")
    verdict = channel().validate(a_block(channel()).with_tx(built))
    assert verdict.tx_ids == (built.tx_id,)


def test_an_envelope_that_says_nothing_has_no_id() -> None:
    verdict = channel().validate(a_block(channel()).with_tx(GARBAGE, Envelope(payload=GARBAGE)))
    assert verdict.tx_ids == (None, None)


def test_a_channel_of_an_older_application_capability_is_refused() -> None:
    old = a_channel(application_capabilities=("V1_4_2",))
    with pytest.raises(Exception, match="Application capability V1_4_2 is not supported"):
        old.validate(a_block(old))


def test_the_lifecycle_namespace_needs_the_lifecycle_policy() -> None:
    one = organizations()[0].peers[:1]
    block = a_block(channel()).with_tx(
        a_tx(channel(), "_lifecycle").writing("key", b"value"),
        a_tx(channel(), "_lifecycle", endorsers=one).writing("key", b"value"),
    )
    assert code_names(channel().validate(block)) == ["VALID", "ENDORSEMENT_POLICY_FAILURE"]


def test_a_policy_reference_is_looked_up_in_the_channel() -> None:
    here = a_channel()
    here.define("cc", application_policy("/Channel/Application/Endorsement"))
    one = organizations()[0].peers[:1]
    block = a_block(here).with_tx(a_tx(here), a_tx(here, endorsers=one))
    assert code_names(here.validate(block)) == ["VALID", "ENDORSEMENT_POLICY_FAILURE"]
