#!/usr/bin/env python3
"""The loop of the gateway report (its chapters 3 and 4), re-created as a baseline: the gateway asks the servers that it
knows in turn, for one chunk of 4098 bytes at a time, and waits for it, for half a second at most. Packets are pickled
and carry an MD5 of their data, which begins with the client's address in 16 bytes.

Kinder to it than the report: a server goes to its place in the file instead of reading up to it each time, registering
is repeated until it is acknowledged, no thread hands chunks to another, and there is no HTTP.

    report_loop.py server GATEWAY-PORT DIRECTORY
    report_loop.py gateway PORT SERVERS FILE SECONDS    fetches FILE, as far as it comes; says how far in JSON
"""

import dataclasses
import enum
import hashlib
import json
import pathlib
import pickle
import socket
import sys
import time

CHUNK_SIZE = 4098
TIMEOUT = .5
ACK = b""
CLIENT = b"127.0.0.1".ljust(16)


class PacketType(enum.Enum):
    NEW_CONNECTION = 0
    REQUEST_FILE = 1
    FILE_CHUNK = 2
    FILE_NOT_FOUND_ERROR = 3


@dataclasses.dataclass
class Packet:
    type: PacketType
    chunkN: int  # noqa: N815 (the report's names)
    data: bytes
    hasNext: bool = False  # noqa: N815
    md5: bytes = b""

    def serialize(self):
        self.md5 = hashlib.md5(self.data).digest()
        return pickle.dumps(self)


def deserialize(datagram):
    return pickle.loads(datagram)  # whoever can send one runs what they like; here, on loopback, that is only us


def register(sock, gateway):
    sock.settimeout(TIMEOUT)
    while True:
        sock.sendto(Packet(PacketType.NEW_CONNECTION, 0, b"").serialize(), gateway)
        try:
            if sock.recvfrom(CHUNK_SIZE * 2)[0] == ACK:
                return sock.settimeout(None)
        except (TimeoutError, ConnectionRefusedError):
            continue


def serve(gateway_port, directory):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    register(sock, ("127.0.0.1", gateway_port))
    files = {}
    while True:
        datagram, source = sock.recvfrom(CHUNK_SIZE * 2)
        if datagram == ACK:
            continue  # of a repetition
        asked = deserialize(datagram)
        client, name = asked.data[:16], asked.data[16:].decode()
        if name not in files:
            path = pathlib.Path(directory, name)
            if not path.is_file():
                sock.sendto(Packet(PacketType.FILE_NOT_FOUND_ERROR, 0, client).serialize(), source)
                continue
            files[name] = (open(path, "rb"), path.stat().st_size)
        file, size = files[name]
        file.seek(asked.chunkN * CHUNK_SIZE)
        piece = file.read(CHUNK_SIZE)
        sock.sendto(Packet(PacketType.FILE_CHUNK, asked.chunkN, client + piece, file.tell() < size).serialize(), source)


def known_hosts(sock, count):
    """The addresses of the servers, once there are so many."""
    known = []
    while len(known) < count:
        datagram, source = sock.recvfrom(CHUNK_SIZE * 2)
        if deserialize(datagram).type == PacketType.NEW_CONNECTION:
            if source not in known:
                known.append(source)
            sock.sendto(ACK, source)
    return known


def fetch(sock, servers, name, seconds):
    """The report's handler: (chunks, seconds it took, time-outs)."""
    sock.settimeout(TIMEOUT)
    chunks, turn, timeouts, began, more = [], 0, 0, time.monotonic(), True
    while more and time.monotonic() < began + seconds:
        server = servers[turn % len(servers)]
        turn += 1
        sock.sendto(Packet(PacketType.REQUEST_FILE, len(chunks), CLIENT + name.encode()).serialize(), server)
        try:
            packet = deserialize(sock.recvfrom(CHUNK_SIZE * 2)[0])
        except TimeoutError:
            timeouts += 1
            continue
        if packet.type != PacketType.FILE_CHUNK or packet.md5 != hashlib.md5(packet.data).digest():
            timeouts += 1
            continue
        chunks.append(packet.data[16:])
        more = packet.hasNext
    return chunks, time.monotonic() - began, timeouts


def gateway(port, count, name, seconds):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", port))
    chunks, took, timeouts = fetch(sock, known_hosts(sock, count), name, seconds)
    body = b"".join(chunks)
    print(json.dumps({"bytes": len(body), "chunks": len(chunks), "seconds": took, "timeouts": timeouts,
                      "sha256": hashlib.sha256(body).hexdigest()}))


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(int(sys.argv[2]), sys.argv[3])
    else:
        gateway(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], float(sys.argv[5]))
