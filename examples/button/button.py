#!/usr/bin/env python3
"""Counts how often a button is pressed, as button does, without any library: python3 button.py gpio:gpiochip0/0"""
import array, json, os, socket, struct, sys

RECORD = struct.Struct("<IIQQqQQQ")  # generation, flags, sequence, count, time, lost, data, arrived


class Refused(Exception):
    """ivtd said no."""

    def __init__(self, refusal):
        held = [f"{c['vector']} is held by " + " and ".join(
            f"pid {h.get('pid')} ({h.get('command')}, uid {h.get('uid')})" for h in c["holders"]) for c in refusal["conflicts"]]
        self.code = refusal["code"]
        super().__init__("; ".join([f"{self.code} {refusal['name']}", *filter(None, [refusal.get("detail")]), *held]))


def connect(vector, label):
    """Returns the stream of the vector's interrupts, and what has to stay open meanwhile."""
    ivtd = socket.socket(socket.AF_UNIX)
    ivtd.connect(os.environ.get("IVT_SOCKET", "/run/ivtd/ivtd.sock"))
    call = {"method": "io.ivtd.interrupts.Connect", "parameters": {"vectors": [vector], "label": label}}
    ivtd.sendall(json.dumps(call).encode() + b"\0")
    text, fds = b"", array.array("i")
    while not text.endswith(b"\0"):  # one message, and the descriptors that come with it
        part, control, _, _ = ivtd.recvmsg(65536, socket.CMSG_SPACE(8 * fds.itemsize))
        if not part:
            raise ConnectionError("ivtd hung up")
        text += part
        for level, kind, data in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
    reply = json.loads(text[:-1])
    if "error" in reply:
        raise Refused(reply["parameters"])
    granted = reply["parameters"]
    stream = socket.socket(fileno=fds[granted["deliveries"][0]["deliveryFileDescriptor"]])
    lifeline = socket.socket(fileno=fds[granted["lifelineFileDescriptor"]])
    return stream, (ivtd, lifeline)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: button.py VECTOR")
    try:
        stream, keep = connect(sys.argv[1], "button.py")
    except (Refused, OSError) as why:
        sys.exit(f"button.py: {why}")
    print("connected", sys.argv[1], flush=True)
    presses = 0
    while record := stream.recv(RECORD.size):
        generation, flags, sequence, count, time, lost, data, arrived = RECORD.unpack(record)
        presses += count
        if lost:
            print("missed", lost, flush=True)
        if count:
            print(f"press {presses} at {time / 1e9:.9f} s", flush=True)
    sys.exit("button.py: the connection is over")


main()
