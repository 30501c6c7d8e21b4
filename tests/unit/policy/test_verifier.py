"""A signature is checked once; results can come from a pool, from a signer, or from elsewhere."""

import hashlib

import pytest

from tests.support.pki import Organization, make_organization
from tongban.node.core.identity import Identity, Msp
from tongban.node.core.policy import SignatureCheck, SignatureResult, SignatureVerifier
from tongban.node.core.policy.signatures import MADE_HERE_BYTES_MAX
from tongban.protos.errors import InvalidSignature


class CountingIdentity(Identity):
    """Counts how often it really verifies."""

    checks = 0

    def verify(self, message: bytes, signature: bytes, digest: bytes | None = None) -> None:
        type(self).checks += 1
        super().verify(message, signature, digest)


@pytest.fixture(scope="module")
def org() -> Organization:
    return make_organization("Org1MSP", peers=1)


@pytest.fixture
def identity(org: Organization) -> Identity:
    CountingIdentity.checks = 0
    found = Msp.from_config(org.msp_config).deserialize(org.peers[0].identity)
    return CountingIdentity(
        found.mspid, found.serialized, found.chain_certificate, found.id.removeprefix(found.mspid)
    )


def test_a_signature_is_checked_once(org: Organization, identity: Identity) -> None:
    verifier = SignatureVerifier()
    good = org.peers[0].signer.sign(b"message")
    bad = good[:-1] + bytes([good[-1] ^ 1])
    for _ in range(3):
        assert verifier.verify(identity, b"message", good)
        assert not verifier.verify(identity, b"message", bad)
    assert CountingIdentity.checks == 2
    for _ in range(3):
        assert not verifier.verify(identity, b"another message", good)
    assert CountingIdentity.checks == 3
    assert verifier.verify(identity, b"message", good)


@pytest.mark.parametrize("size", [7, MADE_HERE_BYTES_MAX, MADE_HERE_BYTES_MAX + 1])
def test_what_was_signed_here_is_not_checked(
    org: Organization, identity: Identity, size: int
) -> None:
    verifier = SignatureVerifier()
    message = b"m" * size
    signature = org.peers[0].signer.sign(message)
    verifier.remember(identity.id, message, signature)
    assert verifier.verify(identity, message, signature)
    assert CountingIdentity.checks == 0
    assert not verifier.verify(identity, message + b"!", signature)
    assert not verifier.verify(identity, message, signature[:-1])
    assert CountingIdentity.checks == 2


def test_results_can_be_carried_over(identity: Identity) -> None:
    verifier = SignatureVerifier()
    digest = hashlib.sha256(b"message").digest()
    verifier.prime([SignatureResult(identity.id, digest, b"signature", holds=False)])
    assert not verifier.verify(identity, b"message", b"signature")
    assert CountingIdentity.checks == 0


def test_many_are_checked_together(org: Organization, identity: Identity) -> None:
    messages = [bytes([number]) for number in range(100)]
    checks = [
        SignatureCheck(
            identity,
            message,
            org.peers[0].signer.sign(message if message[0] % 10 else b"something else"),
        )
        for message in messages
    ]
    verifier = SignatureVerifier()
    results = verifier.verify_many(checks + checks)
    assert results == [bool(check.message[0] % 10) for check in checks + checks]
    assert CountingIdentity.checks == 100
    for check in checks:
        assert verifier.verify(*check) == (check.message[0] % 10 != 0)
    assert CountingIdentity.checks == 100


def test_an_identity_refuses_what_it_did_not_sign(identity: Identity) -> None:
    for signature in (b"", b"\x30\x00", b"\x00" * 70):
        with pytest.raises(InvalidSignature):
            identity.verify(b"message", signature)
