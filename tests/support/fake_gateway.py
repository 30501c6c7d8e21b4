"""A gateway in memory, for clients: one scripted ledger behind Fabric's unary calls, our stream and
the deliver service.

It runs on a thread of its own, so blocking and asyncio clients meet the same server. A script says
what happens to the next requests of a kind; without one everything succeeds.

Streams are served by coroutines that write to the context, which grpc.aio allows and the generated
types do not know: hence the ignored overrides.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage

from tongban.protos.ab_pb2 import SeekInfo
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.common_pb2 import (
    Block,
    BlockData,
    BlockHeader,
    ChannelHeader,
    Payload,
)
from tongban.protos.common_pb2 import Status as DeliverStatus
from tongban.protos.events_pb2 import BlockAndPrivateData, DeliverResponse, FilteredBlock
from tongban.protos.gateway_pb2 import (
    ChaincodeEventsRequest,
    ChaincodeEventsResponse,
    CommitStatusResponse,
    EndorseRequest,
    EndorseResponse,
    EvaluateRequest,
    EvaluateResponse,
    SignedChaincodeEventsRequest,
    SignedCommitStatusRequest,
    SubmitRequest,
    SubmitResponse,
)
from tongban.protos.limits import GRPC_OPTIONS
from tongban.protos.rpc_status_pb2 import Status
from tongban.protos.services import deliver_pb2_grpc, gateway_pb2_grpc, gateway_stream_pb2_grpc
from tongban.protos.stream_pb2 import Failed, GatewayFrame, GatewayMessage, Hello

from .fake_ledger import Act, Drop, FakeLedger, Kind, Refuse

T = TypeVar("T")


class _Unary(gateway_pb2_grpc.GatewayServicer):
    """Fabric's face."""

    def __init__(self, gateway: "FakeGateway") -> None:
        self._gateway = gateway
        self._ledger = gateway.ledger

    async def Endorse(self, request: EndorseRequest, context: Any) -> EndorseResponse:  # noqa: N802
        return await self._answer(self._ledger.endorse(request), context)

    async def Evaluate(self, request: EvaluateRequest, context: Any) -> EvaluateResponse:  # noqa: N802
        return await self._answer(self._ledger.evaluate(request), context)

    async def Submit(self, request: SubmitRequest, context: Any) -> SubmitResponse:  # noqa: N802
        await self._answer(self._ledger.submit(request), context)
        return SubmitResponse()

    async def CommitStatus(  # noqa: N802
        self, request: SignedCommitStatusRequest, context: Any
    ) -> CommitStatusResponse:
        return await self._answer(self._ledger.commit_status(request), context)

    async def ChaincodeEvents(  # noqa: N802
        self, request: SignedChaincodeEventsRequest, context: Any
    ) -> AsyncIterator[ChaincodeEventsResponse]:
        asked = ChaincodeEventsRequest.FromString(request.request)
        self._ledger.seeks.append(asked)
        if not request.signature:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not signed")
        async for index in self._gateway.ticks(context):
            if index >= len(self._ledger.events):
                return
            response = self._ledger.events[index]
            if response.block_number >= asked.start_position.specified.number:
                yield _after(response, asked)

    async def _answer(self, doing: Coroutine[Any, Any, T], context: Any) -> T:
        try:
            return await doing
        except Refuse as refusal:
            await _abort(context, refusal)
        except Drop:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "connection broken by the script")
        raise AssertionError("abort raises")


def _after(
    response: ChaincodeEventsResponse, asked: ChaincodeEventsRequest
) -> ChaincodeEventsResponse:
    """The events of a block behind the transaction that was asked for."""
    ids = [event.tx_id for event in response.events]
    if response.block_number != asked.start_position.specified.number:
        return response
    if asked.after_transaction_id not in ids:
        return response
    first = ids.index(asked.after_transaction_id) + 1
    return ChaincodeEventsResponse(
        events=response.events[first:], block_number=response.block_number
    )


async def _abort(context: Any, refusal: Refuse) -> None:
    status = Status(code=refusal.code.value[0], message=refusal.message)
    for detail in refusal.details:
        status.details.append(
            AnyMessage(
                type_url="type.googleapis.com/gateway.ErrorDetail",
                value=detail.SerializeToString(),
            )
        )
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(refusal.code, refusal.message, trailing_metadata=trailers)


class _Stream(gateway_stream_pb2_grpc.GatewayServicer):
    """Our face: one conversation."""

    def __init__(self, gateway: "FakeGateway") -> None:
        self._gateway = gateway

    async def Stream(self, request_iterator: Any, context: Any) -> Any:  # type: ignore[override]  # noqa: N802
        gateway = self._gateway
        gateway.streams_opened += 1
        if gateway.refuses_streams is not None:
            await context.abort(gateway.refuses_streams, "no streams here")
        conversation = _Conversation(gateway, context)
        reader = asyncio.create_task(conversation.read(request_iterator))
        writer = asyncio.create_task(conversation.write())
        broken = asyncio.create_task(conversation.broken.wait())
        tasks = [reader, writer, broken]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in [*tasks, *conversation.tasks.values()]:
                task.cancel()
        if conversation.broken.is_set():
            await context.abort(grpc.StatusCode.UNAVAILABLE, "stream broken by the script")


class _Conversation:
    def __init__(self, gateway: "FakeGateway", context: Any) -> None:
        self._gateway = gateway
        self._context = context
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.broken = asyncio.Event()
        self._out: list[GatewayMessage] = []
        self._ready = asyncio.Event()
        gateway.conversations.append(self)

    async def read(self, frames: Any) -> None:
        gateway = self._gateway
        async for frame in frames:
            gateway.frames.append(frame)
            for message in frame.messages:
                if message.WhichOneof("body") == "cancel":
                    gateway.cancels.append(message.id)
                    if (task := self.tasks.pop(message.id, None)) is not None:
                        task.cancel()
                elif message.WhichOneof("body") == "failed":
                    gateway.refused_by_client.append(message)
                else:
                    self.tasks[message.id] = asyncio.create_task(self._serve(message))
                    gateway.most_open = max(gateway.most_open, len(self.tasks))

    async def write(self) -> None:
        await self._gateway.says_hello.wait()
        hello = Hello(version=self._gateway.version, window=self._gateway.window, software="fake")
        await self._context.write(GatewayFrame(hello=hello))
        while True:
            await self._ready.wait()
            self._ready.clear()
            messages, self._out = self._out, []
            await self._context.write(GatewayFrame(messages=messages))

    def send(self, message: GatewayMessage) -> None:
        self._out.append(message)
        self._ready.set()

    async def _serve(self, message: GatewayMessage) -> None:
        number = message.id
        try:
            await self._carry_out(message)
        except Refuse as refusal:
            failed = Failed(
                code=refusal.code.value[0], message=refusal.message, details=refusal.details
            )
            self.send(GatewayMessage(id=number, failed=failed))
        except Drop:
            self.broken.set()
        self.tasks.pop(number, None)

    async def _carry_out(self, message: GatewayMessage) -> None:
        ledger, number = self._gateway.ledger, message.id
        match message.WhichOneof("body"):
            case "propose":
                prepared = await ledger.endorse(message.propose)
                self.send(GatewayMessage(id=number, prepared=prepared))
            case "evaluate":
                evaluated = await ledger.evaluate(message.evaluate)
                self.send(GatewayMessage(id=number, evaluated=evaluated))
            case "submit":
                await ledger.submit(message.submit)
                self.send(GatewayMessage(id=number, accepted=SubmitResponse()))
                committed = await ledger.verdict(message.submit.transaction_id)
                self.send(GatewayMessage(id=number, committed=committed))
            case "commit_status":
                committed = await ledger.commit_status(message.commit_status)
                self.send(GatewayMessage(id=number, committed=committed))


class _Deliver(deliver_pb2_grpc.DeliverServicer):
    def __init__(self, gateway: "FakeGateway") -> None:
        self._gateway = gateway

    async def Deliver(self, request_iterator: Any, context: Any) -> Any:  # type: ignore[override]  # noqa: N802
        await self._deliver(request_iterator, context, lambda b: DeliverResponse(block=b))

    async def DeliverFiltered(self, request_iterator: Any, context: Any) -> Any:  # type: ignore[override]  # noqa: N802
        await self._deliver(
            request_iterator,
            context,
            lambda b: DeliverResponse(filtered_block=FilteredBlock(number=b.header.number)),
        )

    async def DeliverWithPrivateData(self, request_iterator: Any, context: Any) -> Any:  # type: ignore[override]  # noqa: N802
        await self._deliver(
            request_iterator,
            context,
            lambda b: DeliverResponse(block_and_private_data=BlockAndPrivateData(block=b)),
        )

    async def _deliver(
        self, frames: Any, context: Any, form: Callable[[Block], DeliverResponse]
    ) -> None:
        gateway = self._gateway
        envelope = await anext(aiter(frames))
        payload = Payload.FromString(envelope.payload)
        assert ChannelHeader.FromString(payload.header.channel_header).timestamp.seconds
        seek = SeekInfo.FromString(payload.data)
        gateway.ledger.seeks.append(seek)
        if gateway.deliver_status is not None:
            await context.write(DeliverResponse(status=gateway.deliver_status))
            return
        first = seek.start.specified.number
        async for index in gateway.ticks(context):
            if index < gateway.block_count:
                if index >= first:
                    data = BlockData(data=[bytes(gateway.block_bytes)])
                    block = Block(header=BlockHeader(number=index), data=data)
                    await context.write(form(block))
                    gateway.blocks_sent += 1
            else:
                return


class FakeGateway:
    """The server. ``with FakeGateway() as gateway: connect to gateway.target``."""

    def __init__(self, *, window: int = 1000, pair: tuple[bytes, bytes] | None = None) -> None:
        """``pair`` is a key and its certificate, PEM, to serve with TLS."""
        self.ledger = FakeLedger()
        self._pair = pair
        self.window = window
        self.version = 1
        self.refuses_streams: grpc.StatusCode | None = None
        self.streams_opened = 0
        self.most_open = 0
        self.frames: list[GatewayFrame] = []
        self.cancels: list[int] = []
        self.refused_by_client: list[GatewayMessage] = []
        self.conversations: list[_Conversation] = []
        self.block_count = 0
        self.block_bytes = 0
        self.blocks_sent = 0
        self.deliver_status: DeliverStatus.ValueType | None = None
        self.break_streams_after: deque[int] = deque()
        """Items after which the next event streams break; then they stay."""
        self.target = ""

    def script(self, kind: Kind, *acts: Act) -> None:
        """What happens to the next requests of this kind."""
        self.ledger.script.setdefault(kind, deque()).extend(acts)

    def call(self, function: Callable[[], object]) -> None:
        """Run something on the server's loop, and wait for it."""

        async def inside() -> None:
            function()

        asyncio.run_coroutine_threadsafe(inside(), self._loop).result(10)

    def break_streams(self) -> None:
        """Break every stream that stands."""

        def break_all() -> None:
            for conversation in self.conversations:
                conversation.broken.set()

        self.call(break_all)

    async def ticks(self, context: Any) -> AsyncIterator[int]:
        """Numbers from 0 while there is something to tell, then nothing for ever; a scripted break
        comes after so many."""
        limit = self.break_streams_after.popleft() if self.break_streams_after else None
        index = 0
        while True:
            if limit is not None and index >= limit:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "stream broken by the script")
            if index >= max(self.block_count, len(self.ledger.events)):
                await asyncio.Event().wait()
            yield index
            index += 1

    def __enter__(self) -> Self:
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self, port: int = 0) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.says_hello = asyncio.Event()
        self.says_hello.set()
        server = grpc.aio.server(options=list(GRPC_OPTIONS))
        gateway_pb2_grpc.add_GatewayServicer_to_server(_Unary(self), server)
        gateway_stream_pb2_grpc.add_GatewayServicer_to_server(_Stream(self), server)
        deliver_pb2_grpc.add_DeliverServicer_to_server(_Deliver(self), server)
        address = f"127.0.0.1:{port}"
        if self._pair is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, grpc.ssl_server_credentials([self._pair]))
        self.target = f"127.0.0.1:{port}"
        await server.start()
        self._started.set()
        await self._stop.wait()
        await server.stop(0)


def an_event(block: int, transaction: str, name: str = "moved") -> ChaincodeEvent:
    return ChaincodeEvent(
        chaincode_id="basic", tx_id=transaction, event_name=name, payload=str(block).encode()
    )
