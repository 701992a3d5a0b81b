"""Statements of the asynchronous executor, compiled once: their text, and their values in the driver's order.

https://docs.sqlalchemy.org/en/20/core/internals.html#sqlalchemy.sql.compiler.SQLCompiler
"""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

Values = Mapping[str, Any]
MOST_KEPT = 4096


class Compiled:
    """A statement compiled once for a dialect: its text, and its values in the driver's order."""

    __slots__ = ("_ordered", "defaults", "names", "text")

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        if not isinstance(compiled, SQLCompiler) or compiled.post_compile_params:
            raise TypeError("a statement of the asynchronous executor lists its IN values as bind parameters")
        self.text = str(compiled)
        self.names = tuple(compiled.positiontup or ())
        self.defaults = {name: bind.value for name, bind in compiled.binds.items() if bind.value is not None}
        self._ordered = itemgetter(*self.names, *self.names[:1]) if self.names and not self.defaults else None

    def arguments(self, values: Values) -> tuple[Any, ...]:
        """The values in positional order."""
        if self._ordered is not None:
            ordered: tuple[Any, ...] = self._ordered(values)[:-1]
            return ordered
        defaults = self.defaults
        return tuple([values[name] if name in values else defaults.get(name) for name in self.names])


class Compiler:
    """Compiles statements for one dialect, each once. Keep a statement (a constant, or cached by shape), or it is a new one."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._compiled: dict[Executable, Compiled] = {}

    def compiled(self, statement: Executable) -> Compiled:
        """The compiled statement. Raises TypeError for one whose text depends on its values."""
        compiled = self._compiled.get(statement)
        if compiled is None:
            if len(self._compiled) > MOST_KEPT:
                self._compiled.clear()  # statements of shapes long out of use are kept no longer
            compiled = self._compiled[statement] = Compiled(statement, self._dialect)
        return compiled
