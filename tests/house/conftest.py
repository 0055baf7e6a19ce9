from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def package_files(root: Path) -> list[Path]:
    return sorted((root / "orchestrator").rglob("*.py"))


@pytest.fixture(scope="session")
def python_files(root: Path, package_files: list[Path]) -> list[Path]:
    others = [
        path for room in ("docs", "examples", "tests") for path in (root / room).rglob("*.py")
    ]
    return [*package_files, *sorted(others)]


@pytest.fixture(scope="session")
def committed_texts(root: Path) -> dict[str, str]:
    """Every text the repository holds, by its path from the root."""
    rooms = (".ci", "docs", "examples", "orchestrator", "policies", "requirements", "tests")
    inside = [path for room in rooms for path in (root / room).rglob("*") if path.is_file()]
    loose = [root / ".gitignore", root / "Makefile", root / "LICENSE", root / "pyproject.toml"]
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in [*inside, *loose, *root.glob("*.md")]
        if "__pycache__" not in path.parts
    }
