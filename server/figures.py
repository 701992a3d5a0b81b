"""What a worker counts, in a file that outlives it: /metrics adds up the files of all workers, whichever of them is asked.

https://prometheus.io/docs/concepts/metric_types/ - a count is one addition in mapped memory: a worker that is killed loses none, and the
next one goes on in its file, so that counters never fall. The lock on a file says whether its worker lives.
"""

import fcntl
import json
import mmap
import os
import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of a histogram's buckets in seconds; one more is for what took longer."""
SUM = len(BOUNDS) + 1
"""Behind a histogram's buckets: the seconds of them all."""
_DOUBLE, _KEY, _VALUES, _SERIES = 8, 128, SUM + 1, 4096
_STRIDE = _KEY + _VALUES * _DOUBLE
_SIZE = _STRIDE * _SERIES
_PATTERN = "worker-{}.figures"


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of what is measured: its name at /metrics, its kind, the names of its labels, and what it says."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


FHIR_REQUESTS = Metric(
    "patient_access_fhir_requests_total",
    COUNTER,
    ("interaction", "type", "status"),
    "Answers of the FHIR API. interaction and type are empty where the request was refused before they were known.",
)
FHIR_SECONDS = Metric(
    "patient_access_fhir_request_seconds",
    HISTOGRAM,
    ("interaction",),
    "From the head of a FHIR request to its answer being in the ledger and ready to send.",
)
HTTP_REQUESTS = Metric(
    "patient_access_http_requests_total",
    COUNTER,
    ("endpoint", "method", "status"),
    "Answers of everything else: each authorization endpoint by its path, every other page together as 'page'.",
)
HTTP_SECONDS = Metric(
    "patient_access_http_request_seconds", HISTOGRAM, ("endpoint",), "From the head of such a request to its answer."
)
LEDGER_COMMIT_SECONDS = Metric(
    "patient_access_ledger_commit_seconds",
    HISTOGRAM,
    (),
    "A commit of the FHIR API's ledger rows; answers wait for it. Its count is the number of commits.",
)
LEDGER_ROWS = Metric("patient_access_ledger_rows_total", COUNTER, (), "Rows that these commits stored, one an answer.")
LEDGER_FAILURES = Metric(
    "patient_access_ledger_failed_rows_total",
    COUNTER,
    (),
    "Rows that could not be stored; their answers were 503, or never left.",
)
CONNECTIONS = Metric(
    "patient_access_database_connections",
    GAUGE,
    ("pool", "state"),
    "PostgreSQL connections of the FHIR API; pool is primary, replica 1, replica 2 ...; state is used or idle.",
)
CONNECTIONS_MOST = Metric(
    "patient_access_database_connections_most", GAUGE, ("pool",), "How many there may be (DATABASE_CONNECTIONS)."
)
CONNECTIONS_WAITING = Metric(
    "patient_access_database_waiting", GAUGE, ("pool",), "Commands that wait for a connection now."
)
CONNECTIONS_SECONDS = Metric(
    "patient_access_database_wait_seconds_total", COUNTER, ("pool",), "How long commands have waited for a connection."
)
CONNECTIONS_GIVEN_UP = Metric(
    "patient_access_database_given_up_total", COUNTER, ("pool",), "Commands that waited for a connection in vain: 503."
)
REPLICA_READS = Metric(
    "patient_access_replica_reads_total",
    COUNTER,
    ("pool",),
    "Questions that a replica answered (DATABASE_REPLICA_URL).",
)
REPLICA_FALLBACKS = Metric(
    "patient_access_replica_fallbacks_total",
    COUNTER,
    ("pool", "reason"),
    "Questions that another replica or the primary answered: this one was behind, or failed.",
)
REPLICA_RESTS = Metric(
    "patient_access_replica_resting", GAUGE, ("pool",), "1 while a replica that failed is not asked."
)
EXPORTS_HERE = Metric("patient_access_exports_running", GAUGE, (), "Exports that a worker writes or has in its queue.")
LOOP_LAG = Metric(
    "patient_access_event_loop_lag_seconds", GAUGE, (), "How much later than asked the worker's event loop came round."
)
RESIDENT = Metric("patient_access_process_resident_bytes", GAUGE, (), "Memory of the worker.")
DESCRIPTORS = Metric("patient_access_process_open_fds", GAUGE, (), "Open file descriptors of the worker.")
DESCRIPTORS_MOST = Metric("patient_access_process_max_fds", GAUGE, (), "How many it may have.")
CPU = Metric("patient_access_process_cpu_seconds_total", COUNTER, (), "Processor time of all workers.")
COLLECTIONS = Metric(
    "patient_access_process_gc_collections_total", COUNTER, ("generation",), "Runs of the garbage collector."
)
STARTS = Metric("patient_access_worker_starts_total", COUNTER, (), "Workers started; more than WORKERS: some died.")
STOPPING = Metric("patient_access_stopping", GAUGE, (), "1 while the worker ends: it serves, and /readyz says 503.")

METRICS = (
    *(FHIR_REQUESTS, FHIR_SECONDS, HTTP_REQUESTS, HTTP_SECONDS, LEDGER_COMMIT_SECONDS, LEDGER_ROWS, LEDGER_FAILURES),
    *(CONNECTIONS, CONNECTIONS_MOST, CONNECTIONS_WAITING, CONNECTIONS_SECONDS, CONNECTIONS_GIVEN_UP, REPLICA_READS),
    *(REPLICA_FALLBACKS, REPLICA_RESTS),
    *(EXPORTS_HERE, LOOP_LAG, RESIDENT, DESCRIPTORS, DESCRIPTORS_MOST, CPU, COLLECTIONS, STARTS, STOPPING),
)
"""Everything that workers count. A gauge has a label ``worker`` too, '0', '1' ...: as many as there are workers at a time."""
_BY_NAME = {metric.name: metric for metric in METRICS}


class Figures:
    """The figures of one worker. What ``answered`` and ``committed`` count is counted in the event loop, the rest from any thread."""

    def __init__(self, directory: Path | None = None) -> None:
        """``directory``: where the workers of a server keep theirs; None: in memory, for a server of one process. Raises OSError."""
        self.directory = directory
        self._descriptor = -1
        self._map = mmap.mmap(-1, _SIZE) if directory is None else self._adopt(directory)
        self.values = memoryview(self._map).cast("d")
        """All values; ``place`` says where those of a series begin."""
        self._places: dict[tuple[str, ...], int] = {}
        self._fhir: dict[tuple[str, str, int], tuple[int, int]] = {}
        self._lock = threading.Lock()
        for number, key in enumerate(_keys(self._map)):
            self._places[key] = first = _first(number)
            if key[0] not in _BY_NAME or _BY_NAME[key[0]].kind == GAUGE:
                self.values[first] = 0.0
        self._ledger = (self.place(LEDGER_COMMIT_SECONDS), self.place(LEDGER_ROWS))

    def _adopt(self, directory: Path) -> mmap.mmap:
        """The file of a worker that is dead, or a new one."""
        directory.mkdir(parents=True, exist_ok=True)
        for number in range(1024):
            descriptor = os.open(directory / _PATTERN.format(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            # All of it now: where a disk is full, a page of a sparse file that is written to kills the process.
            os.posix_fallocate(descriptor, 0, _SIZE)
            self._descriptor = descriptor
            return mmap.mmap(descriptor, _SIZE)
        raise OSError(f"{directory} has the figures of 1024 workers that run")

    def place(self, metric: Metric, *labels: str) -> int:
        """Where the values of a series begin in ``values``; it is made when it is not there. What does not fit is not counted."""
        key = (metric.name, *labels)
        found = self._places.get(key)
        if found is not None:
            return found
        with self._lock:
            number = len(self._places)
            if key in self._places or number >= _SERIES - 1:
                return self._places.get(key, _first(_SERIES - 1))
            text = json.dumps(key, separators=(",", ":")).encode()
            if len(text) > _KEY:
                return _first(_SERIES - 1)
            begins, text = number * _STRIDE, text.ljust(_KEY, b"\0")
            self._map[begins + 1 : begins + _KEY] = text[1:]
            self._map[begins] = text[0]  # last: a worker killed in between has begun nothing
            self._places[key] = _first(number)
            return self._places[key]

    def add(self, metric: Metric, *labels: str, amount: float = 1.0) -> None:
        """Count."""
        first = self.place(metric, *labels)
        with self._lock:
            self.values[first] += amount

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge."""
        self.values[self.place(metric, *labels)] = value

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Put a duration into a histogram."""
        first = self.place(metric, *labels)
        with self._lock:
            self.values[first + bisect_left(BOUNDS, seconds)] += 1.0
            self.values[first + SUM] += seconds

    def answered(self, interaction: str, type: str, status: int, seconds: float) -> None:
        """Count an answer of the FHIR API: in its event loop only, where nothing else runs meanwhile."""
        places = self._fhir.get((interaction, type, status))
        if places is None:
            counter = self.place(FHIR_REQUESTS, interaction, type, str(status))
            places = self._fhir[interaction, type, status] = (counter, self.place(FHIR_SECONDS, interaction))
        values = self.values
        counter, histogram = places
        values[counter] += 1.0
        values[histogram + bisect_left(BOUNDS, seconds)] += 1.0
        values[histogram + SUM] += seconds

    def committed(self, rows: int, seconds: float) -> None:
        """Count a commit of the ledger: in the same event loop."""
        values = self.values
        histogram, counter = self._ledger
        values[histogram + bisect_left(BOUNDS, seconds)] += 1.0
        values[histogram + SUM] += seconds
        values[counter] += rows

    def close(self) -> None:
        """Leave the file to the next worker."""
        self.values.release()
        self._map.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def everything(self) -> "dict[tuple[str, ...], list[float]]":
        """Every series of all workers, (name, labels ...) to its values: counters and histograms are summed, gauges are of workers that
        live, with the worker's number behind their labels."""
        found: dict[tuple[str, ...], list[float]] = {}
        for worker, is_alive, key, values in self._series():
            metric = _BY_NAME.get(key[0])
            if metric is None or len(key) != 1 + len(metric.labels):
                continue  # of another version
            if metric.kind == GAUGE:
                if is_alive:
                    found[(*key, worker)] = values[:1]
            else:
                before = found.get(key)
                found[key] = [a + b for a, b in zip(before, values, strict=True)] if before else values
        return found

    def _series(self) -> Iterator[tuple[str, bool, tuple[str, ...], list[float]]]:
        if self.directory is None:
            yield from (("0", True, key, values) for key, values in _read(self._map))
            return
        for path in sorted(self.directory.glob(_PATTERN.format("*"))):
            worker = path.name.removeprefix("worker-").removesuffix(".figures")
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < _SIZE:
                    continue  # it is being made
                is_alive = _is_locked(path)
                with mmap.mmap(file.fileno(), _SIZE, access=mmap.ACCESS_READ) as content:
                    yield from ((worker, is_alive, key, values) for key, values in _read(content))


def _first(number: int) -> int:
    return (number * _STRIDE + _KEY) // _DOUBLE


def _keys(content: mmap.mmap) -> Iterator[tuple[str, ...]]:
    for number in range(_SERIES - 1):
        text = content[number * _STRIDE : number * _STRIDE + _KEY]
        if not text[0]:
            return
        yield tuple(json.loads(text.rstrip(b"\0")))


def _read(content: mmap.mmap) -> Iterator[tuple[tuple[str, ...], list[float]]]:
    with memoryview(content) as view, view.cast("d") as values:
        for number, key in enumerate(_keys(content)):
            yield key, list(map(float, values[_first(number) : _first(number) + _VALUES]))


def _is_locked(path: Path) -> bool:
    """Whether the worker of a file lives. Asked with a shared lock, which is given back at once."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
