"""A node's configuration file: every mistake at once, paths beside the file."""

from pathlib import Path

import pytest

from tongban.node.runtime.config import (
    InvalidNodeConfig,
    OrdererConfig,
    PeerConfig,
    load_config,
    parse_config,
)

FILE = Path("/etc/tongban/node.yaml")

ORDERER = b"""
format: 1
listen: 127.0.0.1:7050
tls: {certificate: tls/server.crt, key: /keys/server.key}
msp: {id: OrdererMSP, directory: msp}
data: data
channels: [mychannel.block]
"""


def orderer(text: bytes) -> OrdererConfig:
    return parse_config(OrdererConfig, text, FILE)


def mistakes(text: bytes) -> list[str]:
    with pytest.raises(InvalidNodeConfig) as found:
        orderer(text)
    return found.value.mistakes


def test_paths_are_relative_to_the_file_and_the_rest_has_defaults() -> None:
    config = orderer(ORDERER)
    assert config.data == Path("/etc/tongban/data")
    assert config.channels == (Path("/etc/tongban/mychannel.block"),)
    assert config.tls is not None
    assert config.tls.certificate == Path("/etc/tongban/tls/server.crt")
    assert config.tls.key == Path("/keys/server.key")
    assert config.operations.listen == "127.0.0.1:0"
    assert config.logging.spec == "info"


def test_a_peer_has_its_own_settings() -> None:
    config = parse_config(
        PeerConfig, ORDERER + b"external_endpoint: peer0.org1.example.com:7051\n", FILE
    )
    assert config.contracts.sandbox == "best-effort"
    assert config.gateway.calls_max == 500
    with pytest.raises(InvalidNodeConfig, match="external_endpoint: is missing"):
        parse_config(PeerConfig, ORDERER, FILE)


def test_all_mistakes_are_reported_with_place_expectation_and_what_was_found() -> None:
    text = b"""
format: 1
listen: nowhere
msp: {id: "", directory: msp}
colour: red
logging: {form: xml}
"""
    found = mistakes(text)
    assert found == [
        "  listen: expected HOST:PORT, for example 127.0.0.1:7050; found 'nowhere'",
        "  msp.id: String should have at least 1 character; found ''",
        "  data: is missing",
        "  logging.form: Input should be 'text' or 'json'; found 'xml'",
        "  colour: no such setting",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"format: 2\n", "newer than this release"),
        (b"- a\n- b\n", "expected names and values"),
        (b"a: [", "not YAML"),
        (b"listen: a:1\nlisten: b:2\n", "'listen' is given twice"),
        (b"x" * (1024 * 1024 + 1), "expected at most"),
        (b"listen: 127.0.0.1:70000", "expected HOST:PORT"),
    ],
)
def test_unusable_files_are_refused_with_the_reason(text: bytes, expected: str) -> None:
    assert expected in "\n".join(mistakes(text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidNodeConfig, match=r"none\.yaml.*\n.*No such file"):
        load_config(OrdererConfig, tmp_path / "none.yaml")
