"""What is generated is what `make docs` would write now."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "page", ["docs/cli.md", "docs/policy.md", "docs/reference.md", "policies/schema.json"]
)
def test_a_generated_page_is_fresh(page: str, root: Path, tmp_path: Path):
    recipe = re.search(rf"^\t(\$\(BIN\)/.* {page})$", (root / "Makefile").read_text(), re.MULTILINE)
    assert recipe, f"`make docs` does not write {page}"
    copy = tmp_path / page
    copy.parent.mkdir()
    shutil.copy(root / page, copy)

    command = recipe[1].replace("$(BIN)/", "").split()
    command[0] = str(Path(sys.executable).with_name(command[0]))
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    assert copy.read_text() == (root / page).read_text(), "run `make docs`"
