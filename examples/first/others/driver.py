#!/usr/bin/env python3
# A driver in Python without any library: one call of Varlink, a descriptor back, one record an interrupt.
import json, os, socket, struct, sys

ivtd = socket.socket(socket.AF_UNIX)
ivtd.connect(os.environ.get("IVT_SOCKET", "/run/ivtd/ivtd.sock"))
call = {"method": "io.ivtd.interrupts.Connect", "parameters": {"vectors": [sys.argv[1]], "label": "python"}}
ivtd.sendall(json.dumps(call).encode() + b"\0")
reply, fds, _, _ = socket.recv_fds(ivtd, 65536, 8)
reply = json.loads(reply.rstrip(b"\0"))
if "error" in reply:
    sys.exit(f"{reply['parameters']['code']} {reply['parameters']['name']}: {reply['parameters']['conflicts']}")
stream = socket.socket(fileno=fds[reply["parameters"]["deliveries"][0]["deliveryFileDescriptor"]])
while record := stream.recv(56):
    generation, flags, sequence, count = struct.unpack_from("<IIQQ", record)
    print("interrupt", sequence, "count", count, flush=True)
