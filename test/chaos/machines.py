"""The machines of a run: back-ends with a service and an agent, and the proxy."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

from harness import SLOW, STAY_ROOT, Process, holdings, http_get, program, wait_until

HERE = pathlib.Path(__file__).resolve().parent
SERVICE_PORT, PORT, ADMIN = 9000, 80, 8404
PROBE_INTERVAL, CONNECT_TIMEOUT, USER_TIMEOUT, IDLE_TIMEOUT = 1, 1, 2, 6
DRAIN_TIMEOUT = 60  # of a proxy that is replaced: longer than any transfer takes


class BackEnd:
    """A machine with the service and its agent. `lies` is a directory for what agents are told to say."""

    def __init__(self, network, name, lies):
        self.network, self.name, self.lies = network, name, lies
        self.at = f"{network.v4[name]}:{SERVICE_PORT}"
        self.processes = []
        self.start_server()
        self.start_agent()

    def start(self, *command):
        process = Process(*command, prefix=self.network.within(self.name))
        self.processes.append(process)
        return process

    def start_server(self):
        address = self.network.v4[self.name]
        self.server = self.start(sys.executable, HERE / "server.py", address, SERVICE_PORT)
        self.server.wait_for("listening")

    def start_agent(self, *flags):
        proxy = self.network.v4["proxy"]
        self.agent = self.start(program("monitorUDP"), 1, proxy, "--service-port", SERVICE_PORT, *flags)

    def end(self):
        for process in self.processes:
            process.kill()

    def filter(self, table, rule, *, to, back=None):
        rules = {"input": f"{to} {rule}"} if back is None else {"input": f"{to} {rule}", "output": f"{back} {rule}"}
        self.network.filter(self.name, table, rules)


def program_of(pid):
    """Nothing when the process has ended meanwhile."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


class ProxyMachine:
    """The proxy, which may be reloaded, with `file` as its configuration, and followed by other processes of it."""

    def __init__(self, network, file, *flags):
        self.network, self.file, self.reloads = network, file, 0
        self.configure()
        self.process = Process(
            program("reverseProxy"), "--config", file, "--probe-interval", f"{PROBE_INTERVAL}s", "--probe-timeout", "300ms",
            "--alive-interval", f"{2 * PROBE_INTERVAL}s", "--connect-timeout", f"{CONNECT_TIMEOUT}s",
            "--user-timeout", f"{USER_TIMEOUT}s", "--idle-timeout", f"{IDLE_TIMEOUT}s",
            "--fin-timeout", f"{IDLE_TIMEOUT}s", "--slow-start", "1s", "--drain-timeout", f"{DRAIN_TIMEOUT}s", *flags,
            *STAY_ROOT, prefix=network.within("proxy"))
        self.serving = self.process.pid
        self.lines = self.process.lines  # of its log, also of those that replace it
        self.process.wait_for('msg="?listening')

    def configure(self):
        """Each time another one, of which sessions notice nothing: a listener more or less, a longer queue."""
        more = ', ":81"' if self.reloads % 2 else ""
        self.file.write_text(f'listen=[":{PORT}"{more}]\nmax-queue={1024 + self.reloads}\n')

    def pids(self):
        """Of the proxies on the machine: a replaced one ends only with its last connection."""
        listed = subprocess.run(["ip", "netns", "pids", self.network.ns("proxy")], capture_output=True, text=True)
        return [int(pid) for pid in listed.stdout.split() if program_of(pid) == "reverseProxy"]

    def status(self):
        with self.network.inside("proxy"):
            return json.loads(http_get("127.0.0.1", ADMIN, "/api/v1/status")[1])

    def holdings(self):
        wait_until(lambda: self.pids() == [self.serving], DRAIN_TIMEOUT * SLOW, "the end of those that were replaced")
        return holdings(self.serving)

    def reload(self):
        before = self.status()["reloads"]
        self.reloads += 1
        self.configure()
        os.kill(self.serving, signal.SIGHUP)
        wait_until(lambda: self.status()["reloads"]["done"] > before["done"], 5 * SLOW, "a reload")

    def replace(self):
        done = self.network.run("proxy", program("proxyctl"), "upgrade", "--json", seconds=30)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        self.serving = json.loads(done.stdout)["process"]

    def stop(self):
        """What is wrong with its end; nothing, as it should be."""
        if self.serving == self.process.pid:
            code = self.process.stop()
            return f"the proxy ended with {code}" if code else None
        os.kill(self.serving, signal.SIGTERM)
        wait_until(lambda: not self.pids(), 10 * SLOW, "the proxy's end")
        self.process.reader.join(5)
        ends = sum('msg="stopped"' in line or "msg=stopped" in line for line in self.lines)
        lives = 1 + sum("handed over" in line for line in self.lines)
        return f"of {lives} proxies {ends} ended well" if ends != lives else None

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.serving, signal.SIGKILL)
        self.process.kill()
