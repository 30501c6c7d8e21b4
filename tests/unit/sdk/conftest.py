"""One fake gateway, and clients of both drivers over the stream and over unary calls."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.facade import Facade, Loop
from tests.support.fake_gateway import FakeGateway
from tongban.protos.signing import KeySigner
from tongban.sdk import Contract, Gateway, Identity, aio

IDENTITY = Identity("Org1MSP", b"a certificate" * 60)
KEY = ec.generate_private_key(ec.SECP256R1())
SIGNER = KeySigner(IDENTITY.creator, KEY)

Connect = Callable[..., Gateway]


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with FakeGateway() as gateway:
        yield gateway


@pytest.fixture(params=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest, fake: FakeGateway) -> Iterator[Connect]:
    """Opens gateways of one driver and closes them after the test."""
    opened: list[Any] = []
    loop = Loop() if request.param == "asyncio" else None

    def opener(identity: Any = SIGNER, **options: Any) -> Gateway:
        target = options.pop("target", fake.target)
        if loop is None:
            gateway: Any = Gateway.connect(target, identity, **options)
        else:
            inner = loop.do(lambda: aio.Gateway.connect(target, identity, **options))
            gateway = Facade(loop, inner)
        opened.append(gateway)
        return cast(Gateway, gateway)

    yield opener
    for gateway in opened:
        gateway.close()
    if loop is not None:
        loop.close()


@pytest.fixture(params=[True, False], ids=["stream", "unary"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def gateway(connect: Connect, stream: bool) -> Gateway:
    return connect(stream=stream)


@pytest.fixture
def contract(gateway: Gateway) -> Contract:
    return gateway.get_network("mychannel").get_contract("basic")
