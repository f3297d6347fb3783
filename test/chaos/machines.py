"""The machines of a run: back-ends with a service and an agent, and the proxy."""

import json
import pathlib
import subprocess
import sys

from harness import STAY_ROOT, Process, holdings, http_get, program

HERE = pathlib.Path(__file__).resolve().parent
SERVICE_PORT, PORT, ADMIN = 9000, 80, 8404
PROBE_INTERVAL, CONNECT_TIMEOUT, USER_TIMEOUT, IDLE_TIMEOUT = 1, 1, 2, 6


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


class ProxyMachine:
    def __init__(self, network, *flags):
        self.network = network
        self.process = Process(
            program("reverseProxy"), "--probe-interval", f"{PROBE_INTERVAL}s", "--probe-timeout", "300ms",
            "--alive-interval", f"{2 * PROBE_INTERVAL}s", "--connect-timeout", f"{CONNECT_TIMEOUT}s",
            "--user-timeout", f"{USER_TIMEOUT}s", "--idle-timeout", f"{IDLE_TIMEOUT}s",
            "--fin-timeout", f"{IDLE_TIMEOUT}s", "--slow-start", "1s", *flags, *STAY_ROOT,
            prefix=network.within("proxy"))
        self.lines = self.process.lines  # of its log, also of those that replace it
        self.process.wait_for('msg="?listening')

    def pids(self):
        """Of the proxies on the machine: a replaced one ends only with its last connection."""
        listed = subprocess.run(["ip", "netns", "pids", self.network.ns("proxy")], capture_output=True, text=True)
        return [int(pid) for pid in listed.stdout.split()
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == "reverseProxy\n"]

    def status(self):
        with self.network.inside("proxy"):
            return json.loads(http_get("127.0.0.1", ADMIN, "/api/v1/status")[1])

    def holdings(self):
        (pid,) = self.pids()
        return holdings(pid)

    def reload(self):
        (pid,) = self.pids()
        self.network.run("proxy", "kill", "-HUP", pid)

    def replace(self):
        done = self.network.run("proxy", program("proxyctl"), "upgrade", seconds=30)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
