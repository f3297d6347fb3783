"""Clients of the proxy: each makes one transfer after the other, short or long, up, down or both at once, and keeps a
record of how it ended."""

import dataclasses
import hashlib
import random
import socket
import threading
import time

from content import BLOCK, Arriving, blocks

KIB, MIB = 1024, 1024 * 1024
PATIENCE = 40  # longer than any promised time: who is still there then was forgotten


@dataclasses.dataclass
class Transfer:
    number: int
    seed: int
    up: int
    down: int
    pace: int = 0  # milliseconds that both senders wait between two blocks
    pause: float = 0  # seconds that the client waits between two reads
    leaves: bool = False  # in the middle, without a word
    port: int = 0
    began: float = 0
    progress: float = 0  # when something last went or came
    ended: float = 0
    first_line: int = 0  # of the proxy's log that may be about it
    outcome: str = ""  # complete, left, wrong; or what went wrong: refused, reset, cut short, no end
    got: int = 0
    right: bool = True  # what came, however it ended

    def __str__(self):
        return (f"transfer {self.number} from port {self.port}: {self.outcome} after {self.ended - self.began:.2f} s, "
                f"{self.ended - self.progress:.2f} s without progress, {self.got} of {self.down} bytes down, "
                f"{self.up} up")


def draw(rng, number, long):
    """Any of them may be the next."""
    seed = rng.getrandbits(48)
    if not long:
        size = rng.choice((0, 1, 200, 5 * KIB, 40 * KIB))
        up, down = (size, 100) if rng.random() < 0.3 else (rng.randrange(200), size)
        return Transfer(number, seed, up, down, leaves=rng.random() < 0.03)
    size = rng.randrange(1 * MIB, 6 * MIB)
    up, down = rng.choice(((size, 10), (10, size), (size, size)))
    pace, pause = rng.choice(((0, 0), (0, 0.03), (40, 0), (80, 0), (400, 0)))
    if pace:  # such a one lasts 8 s or less
        up, down = min(up, 8000 // pace * BLOCK), min(down, 8000 // pace * BLOCK)
    return Transfer(number, seed, up, down, pace, pause, leaves=rng.random() < 0.1)


class Clients:
    """They work `within()` their machine's network and append to `transfers`, each with the next of `numbers`.
    `log_length()` says how long the proxy's log is now."""

    def __init__(self, seed, within, address, transfers, numbers, log_length, short=10, long=16):
        self.within, self.address, self.transfers = within, address, transfers
        self.numbers, self.log_length = numbers, log_length
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(random.Random(f"{seed}/{i}"), i >= short), daemon=True)
                        for i in range(short + long)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def work(self, rng, long):
        with self.within():
            while not self.stopping.wait(rng.uniform(0, 0.2)):
                transfer = draw(rng, next(self.numbers), long)
                self.make(transfer)
                self.transfers.append(transfer)

    def make(self, transfer):
        transfer.first_line = self.log_length()
        transfer.began = transfer.progress = time.monotonic()
        try:
            transfer.outcome = self.converse(transfer)
        except TimeoutError:
            transfer.outcome = "no end"
        except ConnectionRefusedError:
            transfer.outcome = "refused"
        except OSError:
            transfer.outcome = "reset"
        transfer.ended = time.monotonic()
        if not transfer.right:
            transfer.outcome = "wrong"

    def converse(self, transfer):
        with socket.create_connection(self.address, timeout=PATIENCE) as connection:
            transfer.port = connection.getsockname()[1]
            upload = hashlib.sha256()
            sender = threading.Thread(target=self.send, args=(transfer, connection, upload))
            sender.start()
            try:
                return self.receive(transfer, connection, lambda: sender.join() or upload.digest())
            finally:
                try:
                    connection.shutdown(socket.SHUT_RDWR)  # the sender must not wait for a peer that is gone
                except OSError:
                    pass
                sender.join()

    def send(self, transfer, connection, upload):
        try:
            line = transfer.number, transfer.seed, transfer.up, transfer.down, transfer.pace
            connection.sendall(" ".join(map(str, line)).encode() + b"\n")
            for block in blocks(f"up{transfer.seed}", transfer.up):
                upload.update(block)
                connection.sendall(block)
                transfer.progress = time.monotonic()
                time.sleep(transfer.pace / 1000)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # who receives will notice

    def receive(self, transfer, connection, upload_digest):
        download, receipt = Arriving(f"down{transfer.seed}", transfer.down), b""
        try:
            while data := connection.recv(BLOCK):
                transfer.progress = time.monotonic()
                wanted = transfer.down - download.count
                download.take(data[:wanted])
                receipt += data[wanted:]
                if transfer.leaves and download.count > transfer.down // 2:
                    return "left"
                if transfer.pause and wanted > 0:
                    time.sleep(transfer.pause)
        finally:
            transfer.got, transfer.right = download.count, download.right()
        if receipt and not upload_digest().startswith(receipt):
            return "wrong"
        return "complete" if download.whole() and len(receipt) == 32 else "cut short"
