"""Real services behind the proxy: PostgreSQL, Redis and web servers, with their own clients."""

import concurrent.futures
import glob
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import unittest

from harness import SLOW, Process, TestCase, free_port, listens, wait_until
from nginx import Nginx, tool


ENGINES = ("threads", "events")


def postgres_tool(name):
    return tool(name, *sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True))


class PostgreSql(TestCase):
    """pgbench through the proxy: many small round trips, the server speaking as well as the client."""

    ADDRESS = "127.0.0.5"

    def as_owner(self):
        """PostgreSQL refuses to run as root: a prefix that makes it run as postgres then."""
        if os.geteuid() != 0:
            return ()
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            raise unittest.SkipTest("there is no user postgres") from None
        return (tool("setpriv"), "--reuid=postgres", "--regid=postgres", "--init-groups")

    def setUp(self):
        self.pgbench = postgres_tool("pgbench")
        directory = self.directory()
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
        data = directory / "data"
        subprocess.run([*self.as_owner(), postgres_tool("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N"],
                       check=True, capture_output=True, cwd=directory)
        self.port = free_port(self.ADDRESS)
        server = Process(postgres_tool("postgres"), "-D", data, "-h", self.ADDRESS, "-p", self.port, "-k", directory,
                         "-c", "fsync=off", prefix=self.as_owner(), cwd=directory)
        self.addCleanup(server.kill)
        self.addCleanup(lambda: server.stop(signal.SIGQUIT))  # it removes its shared memory itself
        wait_until(lambda: listens(self.ADDRESS, self.port), 20, "postgres")
        self.backend = f"{self.ADDRESS}:{self.port}"

    def bench(self, proxy, *arguments):
        run = subprocess.run([self.pgbench, "-h", proxy.host, "-p", str(proxy.port), "-U", "postgres", *arguments,
                              "postgres"], text=True, capture_output=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr + proxy.output()[-2000:])
        return run.stdout

    def test_pgbench(self):
        for engine in ENGINES:
            proxy = self.proxy("--engine", engine, backends=[self.backend])
            proxy.wait_state(self.backend, "up", "stale")
            self.bench(proxy, "-i", "-q", "-s", "1")
            for what in (("-S",), (), ("-S", "-C")):  # read only, TPC-B, a new connection for each transaction
                with self.subTest(engine=engine, what=what):
                    report = self.bench(proxy, "-c", "8", "-j", "2", "-T", "3", *what)
                    self.assertIn("number of failed transactions: 0", report)
            self.assertEqual(proxy.backend(self.backend)["connections"]["failed"], 0)


class Redis(TestCase):
    def start(self, address):
        port = free_port(address)
        self.started(Process(tool("redis-server"), "--bind", address, "--port", port, "--save", "", "--appendonly",
                             "no", "--dir", self.directory()))
        wait_until(lambda: listens(address, port), 10 * SLOW, "redis")
        return port

    def benchmark(self, proxy, *options):
        run = subprocess.run([tool("redis-benchmark"), "-q", "-h", proxy.host, "-p", str(proxy.port), "-c", "20",
                              *options], text=True, capture_output=True, timeout=90)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertNotIn("rror", run.stdout + run.stderr)
        self.assertIn("requests per second", run.stdout)

    def test_redis_benchmark(self):
        ports = {address: self.start(address) for address in ("127.0.0.3", "127.0.0.4")}
        for engine in ENGINES:
            proxy = self.proxy("--engine", engine)
            for address, port in ports.items():
                self.agent(proxy, port, bind=address)
                proxy.wait_state(f"{address}:{port}", "up")
            for options in (("-t", "ping,set,get", "-n", "20000"), ("-t", "set", "-n", "20000", "-P", "16", "-d", "512"),
                            ("-t", "ping", "-n", "2000", "-k", "0")):  # kept connections, pipelined, one a request
                with self.subTest(engine=engine, options=options):
                    self.benchmark(proxy, *options)


class Downloads(TestCase):
    SIZE = 64 << 20

    def setUp(self):
        self.files = self.directory()
        block = os.urandom(1 << 20)
        digest = hashlib.sha256()
        with open(self.files / "big", "wb") as file:
            for number in range(self.SIZE >> 20):
                piece = number.to_bytes(8, "big") + block[8:]  # every MiB differs: a swapped one would show
                file.write(piece)
                digest.update(piece)
        self.digest = digest.hexdigest()

    def fetched(self, proxy, name):
        """wget through the proxy to a file; its SHA-256."""
        path = self.files / name
        url = f"http://{proxy.host}:{proxy.port}/big"
        run = subprocess.run([tool("wget"), "-q", "-t", "1", "-T", "15", "-O", path, url], timeout=60, text=True,
                             capture_output=True)
        self.assertEqual(run.returncode, 0, run.stderr + proxy.output()[-2000:])
        self.assertEqual(path.stat().st_size, self.SIZE)
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def test_wget_from_mini_httpd(self):
        proxy = self.proxy()
        web = self.web("big", "127.0.0.2", directory=str(self.files))
        self.agent(proxy, web.port, bind="127.0.0.2")
        proxy.wait_state(web.at, "up")
        self.assertEqual(self.fetched(proxy, "copy"), self.digest)

    def test_four_wgets_at_once_from_nginx(self):
        nginx = self.started(Nginx("127.0.0.6", self.files, self.directory()))
        for engine in ENGINES:
            proxy = self.proxy("--engine", engine, backends=[nginx.at])
            proxy.wait_state(nginx.at, "up", "stale")
            with self.subTest(engine=engine), concurrent.futures.ThreadPoolExecutor(4) as pool:
                found = list(pool.map(lambda n: self.fetched(proxy, f"copy{n}"), range(4)))
                self.assertEqual(found, [self.digest] * 4)


if __name__ == "__main__":
    unittest.main()
