"""Transactions: whoever holds a connection awaits that connection, and nothing else.

Inside `async with <pool>.connection() as c` or `<...>.transaction()` every await must
be of something that belongs to the connection, or be given the connection. An append,
another connection, a model, an HTTP call: each would hold locks while it waits.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("service", "projections")

OPENERS = ("connection", "transaction")

HARMLESS = ("asyncio.timeout",)
"""Awaited or entered without waiting for anybody."""


def main() -> int:
    found = [
        f"{path.relative_to(ROOT)}:{problem}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for problem in problems(path.read_text())
    ]
    print("\n".join(found))
    return int(bool(found))


def problems(source: str) -> Iterator[str]:
    """`line: what` for each wait that is foreign to the connection held there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AsyncWith) and (own := opened(node.items)):
            yield from foreign(node.body, own)


def opened(items: Sequence[ast.withitem]) -> set[str]:
    """What belongs to the connection that these items open; empty if they do not."""
    own: set[str] = set()
    for item in items:
        call = item.context_expr
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr not in OPENERS:
            continue
        if item.optional_vars is not None:
            own.add(ast.unparse(item.optional_vars))
        elif call.func.attr == "transaction":
            # a pool's gives the connection a name, a connection's own does not
            own.add(ast.unparse(call.func.value))
    return own


def foreign(body: Sequence[ast.stmt], own: set[str]) -> Iterator[str]:
    for node in within(body):
        match node:
            case ast.Assign(targets=[target], value=ast.Await(value=waited)):
                # a cursor, or rows, that came from the connection
                if belongs(waited, own):
                    own.add(ast.unparse(target))
            case ast.Await(value=waited) if not belongs(waited, own):
                yield told(waited)
            case ast.AsyncFor(iter=waited) if not belongs(waited, own):
                yield told(waited)
            case ast.AsyncWith(items=items):
                for item in items:
                    if not belongs(item.context_expr, own):
                        yield told(item.context_expr)
                    elif item.optional_vars is not None:
                        own.add(ast.unparse(item.optional_vars))


def within(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """The nodes below, in reading order, without functions that run elsewhere."""
    for node in body:
        yield from _walk(node)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _walk(child)


def belongs(waited: ast.expr, own: set[str]) -> bool:
    """Whether what is awaited is the connection's, or is given the connection."""
    if isinstance(waited, ast.Call):
        if ast.unparse(waited.func) in HARMLESS:
            return True
        given = [*waited.args, *(keyword.value for keyword in waited.keywords)]
        if any(ast.unparse(value) in own for value in given):
            return True
        return belongs(waited.func, own)
    if ast.unparse(waited) in own:
        return True
    inner = getattr(waited, "value", None)
    return isinstance(inner, ast.expr) and belongs(inner, own)


def told(waited: ast.expr) -> str:
    text = ast.unparse(waited).splitlines()[0]
    return f"{waited.lineno}: waits for {text[:60]!r} while a connection is held"


if __name__ == "__main__":
    sys.exit(main())
