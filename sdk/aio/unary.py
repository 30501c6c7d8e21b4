"""Commands as unary calls, on asyncio."""

import asyncio

import grpc

from ..channel import failure_of
from ..core.commands import Answer, Command, Failure
from ..core.transport import OnAnswer, Withdrawal
from ..core.unary import Call, Reply, perform
from ..errors import StatusCode


class UnaryTransport:
    """Carries out commands in the calls that every Fabric gateway serves."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def start(self, command: Command, on_answer: OnAnswer) -> Withdrawal:
        task = asyncio.get_running_loop().create_task(self._carry_out(command, on_answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return _Task(task)

    async def close(self) -> None:
        self._is_closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry_out(self, command: Command, on_answer: OnAnswer) -> None:
        try:
            answer = await self._answer(command)
        except asyncio.CancelledError:
            if self._is_closed:
                on_answer(Failure(StatusCode.CANCELLED, "the gateway connection was closed"))
            raise
        on_answer(answer)

    async def _answer(self, command: Command) -> Answer:
        calls = perform(command)
        try:
            call = next(calls)
            while True:
                call = calls.send(await self._call(call))
        except StopIteration as stop:
            answer: Answer = stop.value
            return answer

    async def _call(self, call: Call) -> Reply:
        method = self._methods.get(call.method)
        if method is None:
            method = self._channel.unary_unary(call.method, None, None)
            self._methods[call.method] = method
        try:
            return await method(call.request, timeout=call.timeout_s)
        except grpc.aio.AioRpcError as error:
            return failure_of(error)


class _Task:
    __slots__ = ("_task",)

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def cancel(self) -> None:
        self._task.cancel()
