"""Somebody else who reads one resource again and again, while the server has much to do for another.

https://hl7.org/fhir/R4/http.html#read
"""

import threading
import time
from typing import Self

import requests

PAUSE_SECONDS = 0.01


class Others:
    """Reads until the end of the block; ``take`` answers how long each read took since the last time, in seconds."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._seconds: list[float] = []
        self._failures: list[str] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def take(self) -> list[float]:
        """Raises RuntimeError when a read failed."""
        if self._failures:
            raise RuntimeError(self._failures[0])
        taken, self._seconds = self._seconds, []
        return taken

    def _read(self) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {self._token}"
            while not self._done.wait(PAUSE_SECONDS):
                started = time.perf_counter()
                try:
                    status = session.get(self._url, timeout=60).status_code
                except requests.RequestException as error:
                    self._failures.append(str(error))
                    return
                if status != 200:
                    self._failures.append(f"{self._url}: {status}")
                    return
                self._seconds.append(time.perf_counter() - started)
