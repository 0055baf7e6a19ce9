"""Starting up is cheap: what is slow to import is imported by whoever needs it, when they do."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = ("aiohttp", "aiosqlite", "langchain_core", "langgraph", "litellm", "psycopg", "sqlite3")
REPORT = f"import sys; print([name for name in {SLOW!r} if name in sys.modules])"


def slow_modules_loaded_by(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{REPORT}"], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def test_importing_the_package_loads_nothing_slow():
    assert slow_modules_loaded_by("import orchestrator") == "[]"


def test_asking_the_command_line_for_help_loads_nothing_slow():
    program = """
import sys
from orchestrator.cli.main import main
sys.argv = ["orchestrator", "--help"]
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
"""
    assert slow_modules_loaded_by(program) == "[]"


def test_importing_every_room_loads_nothing_slow(root: Path):
    rooms = sorted(path.parent.name for path in (root / "orchestrator").glob("*/__init__.py"))

    assert "core" in rooms
    assert slow_modules_loaded_by(f"import orchestrator.{', orchestrator.'.join(rooms)}") == "[]"


@pytest.mark.parametrize("module", SLOW[:1] + SLOW[-1:])
def test_a_slow_module_would_be_noticed(module: str):
    assert module in slow_modules_loaded_by(f"import {module}")


def test_core_needs_the_standard_library_only(root: Path):
    imported = set()
    for path in (root / "orchestrator" / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")

    foreign = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if not name.startswith("orchestrator.core")} == set()
