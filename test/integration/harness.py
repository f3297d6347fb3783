"""What the integration and topology tests share: ports, processes, the proxy's status, HTTP over plain sockets.

Nothing here sleeps for a fixed time: every wait polls for its event and has a bound.
"""

import contextlib
import functools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import typing
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("FAROL_BUILD", "build")
SANITIZED = BUILD.name in ("asan", "tsan")
# The sanitizers' leak check may not look into a program that was root once.
STAY_ROOT = ("--user", "root") if SANITIZED and os.geteuid() == 0 else ()
SLOW = 4 if SANITIZED else 1  # bounds on the machine's speed (never on the protocol's timers) are multiplied by this

def real_program_only(why):
    """For what says nothing more under sanitizers and takes too long there: gigabytes, long time-outs, limits of speed."""
    return unittest.skipIf(SANITIZED, f"of the real program only: {why}")


os.environ["PATH"] += ":/usr/sbin:/sbin"


def program(name):
    path = BUILD / name
    if not path.exists():
        raise unittest.SkipTest(f"{path} is not built")
    return str(path)


def for_the_proxy(path):
    """Lets the proxy read a file that only its owner may read: started by root it runs as nobody."""
    if os.geteuid() == 0 and not STAY_ROOT:
        os.chmod(path.parent, 0o711)
        shutil.chown(path, "nobody")


def unprivileged():
    """A command prefix that runs the rest as nobody without capabilities."""
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        raise unittest.SkipTest("no setpriv")
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")


def low_ports_are_kept():
    """Skips the test on a machine where anyone may listen on ports below 1024."""
    if int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) < 1024:
        raise unittest.SkipTest("ports below 1024 are free for all here")


def free_port(address="127.0.0.1", kind=socket.SOCK_STREAM):
    """A port nobody had a moment ago, and which neither the kernel, if it leaves any, nor another call gives anybody: other
    suites run at the same time. For programs that can say which port they got, give them 0 instead."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    ours = range(10_000, first_ephemeral_port())
    for port in (*random.sample(ours, min(100, len(ours))), *[0] * 10):
        with socket.socket(family, kind) as probe, contextlib.suppress(OSError):
            probe.bind((address, port))
            reserve(probe.getsockname()[1])
            return probe.getsockname()[1]
    raise AssertionError(f"no free port on {address}")


def reserve(port):
    """Takes the number until this process ends, for TCP and UDP and all addresses; OSError when some suite has it. The
    kernel sees to that: it is an abstract name of a socket."""
    with socket.socket(socket.AF_UNIX) as name:
        name.bind(f"\0farol-port-{port}")
        name.detach()  # stays open


@functools.cache
def first_ephemeral_port():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        return int(file.read().split()[0])


def free_udp_port(address="127.0.0.1"):
    return free_port(address, socket.SOCK_DGRAM)


def wait_until(condition, seconds=10, what="the condition"):
    """Polls until `condition()` is true and returns its value; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not after {seconds} s")
        time.sleep(0.02)


class Process:
    """A program under test. Its output is read as it comes; `wait_for` finds a line in it, old or new. `limit` is
    called in the child before the program starts; it inherits the descriptors in `inherit`."""

    def __init__(self, *command, prefix=(), env=None, cwd=None, limit=None, inherit=()):
        self.command = [*prefix, *map(str, command)]
        self.name = os.path.basename(str(command[0]))
        self.lines = []
        self.arrived = threading.Condition()
        self.popen = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, errors="replace", cwd=cwd,
                                      env={**os.environ, **(env or {})}, start_new_session=True,
                                      preexec_fn=limit, pass_fds=inherit)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.popen.stdout:
            with self.arrived:
                self.lines.append(line.rstrip("\n"))
                self.arrived.notify_all()
        with self.arrived:
            self.arrived.notify_all()

    @property
    def pid(self):
        return self.popen.pid

    def output(self):
        with self.arrived:
            return "\n".join(self.lines)

    def running(self):
        return self.popen.poll() is None

    def wait_for(self, pattern, seconds=10):
        """The match of the first line with `pattern`; AssertionError with the output if there is none in time."""
        end = time.monotonic() + seconds * SLOW
        seen = 0
        with self.arrived:
            while True:
                while seen < len(self.lines):
                    if match := re.search(pattern, self.lines[seen]):
                        return match
                    seen += 1
                left = end - time.monotonic()
                if left <= 0 or (not self.reader.is_alive() and not self.running()):
                    raise AssertionError(f"{self.name}: no line with {pattern!r} in:\n" + "\n".join(self.lines[-40:]))
                self.arrived.wait(min(left, 0.2))

    def send(self, number):
        if self.running():
            self.popen.send_signal(number)

    def stop(self, number=signal.SIGTERM, seconds=10):
        """Ends it and returns its exit code (negative: the signal that ended it)."""
        self.send(number)
        try:
            code = self.popen.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"{self.name}: still there {seconds} s after signal {number}:\n{self.output()[-2000:]}")
        self.reader.join(5)
        return code

    def kill(self):
        """Ends it and the children it may have."""
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()
        self.reader.join(5)
        if not self.reader.is_alive():  # else a child that left the group still has it open
            self.popen.stdout.close()


def http_get(host, port, path="/", seconds=5 * SLOW, headers=()):
    """One HTTP/1.0 request over a socket of its own: (head, body). OSError when refused, reset or too slow."""
    with socket.create_connection((host, port), timeout=seconds) as connection:
        lines = [f"GET {path} HTTP/1.0", f"Host: {host}", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode())
        blocks = []
        while block := connection.recv(65536):
            blocks.append(block)
    head, _, body = b"".join(blocks).partition(b"\r\n\r\n")
    return head.decode(errors="replace"), body


class Holdings(typing.NamedTuple):
    descriptors: int
    threads: int
    resident_kib: int


def holdings(pid):
    """What a process has at the moment."""
    process = pathlib.Path(f"/proc/{pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return Holdings(len(os.listdir(process / "fd")), int(fields["Threads"]), int(fields["VmRSS"].split()[0]))


class Proxy(Process):
    """reverseProxy on loopback ports of its own. `backends` are addresses for --backend, `flags` go behind."""

    def __init__(self, *flags, backends=(), listen="127.0.0.1", admin="127.0.0.1", prefix=(), env=None):
        self.host = listen
        self.port = free_port(listen)
        self.probe_port = free_udp_port()
        self.admin_port = free_port()
        command = [program("reverseProxy"), "--listen", f"{listen}:{self.port}", "--monitor-listen",
                   f"127.0.0.1:{self.probe_port}", "--admin", f"{admin}:{self.admin_port}"]
        command += () if "setpriv" in prefix else STAY_ROOT  # who is not root cannot stay it
        for backend in backends:
            command += ["--backend", backend]
        super().__init__(*command, *flags, prefix=prefix, env=env)
        wait_until(lambda: not self.running() or self.healthy(), 10 * SLOW, "the proxy's /healthz")
        if not self.running():
            raise AssertionError(f"reverseProxy ended at once:\n{self.output()}")

    def healthy(self):
        with contextlib.suppress(OSError):
            return " 200 " in http_get("127.0.0.1", self.admin_port, "/healthz")[0].partition("\r\n")[0]
        return False

    def status(self):
        head, body = http_get("127.0.0.1", self.admin_port, "/api/v1/status")
        assert " 200 " in head.splitlines()[0], head
        return json.loads(body)

    def backend(self, address, pool=None):
        """The row of a back-end in the status, or None."""
        return find_backend(self.status(), address, pool)

    def wait_state(self, address, *states, seconds=10):
        """Waits until the back-end is in one of `states` (None: gone from the table) and returns its row."""
        def reached():
            row = self.backend(address)
            return (row["state"] if row else None) in states and (row or True)
        try:
            return wait_until(reached, seconds * SLOW, f"{address} in state {states}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.backend(address)}\n{self.output()[-3000:]}") from None

    def get(self, path="/", **options):
        return http_get(self.host, self.port, path, **options)[1].decode(errors="replace")


def find_backend(status, address, pool=None):
    for row in status["backends"]:
        if row["address"] == address and pool in (None, row["pool"]):
            return row
    return None


class Agent(Process):
    """monitorUDP that registers with a Proxy on this machine (or with any `proxy` "host:port")."""

    def __init__(self, proxy, service_port, *flags, bind="127.0.0.1", interval=1, prefix=()):
        target = proxy if isinstance(proxy, str) else f"127.0.0.1:{proxy.probe_port}"
        super().__init__(program("monitorUDP"), interval, target, "--bind", f"{bind}:0", "--service-port", service_port,
                         *flags, prefix=prefix)


class WebServer(Process):
    """mini_httpd that serves one page, `<h1> hello world NAME</h1>`, or a directory given to it."""

    def __init__(self, name, address="127.0.0.1", port=None, directory=None, prefix=(), check=True):
        if not shutil.which("mini_httpd"):
            raise unittest.SkipTest("mini_httpd is not installed")
        self.page = f"<h1> hello world {name}</h1>\n"
        self.own = None if directory else tempfile.TemporaryDirectory(prefix="farol-www-")
        self.directory = directory or self.own.name
        if self.own:
            os.chmod(self.directory, 0o755)  # started by root it serves as nobody
            pathlib.Path(self.directory, "index.html").write_text(self.page)
        self.address, self.port = address, port or free_port(address)
        super().__init__("mini_httpd", "-D", "-h", address, "-p", self.port, "-d", self.directory, prefix=prefix)
        if check:
            wait_until(lambda: listens(address, self.port), 5 * SLOW, f"mini_httpd on {address}:{self.port}")

    @property
    def at(self):
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def kill(self):
        super().kill()
        if self.own:
            self.own.cleanup()
            self.own = None


def listens(address, port):
    with contextlib.suppress(OSError):
        with socket.create_connection((address, port), timeout=1):
            return True
    return False


def has_listener(port):
    """The same without a connection, which the proxy would relay."""
    tables = (pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6"))
    return any(line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == port
               for table in tables for line in table)


class TestCase(unittest.TestCase):
    """Kills what a test leaves running, whatever happened to the test."""

    def started(self, process):
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        """Under sanitizers it may say at its end what it leaked, and anything they said is a failure."""
        for _ in range(2 if SANITIZED else 0):  # a second TERM cuts short a drain
            process.send(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(5)
        process.kill()
        if complaint := re.search(r"(ERROR|WARNING): \w+Sanitizer|runtime error:", process.output()):
            self.fail(process.output()[max(0, complaint.start() - 200):][:8000])

    def assert_within(self, bound, measure):
        """The best of three `measure()` is below `bound` seconds: others on this machine can only make it look longer."""
        took = []
        while not took or (len(took) < 3 and took[-1] >= bound):
            took.append(measure())
        self.assertLess(min(took), bound, took)

    def proxy(self, *flags, **options):
        return self.started(Proxy(*flags, **options))

    def agent(self, proxy, service_port, *flags, **options):
        return self.started(Agent(proxy, service_port, *flags, **options))

    def web(self, name, address="127.0.0.1", **options):
        return self.started(WebServer(name, address, **options))

    def directory(self):
        made = tempfile.TemporaryDirectory(prefix="farol-test-")
        self.addCleanup(made.cleanup)
        os.chmod(made.name, 0o755)
        return pathlib.Path(made.name)
