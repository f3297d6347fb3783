"""FastFileSrv, joined by a gateway made of one socket: how it joins, what it answers, to whom, and how it leaves."""

import os
import select
import signal
import socket
import struct
import time
import unittest

import stranger_file_server as ffs
from harness import SLOW, Process, TestCase, free_udp_port, program, wait_until

UP, DOWN = b"server->gateway", b"gateway->server"
CHUNK = 1184


class Gateway:
    """The gateway's end of docs/TRANSFER.md, by hand."""

    def __init__(self, address="127.0.0.1", port=0, heartbeat_ms=200, silence_ms=1000):
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((address, port))
        self.port = self.socket.getsockname()[1]
        self.terms = (heartbeat_ms, silence_ms)
        self.handshake = ffs.Sealing(DOWN, first=1 << 40), ffs.Sealing(UP)
        self.session, self.next_session, self.server = None, 1, None

    def close(self):
        self.socket.close()

    def datagrams(self, seconds):
        """(type, session, request, payload, last) of what arrives within that time."""
        end = time.monotonic() + seconds * SLOW
        while select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
            data, source = self.socket.recvfrom(2048)
            _, _, kind, session, _, request, _, last = ffs.HEADER.unpack(data[:24])
            opener = self.session[2] if session and self.session else self.handshake[1]
            payload = opener.open(data)
            if payload is not None:
                self.size, self.source = len(data), source
                yield kind, session, request, payload, last

    def wait(self, kind, seconds=5):
        for found in self.datagrams(seconds):
            if found[0] == kind:
                return found
        raise AssertionError(f"no message of type {kind} within {seconds} s")

    def reply(self, kind, request, payload, to=None):
        sealing, session = (self.session[1], self.session[0]) if self.session else (self.handshake[0], 0)
        self.socket.sendto(sealing.seal(kind, session, request, payload), to or self.server)

    def accept(self, request, payload):
        boot_id = struct.unpack(">Q", payload[32:40])[0]
        number, salt = self.next_session, int.from_bytes(os.urandom(8), "big")
        self.next_session += 1
        self.server, self.session = self.source, None
        self.reply(ffs.ACCEPT, request, struct.pack(">IQII", number, salt, *self.terms))
        self.session = number, ffs.Sealing(DOWN, boot_id, salt), ffs.Sealing(UP, boot_id, salt)

    def confirm(self, seconds=5):
        beat = self.wait(ffs.HEARTBEAT, seconds)
        self.reply(ffs.HEARTBEAT_ACK, 0, beat[3][:8])

    def join(self, seconds=5):
        """Lets the next server in; returns its name."""
        self.session = None
        _, _, request, payload, _ = self.wait(ffs.NEW_CONNECTION, seconds)
        assert self.size == 1232 and payload[:32] == bytes(32), (self.size, payload[:32])
        cookie = os.urandom(32)
        self.server = self.source
        self.reply(ffs.CHALLENGE, request, cookie)
        while True:
            _, _, again, payload, _ = self.wait(ffs.NEW_CONNECTION, seconds)
            if payload[:32] == cookie and again == request:
                break
        self.accept(request, payload)
        self.confirm()
        return payload[41:41 + payload[40]].decode()

    def request(self, number, path, mode, first=0, mask=0, tag=bytes(16)):
        size = CHUNK if mask else 0
        self.reply(ffs.REQUEST_FILE, number,
                   struct.pack(">BBHIQQ16sH", mode, 0, size, 0, first, mask, tag, len(path)) + path)

    def ask(self, path, mode, first=0, mask=0, tag=bytes(16), seconds=2):
        """One request, repeated until it is answered: (info, reason, {chunk: data})."""
        info, reason, chunks = None, None, {}
        wanted = bin(mask).count("1")
        for attempt in range(20):
            self.request(attempt + 1, path, mode, first, mask, tag)
            for kind, _, request, payload, _ in self.datagrams(seconds / 10):
                if kind == ffs.HEARTBEAT:
                    self.reply(ffs.HEARTBEAT_ACK, 0, payload[:8])
                elif request != attempt + 1:
                    continue
                elif kind == ffs.FILE_INFO:
                    info = payload
                elif kind == ffs.NOT_FOUND:
                    reason = struct.unpack(">H", payload)[0]
                elif kind == ffs.FILE_CHUNK:
                    chunks[struct.unpack(">Q", payload[:8])[0]] = payload[8:]
                if reason or len(chunks) == wanted and (info or mode == ffs.DATA):
                    return info, reason, chunks
            if chunks or info:
                return info, reason, chunks
        raise AssertionError(f"no answer about {path}")

    def download(self, path):
        info = self.ask(path, ffs.STAT)[0]
        size = struct.unpack(">Q", info[:8])[0]
        tag, data = info[16:32], b""
        count = -(-size // CHUNK)
        for first in range(0, count, 64):
            want = {first + i for i in range(min(64, count - first))}
            have = {}
            while want - set(have):
                mask = sum(1 << (number - first) for number in want - set(have))
                have.update(self.ask(path, ffs.DATA, first, mask, tag)[2])
            data += b"".join(have[number] for number in sorted(have))
        return data


class FileServerTest(TestCase):
    def gateway(self, **options):
        gateway = Gateway(**options)
        self.addCleanup(gateway.close)
        return gateway

    def server(self, gateway, *flags, host="127.0.0.1", root=None):
        self.root = root or self.directory()
        return self.started(Process(program("FastFileSrv"), host, gateway.port, "--root", self.root, "--log-level",
                                    "debug", *flags))

    def joined(self, *flags, **options):
        gateway = self.gateway(**options)
        server = self.server(gateway, *flags)
        gateway.join()
        server.wait_for(r'msg="Connected to gateway"')
        return gateway, server


class Joining(FileServerTest):
    def test_says_who_it_is_and_is_let_in(self):
        gateway = self.gateway()
        server = self.server(gateway, "--name", "one")
        self.assertEqual(gateway.join(), "one")
        found = server.wait_for(r'msg="Connected to gateway" gateway=(\S+) session=1')
        self.assertEqual(found[1], f"127.0.0.1:{gateway.port}")

    def test_localhost_is_tried_at_all_its_addresses(self):
        for address in sorted({found[4][0] for found in socket.getaddrinfo("localhost", 80)}):
            with self.subTest(address=address):
                def once():
                    gateway = self.gateway(address=address)
                    server = self.server(gateway, host="localhost")
                    started = time.monotonic()
                    gateway.join()
                    server.wait_for("Connected to gateway")
                    return time.monotonic() - started
                self.assert_within(2 * SLOW, once)

    def test_lost_datagrams_are_repeated(self):
        gateway = self.gateway(silence_ms=20000)
        server = self.server(gateway)
        for _ in range(2):
            gateway.wait(ffs.NEW_CONNECTION)  # no answer
        gateway.accept(*gateway.wait(ffs.NEW_CONNECTION)[2:4])
        for _ in range(2):
            gateway.wait(ffs.HEARTBEAT)
        self.assertNotIn("Connected", server.output())
        gateway.confirm()
        server.wait_for("Connected to gateway")

    def test_gateway_started_later(self):
        port = free_udp_port()
        gateway = self.gateway(port=port)
        gateway.close()
        server = self.server(gateway)
        server.wait_for("file server started")
        gateway = self.gateway(port=port)
        gateway.join()
        server.wait_for("Connected to gateway")

    def test_joins_again_when_the_gateway_falls_silent_or_leaves(self):
        gateway, server = self.joined()
        gateway.terms = (200, 20000)  # from now on it is not to leave by itself
        gateway.join(seconds=10)  # no acknowledgements until then
        server.wait_for(r'msg="gateway is silent, joining again"')
        server.wait_for("Connected to gateway.* session=2")
        gateway.reply(ffs.GOODBYE, 0, b"")
        gateway.join()
        server.wait_for(r'msg="gateway said goodbye, joining again"')
        server.wait_for("Connected to gateway.* session=3")

    def test_heartbeats_tell_what_it_did(self):
        gateway, _ = self.joined(silence_ms=20000)
        (self.root / "file").write_bytes(b"x" * 3000)
        gateway.request(1, b"file", ffs.BOTH, 0, 7)  # once: what is asked again is counted again
        wait_until(lambda: struct.unpack(">QQ", gateway.wait(ffs.HEARTBEAT)[3][8:24]) == (1, 3), 5 * SLOW, "the figures")

    def test_says_goodbye(self):
        gateway, server = self.joined()
        server.send(signal.SIGTERM)
        gateway.wait(ffs.GOODBYE)
        self.assertEqual(server.stop(), 0)

    def test_a_name_that_does_not_resolve_is_said_and_does_not_hinder_the_end(self):
        server = self.started(Process(program("FastFileSrv"), "no-such-name.invalid", 80))
        server.wait_for(r'msg="gateway not resolved', 30)  # two tries of 5 s each where nobody answers for names
        self.assertEqual(server.stop(), 0)


class Answering(FileServerTest):
    def test_files_of_all_sizes(self):
        gateway, _ = self.joined(silence_ms=20000)
        for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 64 * CHUNK, 64 * CHUNK + 1, 1_000_000):
            content = os.urandom(size)
            (self.root / f"file {size} %é.bin").write_bytes(content)
            self.assertEqual(gateway.download(f"file {size} %é.bin".encode()), content)

    def test_files_that_are_not_there(self):
        gateway, server = self.joined()
        (self.root / "directory").mkdir()
        (self.root / "out").symlink_to("/etc/passwd")
        for path, reason in ((b"nothing", 1), (b"out", 2), (b"directory", 3)):
            self.assertEqual(gateway.ask(path, ffs.BOTH, 0, 1)[1], reason)
        server.wait_for(r'msg="request refused" path=nothing reason=not_found')

    def test_another_version(self):
        gateway, _ = self.joined()
        (self.root / "file").write_bytes(b"one")
        tag = gateway.ask(b"file", ffs.STAT)[0][16:32]
        self.assertEqual(gateway.ask(b"file", ffs.DATA, 0, 1, tag)[2], {0: b"one"})
        (self.root / "file").write_bytes(b"three")
        self.assertEqual(gateway.ask(b"file", ffs.DATA, 0, 1, tag)[1], 4)

    def test_far_into_a_sparse_file(self):
        gateway, _ = self.joined()
        end = 5 << 30
        with open(self.root / "sparse", "wb") as file:
            file.seek(end - 10)
            file.write(b"0123456789")
        info, _, _ = gateway.ask(b"sparse", ffs.STAT)
        self.assertEqual(struct.unpack(">Q", info[:8])[0], end)
        number = (end - 1) // CHUNK
        last = gateway.ask(b"sparse", ffs.DATA, number, 1)[2][number]
        self.assertTrue(last.endswith(b"0123456789"))
        self.assertEqual(len(last), end - number * CHUNK)

    def test_strangers_are_not_answered(self):
        gateway, server = self.joined(silence_ms=20000)
        (self.root / "file").write_bytes(b"secret")
        stranger = self.gateway()
        stranger.session, stranger.server = gateway.session, gateway.server  # it even has the keys
        stranger.request(1, b"file", ffs.STAT)
        server.wait_for(r"datagram dropped.*reason=source")
        self.assertEqual(list(stranger.datagrams(0.3)), [])
        gateway.session[1].next = stranger.session[1].next
        self.assertTrue(gateway.ask(b"file", ffs.STAT)[0])

    def test_garbage_changes_nothing(self):
        gateway, server = self.joined()
        (self.root / "file").write_bytes(b"x")
        for size in (0, 1, 24, 39, 40, 100, 1232, 1233, 9000):
            gateway.socket.sendto(os.urandom(size), gateway.server)
        server.wait_for("datagram dropped")
        self.assertTrue(gateway.ask(b"file", ffs.STAT)[0])


class CommandLine(FileServerTest):
    def test_what_is_wrong_is_one_line(self):
        for arguments, code, why in ((["localhost"], 64, "gateway-port is required"),
                                     (["localhost", "80", "--root", "/nonexistent"], 1, "--root /nonexistent: No such"),
                                     (["localhost", "80", "--name", "a b"], 64, "--name 'a b'")):
            process = self.started(Process(program("FastFileSrv"), *arguments))
            self.assertEqual(process.popen.wait(10 * SLOW), code)
            process.reader.join(5)
            self.assertIn(why, process.output())
            self.assertEqual(len(process.lines), 1, process.output())

    def test_configuration_file(self):
        file = self.directory() / "srv.toml"
        file.write_text('gateway-address = "localhost"\ngateway-port = 80\nname = "from-file"\n')
        process = self.started(Process(program("FastFileSrv"), "--config", file, "--check-config"))
        self.assertEqual(process.popen.wait(10 * SLOW), 0, process.output())
        file.write_text("roof = 1\n")
        process = self.started(Process(program("FastFileSrv"), "localhost", "80", "--config", file, "--check-config"))
        self.assertEqual(process.popen.wait(10 * SLOW), 64)
        process.reader.join(5)
        self.assertIn("roof", process.output())


if __name__ == "__main__":
    unittest.main()
