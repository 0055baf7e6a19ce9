"""The code of a reply is run against tests, within limits."""

import asyncio
import os
import sys
import time

import pytest

from orchestrator.models.protocol import Completion, ToolCall
from orchestrator.routing.checks.execution import check_tests, code_of
from orchestrator.routing.settings import ExecutionCheck

TESTS = "from reply import add\nassert add(2, 3) == 5, 'two and three'\n"
UNITTEST = """
import unittest, reply
class Adding(unittest.TestCase):
    def test_it(self):
        self.assertEqual(reply.add(2, 3), 5)
unittest.main()
"""
RIGHT = "Here it is:\n```python\ndef add(a, b):\n    return a + b\n```\nUse it."


def run(text, tests=TESTS, *, timeout_s=10.0, memory_bytes=1_000_000_000, remaining_s=60.0):
    asked = ExecutionCheck(file="t.py", code=tests, timeout_s=timeout_s, memory_bytes=memory_bytes)
    completion = Completion(text=text, finish_reason="stop")
    return asyncio.run(check_tests(completion, asked, remaining_s=remaining_s))


@pytest.mark.parametrize("tests", [TESTS, UNITTEST])
def test_code_that_does_what_it_should_passes(tests):
    assert run(RIGHT, tests).passed is True


@pytest.mark.parametrize("tests", [TESTS, UNITTEST])
def test_code_that_does_not_fails_and_says_why(tests):
    result = run(RIGHT.replace("a + b", "a - b"), tests)

    assert result.passed is False
    assert "two and three" in result.detail or "FAILED" in result.detail


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "raise SystemExit",
        "def add(a, b):\n    raise SystemExit(0)",
        "def add(a, b):\n    import os; os._exit(0)",
    ],
)
def test_leaving_the_program_is_not_passing(code):
    assert run(f"```python\n{code}\n```").passed is False


def test_it_knows_nothing_of_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a secret")
    tests = "import os\nassert set(os.environ) <= set('HOME TMPDIR LANG OMP_NUM_THREADS "
    tests += "OPENBLAS_NUM_THREADS LC_CTYPE'.split()), sorted(os.environ)\n"
    tests += "assert sorted(os.listdir()) == ['errors.txt', 'reply.py', 'tests.py']\n"

    result = run(RIGHT, tests)

    assert result.passed is True, result.detail


def test_it_ends_in_time_with_all_it_started(tmp_path):
    alive = tmp_path / "alive"
    code = (
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "try:\n    os.fork()\nexcept OSError:\n    pass\n"
        f"while True:\n    open({str(alive)!r}, 'ab').write(b'.')\n    time.sleep(0.01)\n"
    )

    result = run(f"```\n{code}```", timeout_s=1.5)

    assert result.passed is False
    assert "1.5 s" in result.detail
    size = alive.stat().st_size
    time.sleep(0.2)
    assert alive.stat().st_size == size > 0


def test_the_tasks_own_time_is_shorter():
    assert "0.2 s" in run("```\nwhile True: pass\n```", remaining_s=0.2).detail


def test_memory_and_files_are_bounded():
    def doing(what):
        return run(f"{RIGHT}\n```python\n{what}\n```", memory_bytes=500_000_000)

    assert doing("kept = bytearray(200_000_000)").passed is True
    assert "MemoryError" in doing("kept = bytearray(600_000_000)").detail
    write = "with open('big', 'wb') as out:\n    out.write(bytes(%d))"
    assert doing(write % 5_000_000).passed is True
    assert "File too large" in doing(write % 20_000_000).detail


@pytest.mark.skipif(os.geteuid() == 0, reason="the kernel does not count root's processes")
def test_it_starts_no_process():
    assert run(f"```\nimport os\nos.fork()\n{RIGHT}\n```").passed is False


async def test_whoever_cancels_it_leaves_nothing_behind(tmp_path):
    started = tmp_path / "pid"
    code = f"import os, time\nopen({str(started)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    asked = ExecutionCheck(file="t.py", code=TESTS, timeout_s=60)
    completion = Completion(text=f"```\n{code}\n```", finish_reason="stop")
    checking = asyncio.create_task(check_tests(completion, asked, remaining_s=60))
    while not (started.exists() and started.read_text()):
        await asyncio.sleep(0.02)

    checking.cancel()
    await asyncio.wait([checking])

    assert checking.cancelled()
    with pytest.raises(ProcessLookupError):
        os.killpg(int(started.read_text()), 0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\na = 1\n```\ntext\n```py\nb = a\n```", "a = 1\n\nb = a\n"),
        ("```bash\npip install x\n```\n```\na = 1\n```", "a = 1\n"),
        ("a = 1", "a = 1"),
        ("The answer is 5.", None),
        ("# only words", None),
        ("", None),
        ("```python\na = = 1\n```", "a = = 1\n"),
    ],
)
def test_code_is_found_in_its_fences(text, code):
    assert code_of(text) == code


def test_no_code_passes_no_tests():
    assert run("I cannot.").passed is False


def test_a_reply_that_only_calls_tools_is_not_judged():
    completion = Completion(
        text="", finish_reason="tool_calls", tool_calls=(ToolCall("1", "f", "{}"),)
    )
    asked = ExecutionCheck(file="t.py", code=TESTS)

    assert asyncio.run(check_tests(completion, asked, remaining_s=60)).passed is None


def test_it_runs_with_this_interpreter():
    tests = f"import sys\nassert sys.version_info[:3] == {sys.version_info[:3]}\n"
    assert run(RIGHT, tests).passed is True
