"""Signatures: low S always, high S never, and a second implementation that agrees."""

import hashlib
from functools import cache

import ecdsa  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from ecdsa.util import sigdecode_der, sigencode_der  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pki import key_pem, new_key
from tongban.protos.errors import InvalidSignature
from tongban.protos.signing import (
    GROUP_ORDERS,
    KeySigner,
    is_low_s,
    load_private_key,
    sign,
    to_low_s,
    verify_signature,
)

CURVES = ["P-256", "P-384"]


@cache
def key_of(kind: str) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP521R1()) if kind == "P-521" else new_key(kind)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def high(signature: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, GROUP_ORDERS[key.curve.name] - s)


@given(st.binary(max_size=300), st.sampled_from(CURVES))
@settings(max_examples=25, deadline=None)
def test_a_second_implementation_verifies_what_we_sign(message: bytes, kind: str) -> None:
    key = key_of(kind)
    signature = sign(key, message)
    assert is_low_s(signature, key.curve)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    other = ecdsa.VerifyingKey.from_pem(pem.decode())
    assert other.verify(signature, message, hashfunc=hashlib.sha256, sigdecode=sigdecode_der)


@given(st.binary(max_size=300), st.sampled_from(CURVES))
@settings(max_examples=25, deadline=None)
def test_we_verify_what_a_second_implementation_signs(message: bytes, kind: str) -> None:
    key = key_of(kind)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    other = ecdsa.SigningKey.from_pem(pem.decode())
    signature = other.sign_deterministic(message, hashfunc=hashlib.sha256, sigencode=sigencode_der)
    low = to_low_s(signature, key.curve)
    verify_signature(key.public_key(), message, low)
    with pytest.raises(InvalidSignature, match="low S"):
        verify_signature(key.public_key(), message, high(low, key))
    with pytest.raises(InvalidSignature, match="does not match"):
        verify_signature(key.public_key(), message + b"!", low)


@pytest.mark.parametrize("kind", CURVES)
def test_the_orders_of_the_groups_are_those_of_the_second_implementation(kind: str) -> None:
    orders = {"P-256": ecdsa.NIST256p, "P-384": ecdsa.NIST384p}
    assert GROUP_ORDERS[key_of(kind).curve.name] == orders[kind].order


def test_every_known_order_is_right() -> None:
    curves = {
        "secp224r1": ecdsa.NIST224p,
        "secp256r1": ecdsa.NIST256p,
        "secp384r1": ecdsa.NIST384p,
        "secp521r1": ecdsa.NIST521p,
    }
    assert {name: curve.order for name, curve in curves.items()} == GROUP_ORDERS


@pytest.mark.parametrize("kind", CURVES)
def test_the_boundary_between_low_and_high(kind: str) -> None:
    curve = key_of(kind).curve
    half = GROUP_ORDERS[curve.name] // 2
    assert is_low_s(encode_dss_signature(1, half), curve)
    assert not is_low_s(encode_dss_signature(1, half + 1), curve)
    assert to_low_s(encode_dss_signature(1, half + 1), curve) == encode_dss_signature(1, half)
    assert not is_low_s(b"no signature", curve)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_signature_or_a_refusal(signature: bytes) -> None:
    for key in (key_of("P-256").public_key(), new_key("Ed25519").public_key()):
        with pytest.raises(InvalidSignature):
            verify_signature(key, b"message", signature)  # type: ignore[arg-type]


def _parts(signature: bytes) -> tuple[bytes, bytes]:
    r, s = decode_dss_signature(signature)

    def integer(value: int) -> bytes:
        body = value.to_bytes(value.bit_length() // 8 + 1, "big")
        return bytes([2, len(body)]) + body

    return integer(r), integer(s)


def _sequence(content: bytes) -> bytes:
    size = len(content)
    return bytes([0x30, size] if size < 0x80 else [0x30, 0x81, size]) + content


def test_bytes_behind_the_numbers_count_for_nothing_as_in_go() -> None:
    key = key_of("P-256")
    signature = sign(key, b"message")
    r, s = _parts(signature)
    assert _sequence(r + s) == signature
    for lenient in (
        signature + b"\x00",
        signature + signature,
        _sequence(r + s + b"\x05\x00"),
        _sequence(r + s + b"x" * 100),
    ):
        verify_signature(key.public_key(), b"message", lenient)
        with pytest.raises(InvalidSignature):
            verify_signature(key.public_key(), b"another", lenient)
    with pytest.raises(InvalidSignature, match="low S"):
        verify_signature(key.public_key(), b"message", high(signature, key) + b"\x00")


@st.composite
def integers_in_der(draw: st.DrawFn, value: int) -> bytes:
    """A number as it should be, or with bytes too many or too few, or another tag."""
    body = value.to_bytes(value.bit_length() // 8 + 1, "big")
    pad = draw(st.sampled_from([b"", b"", b"", b"\x00", b"\xff"]))
    body = pad + body[draw(st.sampled_from([0, 0, 0, 1])) :]
    tag = draw(st.sampled_from([2, 2, 2, 2, 3]))
    return bytes([tag, len(body) + draw(st.sampled_from([0, 0, 0, 0, 1]))]) + body


@given(st.data(), st.sampled_from([*CURVES, "P-521"]))
@settings(max_examples=200, deadline=None)
def test_a_signature_is_judged_the_same_with_bytes_behind_it(
    data: st.DataObject, kind: str
) -> None:
    """The usual form is looked at in a shorter way than odd ones, and the answer is the same."""
    key = key_of(kind)
    order = GROUP_ORDERS[key.curve.name]
    r, s = decode_dss_signature(sign(key, b"message"))
    low = data.draw(st.booleans())
    parts = [integers_in_der(r), integers_in_der(s if low else order - s)]
    signature = _sequence(b"".join(data.draw(part) for part in parts))
    assert _holds(key, signature) == _holds(key, signature + b"\x00")


def _holds(key: ec.EllipticCurvePrivateKey, signature: bytes) -> bool:
    try:
        verify_signature(key.public_key(), b"message", signature)
    except InvalidSignature:
        return False
    return True


def test_other_departures_from_der_are_refused_as_in_go() -> None:
    key = key_of("P-256")
    r, s = _parts(sign(key, b"message"))
    padded = bytes([2, len(r) - 1]) + b"\x00" + r[2:]
    for refused in (
        b"\x31" + _sequence(r + s)[1:],
        _sequence(r),
        _sequence(s[:-1] + r),
        _sequence(b"\x02\x00" + s),
        _sequence(padded + s),
        _sequence(b"\x02\x01\xff" + s),
        _sequence(b"\x02\x01\x00" + s) + b"\x00",
        b"\x30\x81" + bytes([len(r + s)]) + r + s,
        b"\x30\x82\x00" + bytes([len(r + s)]) + r + s,
        b"\x30\x80" + r + s + b"\x00\x00",
        b"\x30\x85\x01\x00\x00\x00\x00" + r + s,
        _sequence(r + s)[:-1],
    ):
        with pytest.raises(InvalidSignature):
            verify_signature(key.public_key(), b"message", refused)


def test_ed25519_signs_the_message_itself() -> None:
    signer = KeySigner(b"creator", new_key("Ed25519"))  # type: ignore[arg-type]
    signature = signer.sign(b"message")
    assert signer.creator == b"creator"
    assert len(signature) == 64
    assert signer.sign(b"message") == signature


@pytest.mark.parametrize("kind", ["P-256", "P-384", "Ed25519"])
def test_a_private_key_is_read(kind: str) -> None:
    key = new_key(kind)
    read = load_private_key(key_pem(key))
    assert read.public_key() == key.public_key()


@pytest.mark.parametrize(
    "text", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_refused_without_repeating_it(text: bytes) -> None:
    with pytest.raises(ValueError, match="expected an unencrypted PEM private key") as refused:
        load_private_key(text)
    assert "AAAA" not in str(refused.value)
    with pytest.raises(ValueError, match="expected an ECDSA or Ed25519 key, found"):
        load_private_key(key_pem(new_key("RSA")))
