"""The service on grpcio. Says its port, then `begun` and `cancelled` for the calls that begin and are cancelled."""

import sys
import threading
from concurrent import futures

import grpc
from grpc._server import _CANCELLED as CANCELLED

from wire import ECHO_INITIAL, ECHO_TRAILING, Contract

THREADS = 8

contract = Contract(sys.argv[1])


def say(line):
    # Callbacks come from threads of their own: a line is one write.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Call:
    """A call under way."""

    def __init__(self, context):
        say("begun")
        self._context = context
        self._over = threading.Event()
        if not context.add_callback(self._end):
            self._end()
        for name, value in context.invocation_metadata():
            if name == ECHO_INITIAL:
                context.send_initial_metadata([(name, value)])
            if name == ECHO_TRAILING:
                context.set_trailing_metadata([(name, value)])

    def _end(self):
        # The requests of a cancelled call may just end, so the method cannot tell, and a context has no public word.
        if self._context._state.client is CANCELLED:
            say("cancelled")
        self._over.set()

    def ends_as_asked(self, request):
        """Whether the request asks for a status."""
        if not request.HasField("response_status"):
            return False
        status = request.response_status
        self._context.set_code(next(code for code in grpc.StatusCode if code.value[0] == status.code))
        self._context.set_details(status.message)
        return True

    def responses(self, request):
        for asked in request.response_parameters:
            if self._over.wait(asked.interval_us / 1e6):
                return
            yield contract.StreamingOutputCallResponse(payload=contract.payload(asked.size))


class Service:
    def EmptyCall(self, request, context):
        Call(context)
        return request

    def UnaryCall(self, request, context):
        if Call(context).ends_as_asked(request):
            return contract.SimpleResponse()
        return contract.SimpleResponse(payload=contract.payload(request.response_size))

    def StreamingOutputCall(self, request, context):
        yield from Call(context).responses(request)

    def StreamingInputCall(self, requests, context):
        Call(context)
        total = sum(len(request.payload.body) for request in requests)
        return contract.StreamingInputCallResponse(aggregated_payload_size=total)

    def FullDuplexCall(self, requests, context):
        call = Call(context)
        for request in requests:
            if call.ends_as_asked(request):
                return
            yield from call.responses(request)


server = grpc.server(futures.ThreadPoolExecutor(THREADS))
server.add_generic_rpc_handlers([contract.handlers(Service())])
say(server.add_insecure_port("127.0.0.1:0"))
server.start()
server.wait_for_termination()
