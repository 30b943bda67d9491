"""Sizes: a module over 500 lines or a function over 60 fails; over 300 is told."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("service", "projections", "sql", "scripts", "tests")

MODULE_MOST, MODULE_WANTED, FUNCTION_MOST = 500, 300, 60


def main() -> int:
    failed = False
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for problem, fails in problems(path.read_text()):
                failed = failed or fails
                print(f"{path.relative_to(ROOT)}: {problem}")
    return int(failed)


def problems(source: str) -> Iterator[tuple[str, bool]]:
    """What is too large in one module, and whether that is an error."""
    lines = source.count("\n")
    if lines > MODULE_MOST:
        yield f"{lines} lines, {MODULE_MOST} is the most", True
    elif lines > MODULE_WANTED:
        yield f"{lines} lines, {MODULE_WANTED} is wanted", False
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > FUNCTION_MOST:
                yield f"{node.name} has {size} lines, {FUNCTION_MOST} is the most", True


if __name__ == "__main__":
    sys.exit(main())
