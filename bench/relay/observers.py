"""Those who look at a proxy while it relays: open dashboards, and a scraper that comes once a second."""

import contextlib
import selectors
import socket
import threading
import time
import urllib.request

from machine import BenchError

EVENTS = b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Observers:
    """For the length of a `with`: `dashboards` streams of events, read as they come, and GET /metrics every second."""

    def __init__(self, port, dashboards):
        self.port, self.dashboards = port, dashboards
        self.over = threading.Event()
        self.heard, self.scrapes, self.trouble = {}, 0, None

    def __enter__(self):
        self.sockets = []
        for _ in range(self.dashboards):
            watcher = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            watcher.sendall(EVENTS)
            self.sockets.append(watcher)
        self.threads = [threading.Thread(target=self.guarded, args=(work,)) for work in (self.read, self.scrape)]
        for thread in self.threads:
            thread.start()
        time.sleep(1.5)  # until each has its first picture
        return self

    def __exit__(self, *failure):
        self.over.set()
        for thread in self.threads:
            thread.join()
        for watcher in self.sockets:
            watcher.close()
        if failure[0] is None and (self.trouble or len(self.heard) < self.dashboards or self.scrapes < 2):
            raise BenchError(f"{len(self.heard)} of {self.dashboards} dashboards heard something, {self.scrapes} scrapes: "
                             f"{self.trouble}")

    def guarded(self, work):
        try:
            work()
        except OSError as error:
            self.trouble = error

    def read(self):
        with contextlib.closing(selectors.DefaultSelector()) as selector:
            for watcher in self.sockets:
                selector.register(watcher, selectors.EVENT_READ)
            while not self.over.is_set():
                for key, _ in selector.select(.2):
                    block = key.fileobj.recv(1 << 18)
                    if not block:
                        raise ConnectionError("a dashboard was sent away")
                    self.heard[key.fd] = self.heard.get(key.fd, 0) + len(block)

    def scrape(self):
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
                answer.read()
            self.scrapes += 1
            if self.over.wait(1):
                return
