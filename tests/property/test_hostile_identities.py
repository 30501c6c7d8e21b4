"""Whatever bytes come, an identity, an organization or a channel is read or refused."""

from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.channels import make_channel
from tests.support.pki import Authority, Organization, make_organization
from tests.support.recorded import recorded_genesis
from tongban.node.core.channel import ChannelConfig, config_of_block
from tongban.node.core.errors import AccessDenied, InvalidConfig, InvalidMspConfig
from tongban.node.core.identity import Msp, MspManager, parse_principal, serialize_identity
from tongban.node.core.policy import SignaturePolicy, endorsement_layouts, format_policy
from tongban.protos.certificates import certificate_pem
from tongban.protos.configtx_pb2 import Config
from tongban.protos.errors import InvalidSignature, TongbanError
from tongban.protos.msp_config_pb2 import FabricMSPConfig, MSPConfig
from tongban.protos.msp_principal_pb2 import MSPPrincipal
from tongban.protos.policies_pb2 import SignaturePolicyEnvelope

pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")
"""The library says so before we refuse the number."""


@cache
def world() -> tuple[Organization, MspManager, bytes]:
    org = make_organization("Org1MSP", users=1, intermediate=True)
    names = x509.SubjectAlternativeName([x509.DNSName("a.gov.cn"), x509.RFC822Name("a@gov.cn")])
    member = org.issue("somebody", ["client"], extensions=[(names, False)])
    der = member.certificate.public_bytes(Encoding.DER)
    return org, MspManager([Msp.from_config(org.msp_config)]), der


changes = st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 255)), min_size=1, max_size=4)


def changed(data: bytes, edits: list[tuple[int, int]]) -> bytes:
    out = bytearray(data)
    for place, value in edits:
        out[place % len(out)] = value
    return bytes(out)


@given(changes)
@settings(max_examples=300, deadline=None)
def test_a_damaged_certificate_is_refused_without_a_fault(edits: list[tuple[int, int]]) -> None:
    _, msps, der = world()
    damaged = changed(der, edits)
    try:
        identity = msps.deserialize(serialize_identity("Org1MSP", certificate_pem(damaged)))
        msps.validate(identity)
        identity.verify(b"message", b"\x30\x06\x02\x01\x01\x02\x01\x01")
    except (AccessDenied, InvalidSignature):
        return
    raise AssertionError("a signature that nobody made was accepted")


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_no_identity(data: bytes) -> None:
    _, msps, _ = world()
    for serialized in (data, serialize_identity("Org1MSP", data), serialize_identity("X", data)):
        try:
            msps.deserialize(serialized)
        except AccessDenied as error:
            assert str(error)
        else:
            raise AssertionError("expected a refusal")


@given(changes, st.sampled_from(["root", "intermediate", "tls", "revocations", "admins", "unit"]))
@settings(max_examples=200, deadline=None)
def test_a_damaged_definition_is_read_or_refused(edits: list[tuple[int, int]], what: str) -> None:
    org, _, _ = world()
    config = FabricMSPConfig()
    config.CopyFrom(org.config)

    def damage(certificate: x509.Certificate) -> bytes:
        return certificate_pem(changed(certificate.public_bytes(Encoding.DER), edits))

    if what == "root":
        config.root_certs[:] = [damage(org.ca.certificate)]
    elif what == "intermediate":
        config.intermediate_certs[:] = [damage(org.issuer.certificate)]
    elif what == "tls":
        config.tls_root_certs[:] = [damage(org.tls_ca.certificate)]
    elif what == "revocations":
        config.revocation_list.append(changed(_list_der(org.issuer), edits))
    elif what == "admins":
        config.admins.append(damage(org.users[0].certificate))
    else:
        config.fabric_node_ous.peer_ou_identifier.certificate = damage(org.issuer.certificate)
    try:
        msp = Msp.from_config(MSPConfig(config=config.SerializeToString()))
        msp.is_valid(msp.deserialize(org.users[0].identity))
    except (InvalidMspConfig, AccessDenied) as error:
        assert str(error)


@cache
def _list_der(authority: Authority) -> bytes:
    text = authority.revocation_list(authority.certificate)
    return x509.load_pem_x509_crl(text).public_bytes(Encoding.DER)


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_no_organization(data: bytes) -> None:
    for config in (data, MSPConfig(config=data)):
        try:
            Msp.from_config(config)
        except InvalidMspConfig as error:
            assert str(error)
        else:
            raise AssertionError("expected a refusal")


@given(st.sampled_from([0, 1, 2, 3, 4]), st.binary(max_size=60))
@settings(max_examples=200)
def test_any_principal_is_somebody_or_nobody(kind: int, content: bytes) -> None:
    org, msps, _ = world()
    principal = MSPPrincipal(principal=content)
    principal.principal_classification = kind  # type: ignore[assignment]
    assert str(parse_principal(principal))
    msps.satisfies(msps.deserialize(org.users[0].identity), principal)


@given(st.binary(max_size=120))
@settings(max_examples=200)
def test_any_policy_is_read_or_refused(data: bytes) -> None:
    _, msps, _ = world()
    try:
        policy = SignaturePolicy.parse(data, msps)
    except TongbanError:
        return
    envelope: SignaturePolicyEnvelope = policy.to_signature_policy()
    policy.evaluate([])
    format_policy(envelope)
    endorsement_layouts(envelope)


@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_damaged_channel_is_read_or_refused(edits: list[tuple[int, int]]) -> None:
    genesis = _genesis()
    try:
        config = Config.FromString(changed(genesis, edits))
    except ValueError:
        return
    except Exception as error:
        assert type(error).__name__ == "DecodeError"
        return
    try:
        channel = ChannelConfig.from_config("goldchan", config)
        channel.check_supported()
    except TongbanError as error:
        assert str(error)
    else:
        assert channel.policies.paths()


@cache
def _genesis() -> bytes:
    _, envelope = config_of_block(recorded_genesis())
    return envelope.config.SerializeToString(deterministic=True)


def test_the_undamaged_ones_are_accepted() -> None:
    org, msps, der = world()
    msps.validate(msps.deserialize(serialize_identity("Org1MSP", certificate_pem(der))))
    ChannelConfig.from_config("goldchan", Config.FromString(_genesis()))
    assert make_channel([org]).msps.msps
    assert issubclass(InvalidMspConfig, InvalidConfig)
