"""What the programs say to a service manager, here a socket that listens in its place."""

import contextlib
import ctypes
import errno
import os
import pathlib
import re
import signal
import socket
import time
import unittest

from gateway_harness import Gateway
from harness import SLOW, TestCase, wait_until

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207


class Manager:
    """Listens where NOTIFY_SOCKET says and keeps every message, with the time and the sender it came from."""

    def __init__(self, directory):
        self.path = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)  # as systemd's own: the program may have become another user
        self.socket.setblocking(False)
        self.messages = []

    def lines(self):
        """All lines so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.messages += self.socket.recv(4096).decode().splitlines()
        return self.messages

    def wait_for(self, line, seconds=10):
        wait_until(lambda: any(each.startswith(line) for each in self.lines()), seconds * SLOW, f"{line} in {self.messages}")

    def forget(self):
        self.lines()
        self.messages = []

    def environment(self, watchdog_ms=None):
        limit = {"WATCHDOG_USEC": str(watchdog_ms * 1000)} if watchdog_ms else {}
        return {"NOTIFY_SOCKET": self.path, **limit}


@contextlib.contextmanager
def halted(pid, name):
    """Halts one thread of a process, and no other, as a debugger does."""
    libc = ctypes.CDLL(None, use_errno=True)
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            break
    else:
        raise AssertionError(f"no thread {name}")

    def ptrace(request):
        if libc.ptrace(request, int(task.name), None, None) != 0:
            number = ctypes.get_errno()
            if number in (errno.EPERM, errno.ENOSYS) and request == PTRACE_SEIZE:
                raise unittest.SkipTest("no process may be traced here")
            raise OSError(number, f"ptrace {request:#x}")

    ptrace(PTRACE_SEIZE)
    try:
        ptrace(PTRACE_INTERRUPT)
        os.waitpid(int(task.name), 0x40000000)  # __WALL: until it has halted
        yield
    finally:
        ptrace(PTRACE_DETACH)


class ManagedTest(TestCase):
    def manager(self):
        manager = Manager(self.directory())
        self.addCleanup(manager.socket.close)
        return manager


class Notifications(ManagedTest):
    def test_ready_when_it_listens_and_stopping_when_it_drains(self):
        manager = self.manager()
        proxy = self.proxy(env=manager.environment())
        manager.wait_for("READY=1")
        manager.wait_for("STATUS=0 of 0 back-ends serve, 0 connections")
        with socket.create_connection((proxy.host, proxy.port)):  # READY said that this works
            pass
        self.assertNotIn("STOPPING=1", manager.lines())
        self.assertEqual(proxy.stop(), 0)
        self.assertEqual(manager.lines().count("STOPPING=1"), 1)
        self.assertEqual(manager.lines().count("READY=1"), 1)
        self.assertNotIn("WATCHDOG=1", manager.lines())  # nobody asked for it

    def test_a_reload_is_told_from_its_beginning_to_its_end(self):
        manager = self.manager()
        proxy = self.proxy(env=manager.environment())
        manager.wait_for("READY=1")
        manager.forget()
        proxy.send(signal.SIGHUP)
        manager.wait_for("READY=1")
        told = [line.split("=")[0] for line in manager.lines() if not line.startswith("STATUS=")]
        self.assertEqual(told, ["RELOADING", "MONOTONIC_USEC", "READY"])

    def test_the_gateway_says_so_too(self):
        manager = self.manager()
        gateway = self.started(Gateway(env=manager.environment()))
        manager.wait_for("READY=1")
        self.assertEqual(gateway.stop(), 0)
        self.assertIn("STOPPING=1", manager.lines())

    def test_a_start_that_fails_is_never_ready(self):
        manager = self.manager()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            with self.assertRaises(AssertionError):
                self.proxy("--listen", f"127.0.0.1:{taken.getsockname()[1]}", env=manager.environment())
        self.assertEqual(manager.lines(), [])


class Watchdog(ManagedTest):
    LIMIT_MS = 800

    def alive(self, manager):
        manager.forget()
        manager.wait_for("WATCHDOG=1")

    def watch(self, engine, vital):
        manager = self.manager()
        proxy = self.proxy("--engine", engine, env=manager.environment(self.LIMIT_MS))
        for _ in range(3):
            self.alive(manager)  # though nothing happens
        for name in vital:
            with self.subTest(engine=engine, thread=name), halted(proxy.pid, name):
                before = len(proxy.lines)  # a busy machine may have made it late earlier
                stuck = re.compile(f"a thread is stuck.* thread={name}")
                wait_until(lambda: any(map(stuck.search, proxy.lines[before:])), 10 * SLOW, f"{name} is found stuck")
                manager.forget()
                time.sleep(2 * self.LIMIT_MS / 1000)  # long enough for the manager to act
                self.assertNotIn("WATCHDOG=1", manager.lines())
            self.alive(manager)

    def test_with_threads(self):
        self.watch("threads", ("receiver", "probe-timer", "alarm", "relay-watch"))

    def test_with_reactors(self):
        for engine in ("events", "epoll"):
            self.watch(engine, ("relay-0", "alarm"))
