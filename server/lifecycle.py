"""Whether this process is ending, and until when it must have: one answer for the connections, /readyz, exports and whoever flushes.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
"""

import time

_deadline: float | None = None


def begin_to_end(seconds: float) -> bool:
    """The process was told to end, and has so many seconds. False when it was told before: the first deadline holds."""
    global _deadline  # noqa: PLW0603 - a process ends once
    if _deadline is not None:
        return False
    _deadline = time.monotonic() + seconds
    return True


def is_ending() -> bool:
    """Whether it was told to."""
    return _deadline is not None


def seconds_left(at_least: float = 0.0) -> float:
    """How many seconds there are until the end, never less than that; so few, too, where nobody has told it to end."""
    return at_least if _deadline is None else max(at_least, _deadline - time.monotonic())


def go_on() -> None:
    """Forget it: a server that is started in the same process, as tests do, is not ending."""
    global _deadline  # noqa: PLW0603
    _deadline = None
