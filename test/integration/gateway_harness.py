"""HttpGw and its FastFileSrv servers, for the gateway's tests: on loopback, or wherever `prefix` puts them."""

import hashlib
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import zlib

from harness import SLOW, Process, TestCase, free_port, http_get, program, wait_until

CHUNK = 1184  # file bytes in one datagram (docs/TRANSFER.md)


def sha256(path_or_bytes):
    if isinstance(path_or_bytes, bytes):
        return hashlib.sha256(path_or_bytes).hexdigest()
    with open(path_or_bytes, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def content(size, seed=1):
    """Bytes that nothing compresses and no chunk repeats, the same for the same seed."""
    block = random.Random(seed).randbytes(min(size, 1_000_003))  # a prime: no two chunks see it alike
    return (block * (size // len(block) + 1))[:size] if size else b""


def png(width=640, height=480):
    """An image of about a megabyte: noise, which a PNG cannot pack."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + content(3 * width, row) for row in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Gateway(Process):
    """HttpGw on a port of its own (or on `port`), with its status endpoint."""

    def __init__(self, *flags, address="127.0.0.1", port=None, prefix=(), admin="127.0.0.1", env=None):
        self.address, self.port, self.prefix = address, port or free_port(address), prefix
        self.admin = (admin, free_port("127.0.0.1"))
        super().__init__(program("HttpGw"), address, self.port, "--admin", f"{admin}:{self.admin[1]}", *flags, prefix=prefix,
                         env=env)

    def url(self, path=""):
        host = "127.0.0.1" if self.address == "0.0.0.0" else self.address
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/{path}"

    def status(self):
        if self.prefix:
            text = subprocess.run([*self.prefix, "curl", "-s", f"http://{self.admin[0]}:{self.admin[1]}/api/v1/status"],
                                  capture_output=True, text=True, timeout=10 * SLOW).stdout
        else:
            text = http_get(*self.admin, "/api/v1/status")[1]
            if not text:
                raise ConnectionError("no answer about the gateway's status")
        return json.loads(text or '{"servers": []}')

    def servers(self, state="up"):
        return {row["name"]: row for row in self.status()["servers"] if row["state"] == state}

    def received(self):
        """How many chunks came from each server that is up."""
        return {name: row["chunks"]["received"] for name, row in self.servers().items()}

    def wait_for_servers(self, *names, seconds=10):
        """Until exactly these are up."""
        try:
            wait_until(lambda: self.answers() and set(self.servers()) == set(names), seconds * SLOW, f"servers {names}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()[-3000:]}") from None

    def answers(self):
        try:
            return self.status()
        except (OSError, ValueError):
            return None


class FileServer(Process):
    def __init__(self, gateway, root, name, *flags, host=None, prefix=()):
        self.server_name = name
        host = host or ("127.0.0.1" if gateway.address == "0.0.0.0" else gateway.address)
        super().__init__(program("FastFileSrv"), host, gateway.port, "--root", root, "--name", name, *flags, prefix=prefix)


class GatewayTest(TestCase):
    """A gateway, and directories for its servers."""

    def gateway(self, *flags, **options):
        gateway = self.started(Gateway(*flags, **options))
        wait_until(gateway.answers, 10 * SLOW, "the gateway's status")
        return gateway

    def server(self, gateway, root, name, *flags, **options):
        server = self.started(FileServer(gateway, root, name, *flags, **options))
        server.wait_for(r'msg="Connected to gateway"')
        return server

    def pool(self, count=3, roots=None, flags=(), **options):
        """A gateway with so many servers of the same files."""
        self.gw = self.gateway(*flags, **options)
        self.root = self.directory()
        roots = roots or [self.root] * count
        self.servers = [self.server(self.gw, root, f"srv{i + 1}") for i, root in enumerate(roots)]
        self.gw.wait_for_servers(*(server.server_name for server in self.servers))
        return self.gw

    def file(self, name, data, root=None):
        path = pathlib.Path(root or self.root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def curl(self, *arguments, seconds=60, prefix=()):
        return subprocess.run([*prefix, "curl", "-sS", "--globoff", *map(str, arguments)], capture_output=True,
                              timeout=seconds * SLOW)

    def get(self, path, *arguments, **options):
        """The body; AssertionError unless it came whole with status 200 or 206."""
        run = self.curl("--fail", *arguments, self.gw.url(path), **options)
        self.assertEqual(run.returncode, 0, f"{path}: {run.stderr.decode()}\n{self.gw.output()[-2000:]}")
        return run.stdout

    def slow_client(self, path):
        """Asks for a file and takes no more of it than its buffer does, until the test ends or it is closed."""
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(client.close)
        client.settimeout(10 * SLOW)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.connect((self.gw.address, self.gw.port))
        client.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        client.recv(1000)
        return client

    def status_of(self, path, **options):
        return int(self.curl("-o", os.devnull, "-w", "%{http_code}", self.gw.url(path), **options).stdout)
