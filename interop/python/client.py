"""The cases as grpcio's client sees them: `client.py DESCRIPTORS ADDRESS CASE`. Fails if the case does.

Its input ends when the server has begun with the call.
"""

import queue
import sys

import grpc

from wire import ECHO_INITIAL, ECHO_TRAILING, SERVICE, Contract

# Longest wait for anything; only reached when something is broken.
PATIENCE = 30
REQUEST, RESPONSE = 271_828, 314_159
REQUESTS, RESPONSES = [27_182, 8, 1_828, 45_904], [31_415, 9, 2_653, 58_979]
SPECIAL = "\t 100 % of it,\r\n a snowman \u2603 and a horn \U0001f4ef\n"

contract = Contract(sys.argv[1])
channel = grpc.insecure_channel(sys.argv[2])


def method(name):
    return contract.stub(channel, name)


def equal(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


def sizes(responses):
    return [len(response.payload.body) for response in responses]


def asked(*responses, **more):
    parameters = [contract.ResponseParameters(size=size, interval_us=us) for size, us in responses]
    return contract.StreamingOutputCallRequest(response_parameters=parameters, **more)


def failure(call):
    """The error that a call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("it did not fail")


class Conversation:
    """Requests that are sent when the test says so."""

    def __init__(self, timeout=PATIENCE, metadata=None):
        self._requests = queue.SimpleQueue()
        self.call = method("FullDuplexCall")(iter(self._requests.get, None), timeout=timeout, metadata=metadata)

    def say(self, request):
        self._requests.put(request)

    def end(self):
        self._requests.put(None)


def empty_unary():
    equal(method("EmptyCall")(contract.Empty(), timeout=PATIENCE), contract.Empty())


def large_unary():
    request = contract.SimpleRequest(response_size=RESPONSE, payload=contract.payload(REQUEST))
    equal(method("UnaryCall")(request, timeout=PATIENCE).payload, contract.payload(RESPONSE))


def client_streaming():
    requests = (contract.StreamingInputCallRequest(payload=contract.payload(size)) for size in REQUESTS)
    answer = method("StreamingInputCall")(requests, timeout=PATIENCE)
    equal(answer.aggregated_payload_size, sum(REQUESTS))


def server_streaming():
    request = asked(*((size, 0) for size in RESPONSES))
    equal(sizes(method("StreamingOutputCall")(request, timeout=PATIENCE)), RESPONSES)


def ping_pong():
    conversation = Conversation()
    for request, response in zip(REQUESTS, RESPONSES):
        conversation.say(asked((response, 0), payload=contract.payload(request)))
        equal(sizes([next(conversation.call)]), [response])
    conversation.end()
    equal(list(conversation.call), [])


def empty_stream():
    conversation = Conversation()
    conversation.end()
    equal(list(conversation.call), [])


def outlives_the_wait_for_its_beginning():
    conversation = Conversation()
    conversation.say(asked((1, 0), (2, 2_000_000)))
    conversation.end()
    equal(sizes(conversation.call), [1, 2])


def status(code, message):
    wanted = contract.EchoStatus(code=code, message=message)
    error = failure(
        lambda: method("UnaryCall")(contract.SimpleRequest(response_status=wanted), timeout=PATIENCE)
    )
    equal((error.code().value[0], error.details()), (code, message))
    conversation = Conversation()
    conversation.say(asked(response_status=wanted))
    error = failure(lambda: next(conversation.call))
    equal((error.code().value[0], error.details()), (code, message))


def status_code_and_message():
    status(2, "what was asked for")


def special_status_message():
    status(2, SPECIAL)


def unimplemented(path):
    error = failure(lambda: contract.unknown(channel, path)(contract.Empty(), timeout=PATIENCE))
    equal(error.code(), grpc.StatusCode.UNIMPLEMENTED)


def unimplemented_method():
    unimplemented(f"/{SERVICE}/UnimplementedCall")


def unimplemented_service():
    unimplemented("/grpc.testing.UnimplementedService/UnimplementedCall")


def custom_metadata():
    sent = [(ECHO_INITIAL, "at the beginning"), (ECHO_TRAILING, b"\xab\x00\xff")]

    def check(call):
        equal(dict(call.initial_metadata()).get(sent[0][0]), sent[0][1])
        equal(dict(call.trailing_metadata()).get(sent[1][0]), sent[1][1])

    request = contract.SimpleRequest(response_size=1)
    _, call = method("UnaryCall").with_call(request, timeout=PATIENCE, metadata=sent)
    check(call)
    conversation = Conversation(metadata=sent)
    conversation.say(asked((1, 0)))
    conversation.end()
    equal(sizes(conversation.call), [1])
    check(conversation.call)


def cancel_after_begin():
    requests = queue.SimpleQueue()
    call = method("StreamingInputCall").future(iter(requests.get, None), timeout=PATIENCE)
    sys.stdin.read()
    call.cancel()
    requests.put(None)
    equal(call.code(), grpc.StatusCode.CANCELLED)


def cancel_after_first_response():
    conversation = Conversation()
    conversation.say(asked((RESPONSES[0], 0)))
    equal(sizes([next(conversation.call)]), RESPONSES[:1])
    conversation.call.cancel()
    error = failure(lambda: next(conversation.call))
    equal(error.code(), grpc.StatusCode.CANCELLED)
    conversation.end()


def timeout_on_sleeping_server():
    # The connection is there before the time begins.
    empty_unary()
    conversation = Conversation(timeout=1)
    conversation.say(asked((1, 60_000_000)))
    error = failure(lambda: next(conversation.call))
    equal(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    conversation.end()


def refused_for_want_of_an_instance():
    error = failure(empty_unary)
    equal(error.code(), grpc.StatusCode.UNAVAILABLE)
    assert "TRL1005" in error.details(), error.details()


globals()[sys.argv[3]]()
channel.close()
