"""What the benchmark takes from the machine: ports, processes and what they use, one scheduler setting."""

import contextlib
import os
import pathlib
import platform
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

AUTOGROUP = pathlib.Path("/proc/sys/kernel/sched_autogroup_enabled")


class BenchError(Exception):
    """A measurement that cannot be made; the text says which and why."""


def free_port():
    """A port nobody listens on, over TCP or UDP, below the range that outgoing connections take theirs from."""
    low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10000, min(low, 32000))
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextlib.contextmanager
def no_autogroup():
    """Autogroups give every process group the same share of the CPU, and a comparison then measures that. Yields what
    it could do about it, in words."""
    try:
        before = AUTOGROUP.read_text().strip()
    except OSError:
        yield "kernel.sched_autogroup_enabled is not known here"
        return
    if before == "0":
        yield "kernel.sched_autogroup_enabled = 0 (as found)"
        return
    try:
        AUTOGROUP.write_text("0")
    except OSError:
        yield f"kernel.sched_autogroup_enabled = {before} (not permitted to change it): do not rely on the rates"
        return
    try:
        yield f"kernel.sched_autogroup_enabled = 0 during the run (was {before}, restored)"
    finally:
        AUTOGROUP.write_text(before)


class Process:
    """A started program with its children; ended by process id, never by name."""

    def __init__(self, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        self.command = command
        self.popen = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=stdout,
                                      stderr=stderr)

    def pids(self):
        """Its process id and those of all its descendants."""
        found = [self.popen.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                    found += [int(child) for child in (task / "children").read_text().split()]
        return found

    def cpu_seconds(self):
        """User and system time of every thread that is or was, to the nanosecond (CPUCLOCK_SCHED of each process)."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids())

    def rss_bytes(self):
        total = 0
        for pid in self.pids():
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            total += int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024
        return total

    def alive(self):
        return self.popen.poll() is None

    def stop(self):
        """TERM, a second TERM to the impatient (it cuts short a drain), then KILL for what is left of the family."""
        family = self.pids() if self.alive() else []
        for number, patience in ((signal.SIGTERM, 1), (signal.SIGTERM, 2), (signal.SIGKILL, 5)):
            if not self.alive():
                break
            self.popen.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(patience)
        for pid in family[1:]:  # orphans only when the parent was killed
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] == "1":
                    os.kill(pid, signal.SIGKILL)


def run(command, timeout=120):
    """Output of a tool; its own complaint when it fails."""
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True, timeout=timeout)
    if done.returncode != 0:
        said = " ".join((done.stderr.strip() or done.stdout).split())[-300:]
        raise BenchError(f"{command[0]} failed ({done.returncode}): {said}")
    return done.stdout


def first_line(*command):
    if not shutil.which(str(command[0])):
        return "not installed"
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def version(*command):
    """The first number with a dot that the program says of itself, or that it is not there."""
    found = re.search(r"\d+\.\d[\w.+~-]*", first_line(*command))
    return found[0] if found else "not installed"


def describe(farol):
    cpu = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        memory = int(meminfo.readline().split()[1]) / 1024 / 1024
    package = first_line("dpkg-query", "-W", "-f=${Version}", "pen")
    return {
        "cores": os.cpu_count(),
        "cpu": (cpu[1] if cpu else platform.machine()),
        "virtual": "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text(),
        "memory_gib": round(memory, 1),
        "kernel": platform.release(),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "congestion": pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
        "farol": version(farol, "--version"),
        "haproxy": version("haproxy", "-v"),
        "nginx": version("nginx", "-v"),
        "pen": package if shutil.which("pen") else "not installed",
        "wrk": version("wrk", "-v"),
        "curl": version("curl", "--version"),
    }
