"""The code, the policies and the commands that the documentation shows are run."""

import ast
import asyncio
import importlib.util
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from orchestrator.core.errors import PolicyError
from orchestrator.policy.load import load_policy
from orchestrator.testing.upstream.recording import RecordedReply
from orchestrator.testing.upstream.server import Upstream

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "docs" / "cli.md"
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {GENERATED})
SHOWN_AT = datetime(2026, 12, 1, tzinfo=UTC)
"""When the pages' policies are read: the dated rates in them grow old."""
NOT_OURS = {".", "cd", "export", "git", "pip", "uv"}


def run_python(example: Example) -> None:
    """Run a block that may await, in the namespace of its page."""
    source = "\n" * (example.line + example.parsed.line_offset) + example.parsed
    code = compile(source, example.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    pending = eval(code, example.namespace)
    if inspect.iscoroutine(pending):
        asyncio.run(pending)


def load_as_policy(example: Example) -> None:
    policy = Path("policies", "teams", "shown.yaml")
    policy.write_text(example.parsed, encoding="utf-8")
    load_policy(policy, at=SHOWN_AT)


def check_commands(example: Example) -> None:
    lines = example.parsed.replace("\\\n", " ").splitlines()
    for line in lines:
        if line.startswith("$ "):
            check_command(shlex.split(line.removeprefix("$ "), comments=True))


def check_command(words: list[str]) -> None:
    """Fail unless the command exists and takes these options. It is not run."""
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    match words:
        case ["orchestrator", *arguments]:
            assert shutil.which("orchestrator", path=str(Path(sys.executable).parent))
            asked = [sys.executable, "-c", ASK_FOR_HELP, *arguments, "--help"]
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr or done.stdout}"
        case ["make", *arguments]:
            subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True)
        case ["python", "-m", module, *_]:
            assert importlib.util.find_spec(module), f"{module} does not exist"
        case ["python" | ".venv/bin/python", script, *_] if script.endswith(".py"):
            assert (ROOT / script).is_file(), f"{script} does not exist"
        case [program, *_]:
            assert program in NOT_OURS, f"nobody knows whether {program!r} exists"


ASK_FOR_HELP = """
import sys
from orchestrator.cli.main import main
sys.argv[0] = "orchestrator"
main()
"""
PARSERS = (
    SkipParser(),
    CodeBlockParser("python", run_python),
    CodeBlockParser("yaml", load_as_policy),
    CodeBlockParser("console", check_commands),
)


MODEL = re.compile(r"\{model: \w+/([\w.-]+)")


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    """Answers whatever the shown code asks of the models of the shipped policies."""
    names = set(MODEL.findall((ROOT / "policies" / "org.yaml").read_text(encoding="utf-8")))
    replies = [RecordedReply(model=name, prompt="e", response="Forty-two.") for name in names]
    with Upstream(replies).serve_in_thread() as upstream:
        yield upstream


@pytest.fixture(autouse=True)
def _a_directory_with_the_policies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Upstream
):
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    served = rf"{{model: openai/\1, api_base: '{provider.url}', price: {{input: 1, output: 4}}"
    org = tmp_path / "policies" / "org.yaml"
    org.write_text(MODEL.sub(served, org.read_text(encoding="utf-8")), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "unused")


def evaluate(page: Path) -> int:
    examples = list(Document.parse(str(page), *PARSERS))
    for example in examples:
        example.evaluate()
    return len(examples)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_shows_works(page: Path):
    shown = re.findall(r"^ *```(?:python|yaml|console)$", page.read_text("utf-8"), re.MULTILINE)

    evaluated = evaluate(page)  # raises at a block that does not, as seen on broken ones below

    assert evaluated >= len(shown), "a block was passed over"


def test_every_block_is_of_a_kind_that_is_checked():
    fences = re.compile(r"^```(.*)$", re.MULTILINE)
    kinds = {
        f"{page.name}: {kind or 'no language'}"
        for page in PAGES
        for kind in fences.findall(page.read_text(encoding="utf-8"))[::2]
        if kind not in {"python", "yaml", "console", "text", "json"}
    }

    assert kinds == set()


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        ("python", "import asyncio\nawait asyncio.sleep(0)\nassert False, 'it ran'"),
        ("yaml", "team: research\nbugdets: {}"),
        ("console", "$ orchestrator nonsense"),
        ("console", "$ orchestrator demo --nonsense"),
        ("console", "$ LANG=C make nonsense"),
        ("console", "$ python examples/nonsense.py"),
        ("console", "$ nonsense"),
    ],
)
def test_a_block_that_does_not_work_is_found(tmp_path: Path, kind: str, block: str):
    page = tmp_path / "page.md"
    page.write_text(f"```{kind}\n{block}\n```\n", encoding="utf-8")

    with pytest.raises((AssertionError, PolicyError, subprocess.CalledProcessError)):
        evaluate(page)
