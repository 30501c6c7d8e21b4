"""PEM as Go reads it, units and attributes of certificates."""

import datetime as dt
import json
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pki import Authority, make_organization
from tongban.protos.certificates import (
    ATTRIBUTES_OID,
    attributes,
    certificate_der,
    certificate_pem,
    load_certificate,
    organizational_units,
    parse_certificate,
    read_pem,
)
from tongban.protos.errors import LimitExceeded, MalformedMessage


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("ca")


def test_standard_pem_is_what_openssl_writes(authority: Authority) -> None:
    der = authority.certificate.public_bytes(Encoding.DER)
    assert certificate_pem(der) == authority.pem
    assert certificate_der(authority.pem) == der


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b"a note\n", b"more\n"),
        (b"-----BEGIN NOTHING-----\n", b""),
        (b"-----BEGIN A-----\nAAAA\n-----END B-----\n", b""),
        (b"-----BEGIN A-----\n!!\n-----END A-----\n", b""),
    ],
)
def test_text_around_a_block_is_passed_over(
    authority: Authority, before: bytes, after: bytes
) -> None:
    der = authority.certificate.public_bytes(Encoding.DER)
    assert certificate_der(before + authority.pem + after) == der


def test_headers_and_line_ends_do_not_matter(authority: Authority) -> None:
    der = authority.certificate.public_bytes(Encoding.DER)
    first, _, rest = authority.pem.partition(b"\n")
    assert certificate_der(first + b"\nProc-Type: 4\nX: y\n\n" + rest) == der
    assert certificate_der(authority.pem.replace(b"\n", b"\r\n")) == der
    assert certificate_der(authority.pem.rstrip(b"\n")) == der


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no block",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n",
        b"-----BEGIN CERTIFICATE-----AAAA-----END CERTIFICATE-----",
        b"x-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_has_no_block_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedMessage, match="PEM"):
        certificate_der(text)


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        certificate_der(b"x" * 70_000)


@given(st.binary(max_size=300))
def test_any_bytes_hold_blocks_or_none(text: bytes) -> None:
    list(read_pem(text))
    list(read_pem(b"-----BEGIN A-----\n" + text + b"\n-----END A-----\n"))


@pytest.mark.parametrize("line", [b"-----BEGIN a:-----\n", b"a: b\n", b"AAAA\n", b"-----BEGIN "])
def test_reading_takes_time_in_proportion(line: bytes) -> None:
    text = (b"-----BEGIN X-----\n" + line * 6000)[:64_000]
    start = time.perf_counter()
    assert list(read_pem(text)) == []
    assert time.perf_counter() - start < 2


def test_units_keep_their_order_and_repetitions() -> None:
    org = make_organization("Org1MSP")
    certificate = org.issue("somebody", ["client", "tax", "client"]).certificate
    assert organizational_units(certificate) == ("client", "tax", "client")


def _with_attributes(content: bytes) -> x509.Certificate:
    extension = x509.UnrecognizedExtension(ATTRIBUTES_OID, content)
    member = make_organization("Org1MSP").issue("somebody", extensions=[(extension, False)])
    return member.certificate


def test_attributes_are_those_of_fabrics_ca() -> None:
    found = attributes(
        _with_attributes(json.dumps({"attrs": {"role": "clerk", "名": "值"}}).encode())
    )
    assert found == {"role": "clerk", "名": "值"}
    assert attributes(make_organization("Org1MSP").admin.certificate) == {}
    assert attributes(_with_attributes(b"{}")) == {}


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b'{"attrs": []}', b'{"attrs": {"a": 1}}', b"[" * 20_000]
)
def test_other_contents_of_the_extension_are_refused(content: bytes) -> None:
    with pytest.raises(MalformedMessage, match="attribute extension"):
        attributes(_with_attributes(content))


def test_a_block_that_is_no_certificate_is_refused() -> None:
    with pytest.raises(MalformedMessage, match=r"not an X\.509 certificate"):
        load_certificate(certificate_pem(b"\x30\x00"))


@pytest.mark.parametrize(
    ("serial", "is_read"), [(b"\x01", True), (b"\x00", True), (b"\xff", False)]
)
def test_an_odd_serial_number_is_read_or_refused_without_a_warning(
    serial: bytes, is_read: bool
) -> None:
    """Warnings are errors in tests, so that reading returns shows that nothing was warned of."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "odd")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(start)
    made = builder.not_valid_after(start + dt.timedelta(days=1)).sign(key, hashes.SHA256())
    der = made.public_bytes(Encoding.DER)
    odd = der.replace(b"\x02\x01\x01\x30", b"\x02\x01" + serial + b"\x30", 1)
    if is_read:
        assert parse_certificate(odd).subject == name
    else:
        with pytest.raises(MalformedMessage, match="negative"):
            parse_certificate(odd)
