"""A Varlink client with descriptors, on the standard library alone: take_fds.py SOCKET COUNT"""
import json, os, socket, sys


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)

    def call(self, method, **parameters):
        message = {"method": "org.example.conformance." + method, "parameters": parameters}
        self.socket.sendall(json.dumps(message).encode() + b"\0")
        text, fds = b"", []
        while not text.endswith(b"\0"):
            part, more, flags, _ = socket.recv_fds(self.socket, 65536, 253)
            if not part or flags & socket.MSG_CTRUNC:
                raise ConnectionError("the reply was cut short")
            text, fds = text + part, fds + list(more)
        return json.loads(text[:-1]), fds


client = Client(sys.argv[1])
print("echo:", client.call("Echo", text="äöü")[0]["parameters"]["text"])
reply, _ = client.call("Refuse")
print("refused:", reply["error"], reply["parameters"]["code"])
for n in int(sys.argv[2]), 1:
    reply, fds = client.call("Open", n=n)
    counters = [os.eventfd_read(fds[index]) for index in reply["parameters"]["indexes"]]
    print("counters:", *counters)
