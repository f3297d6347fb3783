"""nginx as a web server for tests: fast enough not to be what is measured."""

import os
import shutil
import unittest

from harness import SLOW, Process, free_port, listens, wait_until


def tool(name, *more_places):
    for place in (shutil.which(name), *more_places):
        if place and os.access(place, os.X_OK):
            return place
    raise unittest.SkipTest(f"{name} is not installed")


class Nginx(Process):
    """Serves the files of one directory; what it needs itself goes to another."""

    def __init__(self, address, files, directory):
        self.address, self.port = address, free_port(address)
        temporary = " ".join(f"{kind}_temp_path {directory}/{kind};"
                             for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (directory / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {directory}/pid; error_log stderr;\n"
            f"{'user nobody nogroup;' if os.geteuid() == 0 else ''}\nevents {{ worker_connections 4096; }}\n"
            f"http {{ access_log off; sendfile on; {temporary}\n"
            f"server {{ listen {address}:{self.port}; root {files}; }} }}\n")
        super().__init__(tool("nginx"), "-e", "stderr", "-p", directory, "-c", directory / "nginx.conf")
        wait_until(lambda: listens(address, self.port), 10 * SLOW, "nginx")

    @property
    def at(self):
        return f"{self.address}:{self.port}"
