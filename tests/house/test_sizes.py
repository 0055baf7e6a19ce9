"""A file is read in one go, a function fits on one page, a name says what is inside."""

import ast
from pathlib import Path

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70
NAMES_THAT_SAY_NOTHING = {"common", "helpers", "misc", "util", "utils"}


def long_functions(source: str) -> list[str]:
    return [
        f"{node.name} ({length} lines)"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]


def test_no_file_is_too_long(python_files: list[Path], root: Path):
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files}

    assert {
        str(path.relative_to(root)): length
        for path, length in lengths.items()
        if length > MAX_FILE_LINES
    } == {}


def test_no_function_is_too_long(python_files: list[Path], root: Path):
    found = {
        str(path.relative_to(root)): functions
        for path in python_files
        if (functions := long_functions(path.read_text(encoding="utf-8")))
    }

    assert found == {}


def test_a_function_of_71_lines_is_found_and_one_of_70_is_not():
    longest = "def fits():\n" + "    pass\n" * 69
    too_long = "async def grows():\n" + "    pass\n" * 70

    assert long_functions(longest + too_long) == ["grows (71 lines)"]


def test_every_file_name_says_what_is_inside(python_files: list[Path]):
    stems = {path.stem.removeprefix("test_").strip("_") for path in python_files}

    assert stems & NAMES_THAT_SAY_NOTHING == set()


def test_test_files_have_names_of_their_own(root: Path):
    """Two files of one name would hide each other's tests from whoever runs one by name."""
    names = [path.name for path in (root / "tests").rglob("test_*.py")]

    assert sorted(names) == sorted(set(names))
