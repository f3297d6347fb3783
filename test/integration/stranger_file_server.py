#!/usr/bin/env python3
"""A file server for one gateway address, from docs/TRANSFER.md alone. It serves the directory it is started in."""
import hashlib, os, select, signal, socket, struct, sys, time
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEADER = struct.Struct(">HBBIQIHH")  # magic, version, type, session, number, request, payload size, flags
(NEW_CONNECTION, CHALLENGE, ACCEPT, HEARTBEAT, HEARTBEAT_ACK, REQUEST_FILE, FILE_INFO, FILE_CHUNK, NOT_FOUND, CANCEL,
 GOODBYE) = *range(1, 11), 13
STAT, BOTH, DATA = 1, 2, 3

class Sealing:  # one direction of the handshake (no context) or of a session
    def __init__(self, direction, *context, first=0):
        info = b"farol file protocol v1 " + direction + b"".join(struct.pack(">Q", word) for word in context)
        made = HKDF(SHA256(), 44, None, info).derive(b"farol file protocol v1, a key for everybody")
        self.aead, self.iv, self.next = AESGCM(made[:32]), made[32:], first

    def nonce(self, number): return self.iv[:4] + (int.from_bytes(self.iv[4:], "big") ^ number).to_bytes(8, "big")

    def seal(self, kind, session, request, payload, last=0):
        head = HEADER.pack(0xF5C2, 1, kind, session, self.next, request, len(payload), last)
        self.next += 1
        return head + self.aead.encrypt(self.nonce(self.next - 1), payload, head)

    def open(self, datagram):  # the payload, or None
        try: return self.aead.decrypt(self.nonce(HEADER.unpack(datagram[:24])[4]), datagram[24:], datagram[:24])
        except (InvalidTag, struct.error): return None

def new_connection(cookie, boot_id, name):
    return (cookie + struct.pack(">QB", boot_id, len(name)) + name).ljust(1192, b"\0")

def stat_tag(size, mtime_ns):
    return hashlib.sha256(b"farol stat tag v1" + struct.pack(">Qq", size, mtime_ns)).digest()[:16]

def answers(payload):
    """What a REQUEST_FILE is answered with: (type, payload, flags) each."""
    mode, _, size, _, first, mask, tag, length = struct.unpack(">BBHIQQ16sH", payload[:42])
    path = payload[42:42 + length].decode()
    if path.startswith("/") or ".." in path.split("/") or not os.path.isfile(path):
        yield NOT_FOUND, struct.pack(">H", 1), 0
        return
    data, mtime = open(path, "rb").read(), os.stat(path).st_mtime_ns
    digest = hashlib.sha256(data).digest()
    if tag not in (bytes(16), digest[:16], stat_tag(len(data), mtime)):
        yield NOT_FOUND, struct.pack(">H", 4), 0
        return
    if mode != DATA:
        yield FILE_INFO, struct.pack(">Qq16sB", len(data), mtime, stat_tag(len(data), mtime), 1) + digest, 0
    for number in (first + i for i in range(64) if mask >> i & 1):
        piece = data[number * size:(number + 1) * size]
        if piece: yield FILE_CHUNK, struct.pack(">Q", number) + piece, int((number + 1) * size >= len(data))

def main(host, port):
    family, _, _, _, gateway = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.connect(gateway)  # a connected socket takes datagrams from that address and port alone
    boot_id, name = int.from_bytes(os.urandom(8), "big"), b"stranger-%d" % os.getpid()
    up, down = Sealing(b"server->gateway", first=time.time_ns()), Sealing(b"gateway->server")
    attempt, cookie, session, seen, heard, due, silence = os.getpid(), bytes(32), 0, set(), 0.0, 0.0, 0.0

    def send(*message):
        try: sock.send(up.seal(*message))
        except OSError: pass  # as good as lost
    def leave(*_):
        if session: send(GOODBYE, session, 0, b"")
        sys.exit(0)
    signal.signal(signal.SIGTERM, leave)
    while True:
        now = time.monotonic()
        if session and now - heard > silence:  # start over
            up, down = Sealing(b"server->gateway", first=time.time_ns()), Sealing(b"gateway->server")
            cookie, session, due = bytes(32), 0, 0.0
        if now >= due and session:
            send(HEARTBEAT, session, 0, struct.pack(">QQQI", time.monotonic_ns() // 1000, 0, 0, 0))
            due = now + 0.25
        elif now >= due:
            send(NEW_CONNECTION, 0, attempt, new_connection(cookie, boot_id, name))
            due = now + 0.5
        if not select.select([sock], [], [], 0.05)[0]: continue
        try: datagram = sock.recv(2048)
        except OSError: continue  # an ICMP error: nobody there yet
        payload = down.open(datagram)
        if payload is None: continue
        _, _, kind, its_session, number, request, _, _ = HEADER.unpack(datagram[:24])
        if its_session != session or (session and number in seen): continue
        if kind == CHALLENGE and request == attempt: cookie, due = payload, 0.0
        elif kind == ACCEPT and request == attempt:
            session, salt, _, silence_ms = struct.unpack(">IQII", payload)
            up, down = Sealing(b"server->gateway", boot_id, salt), Sealing(b"gateway->server", boot_id, salt)
            seen, heard, due, silence = set(), now, 0.0, silence_ms / 1000
        elif session:
            seen.add(number)
            heard = now
            if kind == REQUEST_FILE:
                for kind, payload, last in answers(payload): send(kind, session, request, payload, last)
            elif kind == GOODBYE: heard = -silence

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
