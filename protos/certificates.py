"""Reading X.509 certificates the way every part of the system must read them alike.

PEM is read like Go's ``encoding/pem``: text around a block is skipped, the type of the block is
returned but not judged. Attributes are those that Fabric's CA puts into an extension
(fabric-ca lib/attrmgr/attrmgr.go).
"""

import base64
import binascii
import json
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from tongban.protos.errors import LimitExceeded, MalformedMessage
from tongban.protos.limits import CERTIFICATE_PEM_BYTES_MAX

ATTRIBUTES_OID = x509.ObjectIdentifier("1.2.3.4.5.6.7.8.1")
"""Extension that holds ``{"attrs": {name: value}}`` as JSON."""

_PEM = re.compile(
    rb"(?:^|\n)-----BEGIN ([^\n]*?)-----[ \t\r]*\n"
    rb"(?:[^\n:\-][^\n:]*:[^\n]*\n)*\s*"
    rb"([A-Za-z0-9+/=\s]*?)"
    rb"(?<=[\n])-----END \1-----[ \t\r]*(?=\n|$)"
)


class PemBlock(NamedTuple):
    """One block of a PEM text: the word after BEGIN, and the decoded bytes."""

    kind: str
    content: bytes


def read_pem(text: bytes) -> Iterator[PemBlock]:
    """The blocks of a PEM text in order; what is not a block is skipped."""
    for match in _PEM.finditer(text):
        try:
            content = base64.b64decode(b"".join(match[2].split()), validate=True)
        except binascii.Error:
            continue
        yield PemBlock(match[1].decode("utf-8", "replace"), content)


def certificate_der(text: bytes, what: str = "certificate") -> bytes:
    """The bytes of the first PEM block, whatever its type says.

    Raises:
        LimitExceeded: more than CERTIFICATE_PEM_BYTES_MAX bytes.
        MalformedMessage: there is no PEM block.
    """
    if len(text) > CERTIFICATE_PEM_BYTES_MAX:
        raise LimitExceeded(what, CERTIFICATE_PEM_BYTES_MAX, len(text))
    block = next(read_pem(text), None)
    if block is None:
        raise MalformedMessage(what, "expected a PEM block, found none")
    return block.content


def certificate_pem(der: bytes) -> bytes:
    """Standard PEM of a certificate: 64 columns, a newline at the end."""
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode("ascii"), 64))
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n".encode("ascii")


def load_certificate(text: bytes, what: str = "certificate") -> x509.Certificate:
    """The certificate of the first PEM block.

    Raises:
        LimitExceeded, MalformedMessage: as said at :func:`certificate_der`, or the block is not a
            certificate.
    """
    return parse_certificate(certificate_der(text, what), what)


def parse_certificate(der: bytes, what: str = "certificate") -> x509.Certificate:
    """A certificate from its DER, with extensions and key known to be readable.

    Raises:
        MalformedMessage: it is not one.
    """
    try:
        # Whoever sends an odd certificate must not be able to fill the log with the library's
        # opinion of it. What it warns of is accepted, or refused below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(der)
            _ = certificate.extensions, certificate.subject, certificate.issuer
            is_negative = certificate.serial_number < 0
    except (
        ValueError,
        TypeError,  # a name attribute of an ASN.1 type that its kind may not have
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise MalformedMessage(what, f"not an X.509 certificate: {error}") from None
    if is_negative:  # Go's parser, and so every Go peer, refuses it
        raise MalformedMessage(what, "its serial number is negative")
    return certificate


def organizational_units(certificate: x509.Certificate) -> tuple[str, ...]:
    """The OU values of the subject in their order, repetitions included."""
    found = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return tuple(unit.value for unit in found if isinstance(unit.value, str))


def attributes(certificate: x509.Certificate) -> Mapping[str, str]:
    """The attributes that Fabric's CA certified, empty if there are none.

    Raises:
        MalformedMessage: the extension is there but is not what it should be.
    """
    try:
        extension = certificate.extensions.get_extension_for_oid(ATTRIBUTES_OID)
    except x509.ExtensionNotFound:
        return {}
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    try:
        document = json.loads(extension.value.value)
    except (ValueError, RecursionError):
        raise MalformedMessage("attribute extension", "not JSON") from None
    found = document.get("attrs", {}) if isinstance(document, dict) else None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise MalformedMessage("attribute extension", "expected an object of strings under attrs")
    return found
