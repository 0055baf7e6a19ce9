"""Every store keeps the same promises."""

import stat
import time

import pytest

from orchestrator.memo.disk import BytesDisk, DiskStore
from orchestrator.memo.memory_store import MemoryStore
from orchestrator.memo.redis_store import RedisStore
from orchestrator.memo.settings import StoreSettings
from orchestrator.memo.store import StoreFault, ValueRefused
from orchestrator.testing.memo_store import KEY, MemoStoreContract


class TestMemoryStore(MemoStoreContract):
    shared = False

    @pytest.fixture
    def open_store(self):
        return MemoryStore


class TestDiskStore(MemoStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path):
        opened = []

        def make(settings=None):
            opened.append(DiskStore(tmp_path / "memo", settings))
            return opened[-1]

        yield make
        for store in opened:
            store.close()

    def test_the_directory_is_for_its_owner_alone(self, tmp_path):
        directory = tmp_path / "memo"
        directory.mkdir(mode=0o755)
        directory.chmod(0o755)
        store = DiskStore(directory)
        store.open()
        store.put(KEY, b"x", keep_for_s=60.0)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        store.close()

    def test_what_was_deleted_is_nowhere_in_the_directory(self, tmp_path):
        store = DiskStore(tmp_path / "memo")
        store.open()
        store.put(KEY, b"the very secret reply" * 50, keep_for_s=60.0)
        assert store.delete([KEY]) == 1
        store.scrub()
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert files
        assert not any(b"very secret" in path.read_bytes() for path in files)
        store.close()

    def test_a_store_that_is_not_open_says_so(self, tmp_path):
        with pytest.raises(StoreFault, match="not open"):
            DiskStore(tmp_path).get(KEY)

    def test_is_trimmed_to_its_bytes(self, tmp_path):
        store = DiskStore(tmp_path / "memo", StoreSettings(size_limit_bytes=400_000))
        store.open()
        for number in range(100):
            store.put(f"{number:064x}", b"x" * 10_000, keep_for_s=60.0)
        store.trim()
        extent = store.extent()
        assert extent.size_bytes <= 400_000
        assert extent.entries > 20
        store.close()


class TestRedisStore(MemoStoreContract):
    limits_count = False

    @pytest.fixture
    def open_store(self, redis_server):
        redis_server.flushall()
        opened = []

        def make(settings=None, **more):
            opened.append(RedisStore(f"unix://{redis_server.socket_file}", settings, **more))
            return opened[-1]

        yield make
        for store in opened:
            store.close()

    def test_a_claim_outlives_its_term_while_its_owner_lives(self, open_store):
        owner, other = open_store(claim_s=0.3), open_store(claim_s=0.3)
        assert owner.claim(KEY)
        with pytest.raises(TimeoutError):
            _until(lambda: other.claim(KEY), seconds=1.0)

    def test_a_claim_ends_with_its_owner(self, open_store):
        owner, other = open_store(claim_s=0.3), open_store(claim_s=0.3)
        assert owner.claim(KEY)
        owner._closed.set()  # its thread dies, and it cannot give anything back
        owner._held.clear()
        _until(lambda: other.claim(KEY), seconds=5.0)

    def test_a_server_out_of_reach_is_a_fault(self, tmp_path):
        store = RedisStore(f"unix://{tmp_path}/nowhere.sock")
        with pytest.raises(StoreFault, match="Redis"):
            store.open()
        store.close()


def _until(call, *, seconds):
    end = time.monotonic() + seconds
    while not call():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


@pytest.mark.parametrize("mode", [2, 3, 4])
def test_the_disk_refuses_every_mode_but_plain_bytes(tmp_path, mode):
    with pytest.raises(ValueRefused):
        BytesDisk(str(tmp_path)).fetch(mode, None, b"cos\nsystem\n(S'true'\ntR.", read=False)
