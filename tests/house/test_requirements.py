"""What is installed is pinned and hashed, and says nothing about where it was fetched from."""

import re
import tomllib
from pathlib import Path

import pytest

FILES = ("build.txt", "dev.txt", "lock.txt", "run.txt")
PIN = re.compile(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==[0-9][\w.!+]*( ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
VIA = re.compile(r"    #( via( [a-z0-9-]+( \(.*\))?)?|   [a-z0-9-]+( \(.*\))?)")


def stray_lines(text: str) -> list[str]:
    forms = (PIN, HASH, VIA)
    return [line for line in text.splitlines() if not any(form.fullmatch(line) for form in forms)]


def pins(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8").replace(" \\\n", "\n")
    return dict(line.split("==", 1) for line in text.splitlines() if "==" in line.split(";")[0])


@pytest.mark.parametrize("name", FILES)
def test_a_file_holds_pins_and_hashes_and_nothing_else(root: Path, name: str):
    text = (root / "requirements" / name).read_text(encoding="utf-8")

    assert stray_lines(text) == []
    assert text.count("==") > 0


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example",
        "--find-links wheels",
        "-e .",
        "torch @ file:///wheels/torch.whl \\",
        "httpx==0.28.1",
        "httpx>=0.28 \\",
    ],
)
def test_an_address_a_local_path_and_a_missing_hash_are_found(line: str):
    assert stray_lines(line) == [line]


def test_the_test_environment_holds_the_run_environment_in_the_same_versions(root: Path):
    """So both go into one environment, in either order, and neither undoes the other."""
    everything = pins(root / "requirements" / "dev.txt").items()

    assert pins(root / "requirements" / "run.txt").items() <= everything
    assert pins(root / "requirements" / "build.txt").items() <= everything


def test_every_dependency_is_pinned(root: Path):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[\[<>=!~ ;]", name)[0] for name in project["dependencies"]}
    pinned = pins(root / "requirements" / "run.txt")

    assert {name.replace(".", "-") for name in wanted} <= pinned.keys()
