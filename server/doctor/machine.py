"""The machine that is examined: its settings and its database, each opened once, neither written to.

https://12factor.net/config
"""

from types import TracebackType
from typing import Self

from server.doctor.findings import MissingError
from server.settings import Settings
from server.storage import migrate
from server.storage.database import Database


class Machine:
    """This machine, as its environment configures it. To be closed after the examination."""

    def __init__(self) -> None:
        self._settings: Settings | None = None
        self._wrong = ""
        try:
            self._settings = Settings()
        except Exception as error:  # pydantic's, and pydantic-settings' own
            self._wrong = _problem(error)
        self._database: Database | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._database is not None:
            self._database.engine.dispose()

    @property
    def problem(self) -> str:
        """What is wrong with a setting, or ''."""
        return self._wrong

    @property
    def settings(self) -> Settings:
        """The settings. Raises MissingError when they cannot be read."""
        if self._settings is None:
            raise MissingError("see settings")
        return self._settings

    @property
    def is_production(self) -> bool:
        """Whether this is a production deployment. Raises MissingError."""
        return self.settings.environment == "production"

    def open(self) -> Database:
        """The database. Raises MissingError when there is no SQLite file, which opening would make."""
        path = self.settings.sqlite_path
        if path is not None and not path.exists():
            raise MissingError("see database")
        if self._database is None:
            self._database = Database(self.settings)
        return self._database

    def database(self) -> Database:
        """The database, with the tables of this version. Raises MissingError."""
        try:
            if not migrate.is_current(self.open()):
                raise MissingError("see migrations")
        except MissingError:
            raise
        except Exception as error:  # whatever a driver says
            raise MissingError("see database") from error
        return self.open()


def _problem(error: Exception) -> str:
    """What is wrong with which setting, without its value, which may be a secret."""
    listed = getattr(error, "errors", None)
    if listed is None:
        return f"{type(error).__name__}: a setting cannot be read"
    told = []
    for one in listed(include_url=False, include_input=False, include_context=False):
        name = "_".join(str(part) for part in one["loc"]).upper()
        told.append(f"{name} {str(one['msg']).removeprefix('Value error, ')}".strip())
    return "; ".join(told)
