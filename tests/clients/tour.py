"""What the tours in Python share. Each takes the server's port as its first argument, on 127.0.0.1."""

import random
import sys
import time

PORT = int(sys.argv[1])
# How long an item with a TTL of 1 s may be seen.
TTL_PATIENCE_S = 5
POLL_S = 0.02
# Values a client writes in one piece and in many; the last is near the server's limit of 1 MiB for an item.
SIZES_BYTES = (0, 1, 1000, 16_384, 100_000, 1_000_000)
TOO_LARGE_BYTES = 2 << 20


def value_of(size_bytes):
    """Bytes no client can compress: what is stored has this size."""
    return random.Random(size_bytes).randbytes(size_bytes)


def moments():
    """Pauses between looks at something that must come; ends the program when it does not."""
    deadline = time.monotonic() + TTL_PATIENCE_S
    while time.monotonic() < deadline:
        yield POLL_S
    raise AssertionError(f"a TTL of 1 s lasted {TTL_PATIENCE_S} s")


def wait_until_gone(is_gone):
    for pause_s in moments():
        if is_gone():
            return
        time.sleep(pause_s)


def refused(errors, call, *arguments, **options):
    """The call must fail with one of `errors`."""
    try:
        result = call(*arguments, **options)
    except errors:
        return
    raise AssertionError(f"{call} went through: {result!r}")
