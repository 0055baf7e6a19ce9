"""No module holds state: two orchestrators in one process share nothing by accident.

A list, dict or set at module level is fine if its annotation is a read-only type, because then the
type checker proves that nothing writes to it.
"""

import ast
from pathlib import Path

import pytest

READ_ONLY = {"Collection", "Final", "Mapping", "Sequence", "Set", "tuple", "frozenset"}
WRITABLE_CALLS = {"Counter", "OrderedDict", "bytearray", "defaultdict", "deque", "dict", "list"}
WRITABLE_CALLS |= {"set", "WeakKeyDictionary", "WeakSet", "WeakValueDictionary"}
DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


def is_writable(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        function = value.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        return name in WRITABLE_CALLS
    return isinstance(value, DISPLAYS)


def is_read_only(annotation: ast.expr) -> bool:
    outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    if (
        isinstance(outer, ast.Name)
        and outer.id == "Final"
        and isinstance(annotation, ast.Subscript)
    ):
        return is_read_only(annotation.slice)
    return isinstance(outer, ast.Name) and outer.id in READ_ONLY - {"Final"}


def writable_names(source: str) -> list[str]:
    found: list[str] = []
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=targets, value=value) if is_writable(value):
                found += map(ast.unparse, targets)
            case ast.AnnAssign(target=target, annotation=annotation, value=value) if is_writable(
                value
            ) and not is_read_only(annotation):
                found.append(ast.unparse(target))
    return [name for name in found if name != "__all__"]


def test_no_module_holds_state(package_files: list[Path], root: Path):
    found = {
        str(path.relative_to(root)): names
        for path in package_files
        if (names := writable_names(path.read_text(encoding="utf-8")))
    }

    assert found == {}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("cache = {}", ["cache"]),
        ("CACHE = collections.defaultdict(list)", ["CACHE"]),
        ("seen: set[str] = set()", ["seen"]),
        ("ORDER: Final = ['a']", ["ORDER"]),
        ("ORDER: Final[list[str]] = ['a']", ["ORDER"]),
        ("TABLE: Mapping[str, int] = {'a': 1}", []),
        ("TABLE: Final[Mapping[str, int]] = {'a': 1}", []),
        ("NAMES = ('a', 'b')", []),
        ("__all__ = ['a']", []),
    ],
)
def test_what_counts_as_state(source: str, names: list[str]):
    assert writable_names(source) == names
