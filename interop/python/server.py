"""The service on grpcio. Says its port, then `begun` and `cancelled` for the calls that begin and are cancelled."""

import asyncio
import functools
import inspect
import sys

import grpc

from wire import ECHO_INITIAL, ECHO_TRAILING, Contract

contract = Contract(sys.argv[1])


def say(line):
    print(line, flush=True)


async def begin(context):
    """Sends back the metadata that ask for it."""
    say("begun")
    for name, value in context.invocation_metadata():
        if name == ECHO_INITIAL:
            await context.send_initial_metadata([(name, value)])
        if name == ECHO_TRAILING:
            context.set_trailing_metadata([(name, value)])


def watched(method):
    """Tells of a cancellation. What grpcio cancels it also stops to iterate, which ends a generator."""
    if inspect.isasyncgenfunction(method):

        @functools.wraps(method)
        async def call(self, request, context):
            await begin(context)
            try:
                async for response in method(self, request, context):
                    yield response
            except (asyncio.CancelledError, GeneratorExit):
                say("cancelled")
                raise

    else:

        @functools.wraps(method)
        async def call(self, request, context):
            await begin(context)
            try:
                return await method(self, request, context)
            except asyncio.CancelledError:
                say("cancelled")
                raise

    return call


async def end_if_asked(request, context):
    if request.HasField("response_status"):
        status = request.response_status
        code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
        await context.abort(code, status.message)


async def responses(request):
    for asked in request.response_parameters:
        await asyncio.sleep(asked.interval_us / 1e6)
        yield contract.StreamingOutputCallResponse(payload=contract.payload(asked.size))


class Service:
    @watched
    async def EmptyCall(self, request, context):
        return request

    @watched
    async def UnaryCall(self, request, context):
        await end_if_asked(request, context)
        return contract.SimpleResponse(payload=contract.payload(request.response_size))

    @watched
    async def StreamingOutputCall(self, request, context):
        async for response in responses(request):
            yield response

    @watched
    async def StreamingInputCall(self, requests, context):
        sizes = [len(request.payload.body) async for request in requests]
        return contract.StreamingInputCallResponse(aggregated_payload_size=sum(sizes))

    @watched
    async def FullDuplexCall(self, requests, context):
        async for request in requests:
            await end_if_asked(request, context)
            async for response in responses(request):
                yield response


async def main():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([contract.handlers(Service())])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    say(port)
    await server.wait_for_termination()


asyncio.run(main())
