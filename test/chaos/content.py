"""Bytes that anybody can derive again from their seed: a byte that is missing, doubled, changed or out of its place
shows in the SHA-256 of what arrived."""

import hashlib
import itertools

BLOCK = 32 * 1024


def blocks(seed, size):
    """The `size` bytes of that seed, a block at a time."""
    for number in itertools.count():
        if size <= 0:
            return
        block = hashlib.shake_128(f"{seed}/{number}".encode()).digest(min(BLOCK, size))
        yield block
        size -= len(block)


class Arriving:
    """What has come of a stream of `size` bytes."""

    def __init__(self, seed, size):
        self.seed, self.size, self.count = seed, size, 0
        self.digest = hashlib.sha256()

    def take(self, data):
        self.digest.update(data)
        self.count += len(data)

    def whole(self):
        return self.count == self.size

    def right(self):
        """Whether all that came is what was sent, as far as it came. What came cut short must be right, too."""
        if self.count > self.size:
            return False
        sent = hashlib.sha256()
        for block in blocks(self.seed, self.count):
            sent.update(block)
        return sent.digest() == self.digest.digest()
