"""Rows read lately are the present rows, whichever process wrote last."""

import pytest

from orchestrator.memo import recent
from orchestrator.memo.disk import DiskStore
from orchestrator.memo.recent import Recent, Unknown

KEY = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture
def stores(tmp_path):
    pair = [DiskStore(tmp_path / "memo") for _ in range(2)]
    for store in pair:
        store.open()
    yield pair
    for store in pair:
        store.close()


def test_another_handles_writes_are_seen_at_once(stores):
    one, other = stores
    assert other.get(KEY) is None
    one.put(KEY, b"1", keep_for_s=60.0)
    assert other.get(KEY) == b"1"
    assert other.get(KEY) is other.get(KEY)  # read once
    one.put(KEY, b"2", keep_for_s=60.0)
    assert other.get(KEY) == b"2"
    one.delete([KEY])
    assert other.get(KEY) is None
    assert other.sources(["a"]) == [None]
    one.add_source("a", b"1")
    assert other.sources(["a"]) == [b"1"]
    one.set_source("a", b"2")
    assert other.sources(["a"]) == [b"2"]


def test_a_row_read_before_a_write_is_not_kept_as_the_present_one(tmp_path):
    rows = Recent(tmp_path / "written")
    token = rows.token(KEY)
    rows.all_written()
    rows.keep(KEY, token, b"old", 60.0)
    assert isinstance(rows.find(KEY), Unknown)
    rows.keep(KEY, rows.token(KEY), None, 60.0)
    assert rows.find(KEY) is None
    rows.close()


def test_a_row_is_believed_for_a_moment_only(tmp_path, monkeypatch):
    rows = Recent(tmp_path / "written")
    monkeypatch.setattr(recent.time, "monotonic", lambda: 0.0)
    rows.keep(KEY, rows.token(KEY), b"x", 60.0)
    rows.keep(OTHER, rows.token(OTHER), b"x", 0.5)
    monkeypatch.setattr(recent.time, "monotonic", lambda: 0.6)
    assert rows.find(KEY) == b"x"
    assert isinstance(rows.find(OTHER), Unknown)
    monkeypatch.setattr(recent.time, "monotonic", lambda: recent.VALID_S + 0.01)
    assert isinstance(rows.find(KEY), Unknown)
    rows.close()


def test_memory_is_bounded(tmp_path):
    rows = Recent(tmp_path / "written")
    for number in range(recent.MAX_ROWS * 3):
        rows.keep(f"row {number}", b"", b"", 60.0)
    assert len(rows._rows) <= recent.MAX_ROWS
    for number in range(100):
        rows.keep(f"row {number}", b"", bytes(recent.MAX_BYTES // 10), 60.0)
    assert sum(len(row[2]) for row in rows._rows.values()) <= recent.MAX_BYTES
    rows.close()


@pytest.mark.parametrize("slots", [(0, 8), (8, 8)])
def test_a_row_just_written_is_kept_unless_someone_else_wrote_meanwhile(tmp_path, slots):
    one, other = Recent(tmp_path / "written"), Recent(tmp_path / "written")
    one._slot, other._slot = slots
    before = one.token(KEY)
    one.written(KEY, before, b"mine", 60.0)
    assert one.find(KEY) == b"mine"
    one.written(OTHER, one.token(OTHER), b"another row", 60.0)
    assert one.find(KEY) == b"mine"
    before = one.token(KEY)
    other.written(KEY, other.token(KEY), b"theirs", 60.0)  # after my commit, before my mark
    one.written(KEY, before, b"mine", 60.0)
    assert isinstance(one.find(KEY), Unknown)
    one.close()
    other.close()


def test_shared_memory_has_blocks_on_the_disk(tmp_path):
    """Else writing there on a full disk ends the process: no error, but a signal."""
    rows = Recent(tmp_path / "written")
    rows.close()
    facts = (tmp_path / "written").stat()
    assert facts.st_blocks * 512 >= facts.st_size
