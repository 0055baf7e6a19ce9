"""``tests``: the code in a reply, run against tests of the user's own.

The code runs in a process of its own with limits on time, memory, files and processes, in an empty
directory, without this process's environment. That bounds what a mistake can do. It is no jail: the
code runs under the same user, and can read and send what that user can.
"""

from __future__ import annotations

import ast
import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from math import ceil
from pathlib import Path

from orchestrator.models.protocol import Completion
from orchestrator.routing.checks.result import CheckResult
from orchestrator.routing.settings import ExecutionCheck

NAME = "tests"

MAX_FILE_BYTES = 10_000_000
_PASSED = 93  # no status that code ends with by chance
_SHOWN = 500

_FENCED = re.compile(r"^```[ \t]*(\w*)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_PYTHON = frozenset({"", "python", "py", "python3"})

# Sets the limits on itself and only then loads the code: nothing has to run between fork and exec
# in this process, which has threads. The reply is loaded alone first, and an exit that comes out of
# it is a failure: otherwise `sys.exit(0)` in a reply would look like tests that passed.
_LAUNCH = """
import os, resource, runpy, sys
cpu, memory, file, passed = map(int, sys.argv[1:])
for kind, most in [("CPU", cpu), ("AS", memory), ("FSIZE", file), ("NPROC", 0), ("CORE", 0)]:
    resource.setrlimit(getattr(resource, "RLIMIT_" + kind), (most, most))
sys.path.insert(0, os.getcwd())
sys.argv[:] = ["tests.py"]
try:
    import reply
except SystemExit:
    sys.exit("the reply ended the program when it was loaded")
try:
    runpy.run_path("tests.py", run_name="__main__")
except SystemExit as exit:
    trace = exit.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == reply.__file__:
            sys.exit("the reply ended the program")
        trace = trace.tb_next
    if exit.code not in (None, 0, False):
        raise
sys.stderr.flush()
os._exit(passed)
"""


def code_of(text: str) -> str | None:
    """The Python code in a reply: its fenced blocks, or all of it; ``None`` if there is none."""
    blocks = [code for language, code in _FENCED.findall(text) if language.lower() in _PYTHON]
    code = "\n".join(blocks) if blocks else text
    try:
        return code if ast.parse(code).body else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code if blocks else None


async def check_tests(
    completion: Completion, tests: ExecutionCheck, *, remaining_s: float
) -> CheckResult:
    """Whether the code of the reply passes ``tests``.

    Args:
        completion: The reply. One that only calls tools is not judged.
        tests: The tests and what they may use.
        remaining_s: Seconds the task has left.
    """
    if not completion.text and completion.tool_calls:
        return CheckResult.not_applicable(NAME, "the reply only calls tools")
    code = code_of(completion.text)
    if code is None:
        return CheckResult.of(NAME, passed=False, detail="the reply holds no Python code")
    timeout_s = min(tests.timeout_s, remaining_s)
    with tempfile.TemporaryDirectory(prefix="orchestrator-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _write(folder, code, tests.code)
        try:
            async with asyncio.timeout(timeout_s), _launched(folder, tests) as process:
                status = await process.wait()
        except TimeoutError:
            detail = f"the tests did not end within {timeout_s:g} s"
            return CheckResult.of(NAME, passed=False, detail=detail)
        detail = "" if status == _PASSED else _last_words(folder, status)
    return CheckResult.of(NAME, passed=status == _PASSED, detail=detail)


@asynccontextmanager
async def _launched(
    folder: Path, tests: ExecutionCheck
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process that runs the tests; whatever is left of it and its children dies at the end."""
    limits = (ceil(tests.timeout_s), tests.memory_bytes, MAX_FILE_BYTES, _PASSED)
    with (folder / "errors.txt").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-B", "-c", _LAUNCH, *map(str, limits)),
            cwd=folder,
            env={"HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}
            # Numeric libraries start a thread per core when they are loaded; threads are processes.
            | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _write(folder: Path, code: str, tests: str) -> None:
    (folder / "reply.py").write_text(code, encoding="utf-8", errors="replace")
    (folder / "tests.py").write_text(tests, encoding="utf-8")


def _last_words(folder: Path, status: int) -> str:
    said = (folder / "errors.txt").read_bytes()[-_SHOWN:].decode(errors="replace").strip()
    last = said.rpartition("\n")[2]
    return last or f"the tests ended with status {status}"
