"""How much memory a server's processes have, looked up now and then while something is going on.

https://man7.org/linux/man-pages/man5/proc_pid_status.5.html - RssAnon is what a process has allocated; RssFile are pages of files that it
maps, which the system keeps or drops as it likes (SQLite maps its database).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Growth:
    """Bytes that all processes together had at first and at most: allocated, and mapped from files."""

    first: int = 0
    most: int = 0
    first_mapped: int = 0
    most_mapped: int = 0

    @property
    def megabytes(self) -> float:
        """By how much the allocated memory grew."""
        return (self.most - self.first) / 2**20

    @property
    def mapped_megabytes(self) -> float:
        """By how much the mapped pages grew."""
        return (self.most_mapped - self.first_mapped) / 2**20


@contextmanager
def growth(pid: int) -> Iterator[Growth]:
    """Watches a process and its children until the end of the block."""
    found = Growth()
    found.first, found.first_mapped = found.most, found.most_mapped = resident(pid)
    done = threading.Event()

    def look() -> None:
        while True:
            allocated, mapped = resident(pid)
            found.most, found.most_mapped = max(found.most, allocated), max(found.most_mapped, mapped)
            if done.wait(LOOK_SECONDS):
                return

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        done.set()
        looking.join()


def resident(pid: int) -> tuple[int, int]:
    """Bytes allocated and bytes mapped from files, of a process and all below it that live now."""
    allocated = mapped = 0
    waiting = [pid]
    while waiting:
        number = waiting.pop()
        try:
            status = Path(f"/proc/{number}/status").read_text()
            children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        except OSError:
            continue
        sizes = {
            name: int(value.split()[0]) * 1024
            for name, _, value in (line.partition(":") for line in status.splitlines())
            if name in ("RssAnon", "RssFile")
        }
        allocated += sizes.get("RssAnon", 0)
        mapped += sizes.get("RssFile", 0)
        waiting += map(int, children)
    return allocated, mapped
