"""No condition of a query can turn out empty: a disjunction over a list names what it is when the list is empty.

https://docs.sqlalchemy.org/en/20/core/sqlelement.html#sqlalchemy.sql.expression.or_ - without arguments it is no condition at all.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

STORAGE = Path(__file__).parents[2] / "server" / "storage"


def open_disjunctions(source: str) -> Iterator[int]:
    """The lines of calls of ``or_`` that have nothing but a starred list."""
    for node in ast.walk(ast.parse(source)):
        is_disjunction = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "or_"
        if is_disjunction and all(isinstance(argument, ast.Starred) for argument in node.args):
            yield node.lineno


@pytest.mark.parametrize("path", sorted(STORAGE.rglob("*.py")), ids=lambda path: path.name)
def test_a_disjunction_over_a_list_begins_with_false(path: Path) -> None:
    assert list(open_disjunctions(path.read_text())) == [], f"{path.name}: write or_(false(), *…)"


def test_an_open_disjunction_is_seen() -> None:
    assert list(open_disjunctions("or_(*ways)\nor_(false(), *ways)\nor_(a, b)\nor_()")) == [1, 4]
