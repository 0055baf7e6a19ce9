"""What every memo store must do, as tests: subclass, give ``open_store``, and let pytest run it.

::

    class TestMyStore(MemoStoreContract):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda settings=StoreSettings(): MyStore(tmp_path, settings)

Each call of ``open_store`` makes another handle to the *same* store, not opened yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.memo.settings import StoreSettings
from orchestrator.memo.store import Store, ValueRefused

KEY = "ab" * 32
OTHER = "cd" * 32
LONG_S = 3600.0

OpenStore = Callable[..., Store]


class MemoStoreContract:
    """Inherited by a test class for each store.

    Attributes:
        shared: Whether two handles see the same entries and claims.
        limits_count: Whether the store itself enforces ``max_entries``.
    """

    shared = True
    limits_count = True

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Store:
        """One open handle."""
        store = open_store()
        store.open()
        return store

    def test_gives_back_exactly_the_bytes_it_was_given(self, store: Store) -> None:
        """Every byte, none, and many."""
        for value in (b"", bytes(range(256)), b"\x80\x04." * 10_000):
            store.put(KEY, value, keep_for_s=LONG_S)
            assert store.get(KEY) == value
            assert type(store.get(KEY)) is bytes

    def test_knows_nothing_of_a_key_that_was_not_put(self, store: Store) -> None:
        """Nor of one that merely begins the same."""
        store.put(KEY, b"x", keep_for_s=LONG_S)
        assert store.get(OTHER) is None
        assert store.get(KEY[:-1]) is None

    @pytest.mark.parametrize("value", ["text", 7, None, ["a"], bytearray(b"x"), object()])
    def test_refuses_what_is_no_bytes(self, store: Store, value: object) -> None:
        """Nothing is pickled, nothing is converted."""
        with pytest.raises(ValueRefused):
            store.put(KEY, value, keep_for_s=LONG_S)  # type: ignore[arg-type] # on purpose
        assert store.get(KEY) is None

    def test_refuses_what_is_too_large(self, open_store: OpenStore) -> None:
        """The old value stays."""
        store = open_store(StoreSettings(max_value_bytes=10))
        store.open()
        store.put(KEY, b"0123456789", keep_for_s=LONG_S)
        with pytest.raises(ValueRefused):
            store.put(KEY, b"01234567890", keep_for_s=LONG_S)
        assert store.get(KEY) == b"0123456789"

    def test_lets_an_entry_go_when_its_time_is_over(self, store: Store) -> None:
        """Not only hidden: trimmed."""
        store.put(KEY, b"x", keep_for_s=0.02)
        store.put(OTHER, b"x", keep_for_s=LONG_S)
        time.sleep(0.05)
        assert store.get(KEY) is None
        store.trim()
        assert list(store.scan()) == [OTHER]

    def test_keeps_nothing_longer_than_the_limit_of_age(self, open_store: OpenStore) -> None:
        """Whatever the entry's own rules say."""
        store = open_store(StoreSettings(max_age_s=0.02))
        store.open()
        store.put(KEY, b"x", keep_for_s=LONG_S)
        time.sleep(0.05)
        assert store.get(KEY) is None

    def test_trims_what_is_asked_for_least(self, open_store: OpenStore) -> None:
        """A full store keeps what is wanted, not what is new."""
        if not self.limits_count:
            pytest.skip("the limit of size is the server's own")
        store = open_store(StoreSettings(max_entries=20))
        store.open()
        keys = [f"{number:064x}" for number in range(40)]
        for key in keys[:20]:
            store.put(key, b"x", keep_for_s=LONG_S)
        for key in keys[:10]:
            store.get(key)
        for key in keys[20:]:
            store.put(key, b"x", keep_for_s=LONG_S)
        store.trim()
        left = set(store.scan())
        assert set(keys[:10]) <= left
        assert 15 <= len(left) <= 20  # noqa: PLR2004 - trimmed to the limit, and not far below
        assert store.extent().entries == len(left)

    def test_deletes_and_counts(self, store: Store) -> None:
        """Only what was there counts."""
        store.put(KEY, b"x", keep_for_s=LONG_S)
        assert store.delete([KEY, OTHER]) == 1
        assert store.delete([KEY]) == 0
        assert list(store.scan()) == []

    def test_keeps_the_versions_of_sources(self, store: Store) -> None:
        """The first of two that add wins; setting replaces."""
        assert list(store.sources(["a", "b"])) == [None, None]
        assert store.add_source("a", b"1") == b"1"
        assert store.add_source("a", b"2") == b"1"
        store.set_source("b", b"3")
        store.set_source("b", b"4")
        store.trim()
        assert list(store.sources(["b", "missing", "a"])) == [b"4", None, b"1"]
        assert list(store.scan()) == []

    def test_gives_a_claim_to_one_and_then_to_the_next(self, store: Store) -> None:
        """And the claims of other keys are other claims."""
        assert store.claim(KEY)
        assert not store.claim(KEY)
        assert store.claim(OTHER)
        store.release(KEY)
        assert store.claim(KEY)
        store.release(KEY)
        store.release(KEY)
        store.release(OTHER)

    def test_gives_a_claim_to_one_of_many_threads(self, store: Store) -> None:
        """Exactly one."""
        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(store.claim, [KEY] * 64)) == 1
        store.release(KEY)

    def test_two_handles_are_one_store(self, open_store: OpenStore, store: Store) -> None:
        """Entries, sources and claims are seen by both; closing one gives its claims back."""
        if not self.shared:
            pytest.skip("each handle is a store of its own")
        other = open_store()
        other.open()
        store.put(KEY, b"x", keep_for_s=LONG_S)
        store.set_source("a", b"1")
        assert other.get(KEY) == b"x"
        assert list(other.sources(["a"])) == [b"1"]
        assert store.claimed_elsewhere()
        assert store.claim(KEY)
        assert not other.claim(KEY)
        other.release(KEY)  # not its own: nothing happens
        assert not other.claim(KEY)
        store.close()
        assert other.claim(KEY)
        other.close()
