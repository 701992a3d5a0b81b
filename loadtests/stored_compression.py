"""Would compressing what is stored pay? Claims as they lie in a store, compressed in several ways: bytes against microseconds.

https://www.rfc-editor.org/rfc/rfc8878 (zstd; a dictionary is trained on other claims), https://www.rfc-editor.org/rfc/rfc1951 (deflate) and
https://www.postgresql.org/docs/current/storage-toast.html (pglz, and lz4 where it was built with it, weighed by PostgreSQL itself).
"""

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median

import psycopg
import zstandard

from loadtests.stores import CLAIM, Store

SAMPLE = 1000
DICTIONARY_BYTES = 112_640
ROUNDS = 5

Change = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Method:
    """A way to store: mean bytes of a claim, microseconds to compress and to decompress it; None where the database does it."""

    name: str
    bytes: float
    compress: float | None
    decompress: float | None


def methods(store: Store) -> list[Method]:
    """Measure every way on claims of the store; the dictionary is trained on claims that are not measured."""
    step = max(1, store.rows("SELECT count(*) FROM resource WHERE type = ?", CLAIM)[0][0] // (2 * SAMPLE))
    keys = [key for (key,) in store.rows("SELECT key FROM resource WHERE type = ? ORDER BY key", CLAIM)][::step]
    marks = ", ".join("?" * len(keys))
    bodies = [bytes(body) for (body,) in store.rows(f"SELECT body FROM resource WHERE key IN ({marks})", *keys)]
    trained, measured = bodies[::2], bodies[1::2]
    dictionary = zstandard.train_dictionary(DICTIONARY_BYTES, [*trained])
    found = [Method("as it is", mean(map(len, measured)), 0.0, 0.0)]
    found += [_measured(f"zlib, level {level}", measured, _deflate(level), zlib.decompress) for level in (1, 6)]
    for name, level, known in (
        ("zstd, level 3", 3, None),
        ("zstd, level 3, dictionary", 3, dictionary),
        ("zstd, level 9, dictionary", 9, dictionary),
    ):
        options = {} if known is None else {"dict_data": known}
        compressor = zstandard.ZstdCompressor(level=level, **options)  # type: ignore[arg-type]
        decompressor = zstandard.ZstdDecompressor(**options)  # type: ignore[arg-type]
        found.append(_measured(name, measured, compressor.compress, decompressor.decompress))
    return found if store.is_sqlite else found + _of_postgresql(store, measured)


def _deflate(level: int) -> Change:
    return lambda body: zlib.compress(body, level)


def _measured(name: str, bodies: Sequence[bytes], compress: Change, decompress: Change) -> Method:
    packed = [compress(body) for body in bodies]
    if [decompress(one) for one in packed] != list(bodies):
        raise ValueError(f"{name} does not give back what it got")
    return Method(name, mean(map(len, packed)), _microseconds(compress, bodies), _microseconds(decompress, packed))


def _microseconds(change: Change, pieces: Sequence[bytes]) -> float:
    """Of one piece: the median of rounds over all."""
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for piece in pieces:
            change(piece)
        taken.append((time.perf_counter() - started) / len(pieces) * 1e6)
    return median(taken)


def _of_postgresql(store: Store, bodies: Sequence[bytes]) -> list[Method]:
    """What PostgreSQL makes of the same claims by itself."""
    found = []
    with psycopg.connect(store.url) as connection:
        for method in ("pglz", "lz4"):
            try:
                connection.execute(f"CREATE TEMP TABLE tried (body bytea COMPRESSION {method})".encode())
            except psycopg.errors.FeatureNotSupported:  # built without it
                connection.rollback()
                continue
            connection.cursor().executemany("INSERT INTO tried VALUES (%s)", [(body,) for body in bodies])
            size = connection.execute("SELECT avg(pg_column_size(body)) FROM tried").fetchone()
            connection.rollback()
            found.append(Method(f"PostgreSQL, {method}", float(size[0]) if size else 0.0, None, None))
    return found
