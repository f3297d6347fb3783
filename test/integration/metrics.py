"""Reads a page of metrics as a scraper does."""

import re
import shutil
import subprocess
import unittest

from harness import http_get

SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def promtool(*arguments, text=None):
    """What promtool says; skips the test where there is none."""
    if not shutil.which("promtool"):
        raise unittest.SkipTest("promtool is not installed")
    return subprocess.run(["promtool", *map(str, arguments)], input=text, text=True, capture_output=True)


def scrape(proxy):
    head, body = http_get("127.0.0.1", proxy.admin_port, "/metrics")
    assert " 200 " in head.splitlines()[0], head
    return Page(body.decode(), head)


class Page:
    """The samples of one scrape: `page["name", "label=value", …]`."""

    def __init__(self, text, head=""):
        self.text, self.head = text, head
        self.types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
        self.samples = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = SAMPLE.match(line).groups()
            key = (name, *sorted(f"{label}={value}" for label, value in LABEL.findall(labels or "")))
            assert key not in self.samples, f"twice: {line}"
            self.samples[key] = float(value)

    def __getitem__(self, key):
        name, *labels = key if isinstance(key, tuple) else (key,)
        return self.samples[(name, *sorted(labels))]

    def sum(self, name):
        return sum(value for key, value in self.samples.items() if key[0] == name)

    def counters(self):
        """All that may never fall, by name and labels."""
        def counts(name):
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            return self.types.get(name) == "counter" or self.types.get(family) == "histogram"
        return {key: value for key, value in self.samples.items() if counts(key[0])}
