"""Messages and methods of the contract, from the descriptors that the build wrote."""

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "grpc.testing.TestService"
ECHO_INITIAL = "x-grpc-test-echo-initial"
ECHO_TRAILING = "x-grpc-test-echo-trailing-bin"


class Contract:
    def __init__(self, descriptors):
        with open(descriptors, "rb") as file:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read()).file
        pool = descriptor_pool.DescriptorPool()
        for one in files:
            pool.Add(one)
        classes = message_factory.GetMessageClassesForFiles([one.name for one in files], pool)
        for name, message in classes.items():
            setattr(self, name.rpartition(".")[2], message)
        self._service = pool.FindServiceByName(SERVICE)

    def payload(self, size):
        return self.Payload(body=bytes(size))

    def methods(self):
        """Each method's name, its shape as in `stream_unary`, and how its messages are read."""
        for method in self._service.methods:
            shape = "_".join("stream" if many else "unary" for many in (method.client_streaming, method.server_streaming))
            read = [message_factory.GetMessageClass(m).FromString for m in (method.input_type, method.output_type)]
            yield method.name, shape, *read

    def handlers(self, target):
        """What a server needs: for each method, the function of that name."""
        handlers = {
            name: getattr(grpc, f"{shape}_rpc_method_handler")(getattr(target, name), read, serialize)
            for name, shape, read, _ in self.methods()
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def stub(self, channel, name):
        """What a client calls."""
        for known, shape, _, read in self.methods():
            if known == name:
                return getattr(channel, shape)(f"/{SERVICE}/{name}", serialize, read)
        raise KeyError(name)

    def unknown(self, channel, path):
        """A method that is in no contract."""
        return channel.unary_unary(path, serialize, self.Empty.FromString)


def serialize(message):
    return message.SerializeToString()
