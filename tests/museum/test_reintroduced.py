"""A test that guards against a fault fails once the fault is there: each is really brought back."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FAULTS = runpy.run_path(str(HERE / "faults.py"))
MEMO = runpy.run_path(str(HERE / "memo_faults.py"))["MEMO"]
EVERY = [*FAULTS["EVERY"], *(FAULTS["Fault"](*fault) for fault in MEMO)]
LONG = bool(os.environ.get("TORTURE"))
QUICK = {
    "parallel calls all pass a check-then-act budget",
    "N processes each allow the whole budget",
    "fail closed fails open",
    "a hundred callers miss together",
}
"""Some of the ledger and of the memo, which load nothing else."""


@pytest.mark.parametrize("fault", EVERY, ids=lambda fault: fault.name)
def test_what_a_fault_changes_is_there_once(fault):
    text = (ROOT / "orchestrator" / fault.file).read_text(encoding="utf-8")

    assert text.count(fault.old) == 1
    path, _, name = fault.test.partition("::")
    assert f"def {name.rpartition('::')[2].partition('[')[0]}(" in "".join(
        (ROOT / file).read_text(encoding="utf-8")
        for file in (path, "orchestrator/testing/ledger_store.py")
    )


@pytest.mark.torture
@pytest.mark.parametrize(
    "fault",
    [fault for fault in EVERY if LONG or fault.name in QUICK],
    ids=lambda fault: fault.name,
)
def test_a_fault_that_is_brought_back_is_caught(fault, tmp_path, record_property):
    copy = tmp_path / "orchestrator"
    shutil.copytree(ROOT / "orchestrator", copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert run(fault.test, tmp_path).returncode == 0, "it passes as long as the fault is not there"
    broken = copy / fault.file
    text = broken.read_text(encoding="utf-8")
    broken.write_text(text.replace(fault.old, fault.new), encoding="utf-8")

    outcome = run(fault.test, tmp_path)

    assert outcome.returncode == 1, outcome.stdout
    record_property(f"brought back: {fault.name}", "caught")


def run(test, directory):
    """Run a test of the repository on the copy of the package."""
    path, _, name = test.partition("::")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *("-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")),
            f"--rootdir={ROOT}",
            f"{ROOT / path}::{name}",
        ],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory), "TORTURE": ""},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
