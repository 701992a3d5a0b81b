"""The project's own source as syntax trees, for tests that read it.

https://docs.python.org/3/library/ast.html
"""

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@lru_cache(maxsize=8)
def modules(*packages: str) -> dict[str, Path]:
    """Dotted name to file, of every module of these top-level packages."""
    found = {}
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@lru_cache(maxsize=512)
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path, known: frozenset[str]) -> Iterator[str]:
    """Every module that a file imports, wherever in the file; ``from a import b`` is a.b when that is a module we know."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else str(node.module)


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every string in a file's code; docstrings, and strings that stand alone to document, are not code."""
    alone = {id(node.value) for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.lineno, node.value
