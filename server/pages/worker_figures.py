"""What a worker tells of itself every second: its connections, its memory and descriptors, the garbage collector, how late its loop is.

https://man7.org/linux/man-pages/man5/proc.5.html - what this operating system does not tell is left out.
"""

import asyncio
import gc
import os
import resource
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from server import lifecycle
from server.figures import (
    COLLECTIONS,
    CONNECTIONS,
    CONNECTIONS_GIVEN_UP,
    CONNECTIONS_MOST,
    CONNECTIONS_SECONDS,
    CONNECTIONS_WAITING,
    CPU,
    DESCRIPTORS,
    DESCRIPTORS_MOST,
    EXPORTS_HERE,
    LOOP_LAG,
    REPLICA_FALLBACKS,
    REPLICA_READS,
    REPLICA_RESTS,
    RESIDENT,
    STARTS,
    STOPPING,
    Figures,
    Metric,
)
from server.storage.connections import Connections
from server.storage.database import Database

EVERY_SECONDS = 1.0
_MEMORY, _DESCRIPTORS = Path("/proc/self/statm"), Path("/proc/self/fd")
_PAGE = os.sysconf("SC_PAGESIZE")


class WorkerFigures:
    """Keeps them up to date while the worker runs. ``running_exports`` tells how many exports it has."""

    def __init__(self, figures: Figures, database: Database, running_exports: Callable[[], int]) -> None:
        self._figures = figures
        self._database = database
        self._running_exports = running_exports
        self._told: dict[tuple[str, ...], float] = {}

    async def keep(self) -> None:
        """Until it is cancelled."""
        self._figures.add(STARTS)
        while True:
            self.tell()
            asked = perf_counter()
            await asyncio.sleep(EVERY_SECONDS)
            self._figures.set(LOOP_LAG, max(0.0, perf_counter() - asked - EVERY_SECONDS))

    def tell(self) -> None:
        """As it is now."""
        figures = self._figures
        if self._database.connections is not None:
            self._of_connections("primary", self._database.connections)
        for replica in self._database.replicas:
            self._of_connections(replica.name, replica.connections)
            figures.set(REPLICA_RESTS, float(replica.is_resting), replica.name)
            self._grown(REPLICA_READS, replica.answered, replica.name)
            self._grown(REPLICA_FALLBACKS, replica.behind, replica.name, "behind")
            self._grown(REPLICA_FALLBACKS, replica.failed, replica.name, "failed")
        figures.set(EXPORTS_HERE, self._running_exports())
        figures.set(STOPPING, float(lifecycle.is_ending()))
        used = resource.getrusage(resource.RUSAGE_SELF)
        self._grown(CPU, used.ru_utime + used.ru_stime)
        for generation, one in enumerate(gc.get_stats()):
            self._grown(COLLECTIONS, one["collections"], str(generation))
        figures.set(DESCRIPTORS_MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        if _MEMORY.exists():
            figures.set(RESIDENT, int(_MEMORY.read_text().split()[1]) * _PAGE)
            figures.set(DESCRIPTORS, len(os.listdir(_DESCRIPTORS)))  # noqa: PTH208 - a thousand names, and no Path for each

    def _of_connections(self, pool: str, connections: Connections) -> None:
        figures = self._figures
        figures.set(CONNECTIONS, connections.open - connections.idle, pool, "used")
        figures.set(CONNECTIONS, connections.idle, pool, "idle")
        figures.set(CONNECTIONS_MOST, connections.most, pool)
        figures.set(CONNECTIONS_WAITING, connections.waiting, pool)
        self._grown(CONNECTIONS_SECONDS, connections.seconds_waited, pool)
        self._grown(CONNECTIONS_GIVEN_UP, connections.given_up, pool)

    def _grown(self, metric: Metric, value: float, *labels: str) -> None:
        """Add what a total of this process has grown by: a worker that died before may have left its own."""
        key = (metric.name, *labels)
        grown = value - self._told.get(key, 0.0)
        if grown > 0 or key not in self._told:
            self._figures.add(metric, *labels, amount=max(0.0, grown))
        self._told[key] = value
