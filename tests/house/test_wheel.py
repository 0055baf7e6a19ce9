"""What `pip install` gets."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile


def test_a_wheel_holds_the_package_with_its_data_and_nothing_beside_it(root: Path, tmp_path: Path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*build, "--directory", tmp_path], cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.iterdir()
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())

    package = root / "orchestrator"
    files = (one for one in package.rglob("*") if one.is_file() and "__pycache__" not in one.parts)
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped == {one.relative_to(root).as_posix() for one in files}
    assert "orchestrator/py.typed" in shipped
    assert any(name.endswith("/entry_points.txt") for name in names)
