from __future__ import annotations

import hashlib
import json
import random
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from pathways import pool as pool_file
from pathways.errors import BlobError
from pathways.modules import Frozen, ModuleSpec
from pathways.pool import Pool, same

SPEC = ModuleSpec("linear", {"dim": 2})
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
DTYPES = (*FLOATS, torch.int64, torch.int32, torch.uint8, torch.bool)


def some(value: float = 1.0, size: int = 4) -> dict[str, Tensor]:
    return {"w": torch.full((size,), value)}


def files(directory: Path) -> list[Path]:
    return sorted(p for p in directory.rglob("*") if p.is_file())


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, Tensor]:
    def one() -> Tensor:
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
        numbers = torch.randint(0, 256, shape, generator=generator).to(draw(st.sampled_from(DTYPES)))
        return numbers.transpose(0, -1) if draw(st.booleans()) and numbers.ndim > 1 else numbers

    names = draw(st.lists(st.text("abc._", min_size=1, max_size=4), unique=True, max_size=3))
    return {name: one() for name in names}


@given(tensors(), st.sampled_from(["module", "optimizer"]))
@settings(deadline=None, max_examples=60)
def test_saving_what_was_loaded_gives_equal_bytes(given: dict[str, Tensor], kind: str) -> None:
    with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
        first, second = Pool(a), Pool(b)
        blob = first.put(SPEC, given, kind=kind)
        loaded = first.get(blob, fresh=True)
        assert same(loaded, given)
        assert second.put(SPEC, loaded, kind=kind) == blob
        assert first.path(blob).read_bytes() == second.path(blob).read_bytes()
        assert hashlib.sha256(first.path(blob).read_bytes()).hexdigest() == blob
        assert first.kind(blob) == kind


def test_the_id_depends_on_spec_kind_names_types_and_bits(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    w = torch.zeros(4)
    expert = Frozen("a" * 64, SPEC)
    ids = [
        pool.put(SPEC, {"w": w}),
        pool.put(ModuleSpec("linear", {"dim": 3}), {"w": w}),
        pool.put(ModuleSpec("linear", {"dim": 2}, version=2), {"w": w}),
        pool.put(ModuleSpec("linear", {"dim": 2}, parts={"expert": expert}), {"w": w}),
        pool.put(SPEC, {"w": w}, kind="optimizer"),
        pool.put(SPEC, {"v": w}),
        pool.put(SPEC, {"w": w.to(torch.int32)}),
        pool.put(SPEC, {"w": w.reshape(2, 2)}),
        pool.put(SPEC, {"w": -w}),
    ]
    assert len(set(ids)) == len(ids)
    assert sorted(ids) == sorted(pool)


def test_equal_content_is_stored_once(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    blob = pool.put(SPEC, some())
    before = pool.path(blob).stat()
    assert Pool(tmp_path).put(SPEC, some()) == blob
    after = pool.path(blob).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert len(files(tmp_path)) == 1


def test_the_header_holds_only_what_is_hashed(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    blob = pool.put(SPEC, some())
    data = pool.path(blob).read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header.keys() == {"__metadata__", "w"}
    assert header["__metadata__"].keys() == {"pathways"}
    assert json.loads(header["__metadata__"]["pathways"]) == {"kind": "module", "spec": SPEC.identity()}
    assert pool.spec(blob) == SPEC.identity()
    assert pool.kind(blob) == "module"
    assert pool.bytes(blob) == len(data)


def test_a_blob_is_a_copy_that_later_training_does_not_change(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    live = some()
    blob = pool.put(SPEC, live)
    live["w"].fill_(7.0)
    assert pool.get(blob)["w"].tolist() == [1.0] * 4
    assert pool.get(blob, fresh=True)["w"].tolist() == [1.0] * 4


def test_a_parameter_is_stored_without_its_gradient(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    blob = pool.put(SPEC, {"w": torch.nn.Parameter(torch.ones(4))})
    assert blob == pool.put(SPEC, some())
    assert not pool.get(blob)["w"].requires_grad


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", no_space)
    pool = Pool(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        pool.put(SPEC, some())
    assert files(tmp_path) == []


def test_a_reader_never_sees_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the moment of the rename the whole file lies beside its target, under a temporary name."""
    seen: list[tuple[str, str]] = []
    pool = Pool(tmp_path)

    def replace(source: str, target: Path) -> None:
        assert not target.exists()
        seen.append((hashlib.sha256(Path(source).read_bytes()).hexdigest(), target.stem))
        Path(source).rename(target)

    monkeypatch.setattr("os.replace", replace)
    blob = pool.put(SPEC, some())
    assert seen == [(blob, blob)]
    assert [f.name for f in files(tmp_path)] == [f"{blob}.safetensors"]


@pytest.mark.parametrize("harm", ["missing", "truncated", "empty", "flipped", "another", "folder"])
def test_a_damaged_file_is_told_with_module_file_and_tasks(tmp_path: Path, harm: str) -> None:
    pool = Pool(tmp_path, needed_by=lambda blob: ["letters/Greek", "letters/Hebrew"])
    blob = pool.put(SPEC, some())
    target = pool.path(blob)
    data = bytearray(target.read_bytes())
    target.unlink()
    if harm == "truncated":
        target.write_bytes(data[:-3])
    elif harm == "empty":
        target.write_bytes(b"")
    elif harm == "flipped":
        data[-1] ^= 1
        target.write_bytes(data)
    elif harm == "another":
        target.write_bytes(save({"w": torch.zeros(9)}))
    elif harm == "folder":
        target.mkdir()
    assert not pool.intact(blob)
    with pytest.raises(BlobError) as error:
        pool.get(blob, fresh=True)
    for told in (blob[:12], str(target), "'letters/Greek', 'letters/Hebrew'", "restore the file"):
        assert told in str(error.value)
    with pytest.raises(BlobError, match=blob[:12]):
        Pool(tmp_path).spec(blob)


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    blob = pool.put(SPEC, some())
    whole = pool.path(blob).read_bytes()
    chosen = random.Random(0).sample(range(8 * len(whole)), 60)
    for bit in chosen:
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        pool.path(blob).write_bytes(data)
        with pytest.raises(BlobError, match="other bytes than its name says"):
            pool.get(blob, fresh=True)
    pool.path(blob).write_bytes(whole)
    assert pool.intact(blob)


def test_a_damaged_file_is_replaced_when_its_content_is_put_again(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    blob = pool.put(SPEC, some())
    pool.path(blob).write_bytes(b"torn")
    assert not pool.intact(blob)
    assert pool.put(SPEC, some()) == blob
    assert pool.intact(blob)
    assert [f.name for f in files(tmp_path)] == [f"{blob}.safetensors"]


def test_a_file_that_is_no_blob_but_hashes_to_its_name(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    contents = (b"not safetensors", save({"w": torch.zeros(1)}), save({"w": torch.zeros(1)}, {"pathways": "[]"}))
    for data in contents:
        blob = hashlib.sha256(data).hexdigest()
        pool.path(blob).parent.mkdir(parents=True, exist_ok=True)
        pool.path(blob).write_bytes(data)
        with pytest.raises(BlobError, match="no header"):
            pool.spec(blob)
    with pytest.raises(BlobError, match="no safetensors file"):
        pool.get(hashlib.sha256(contents[0]).hexdigest())


@pytest.mark.parametrize("name", ["../" * 3 + "etc/passwd", "..", "", "a" * 63, "A" * 64, "/" * 64, "g" * 64, "a" * 65])
def test_an_id_never_leaves_the_directory(tmp_path: Path, name: str) -> None:
    pool = Pool(tmp_path)
    for use in (pool.get, pool.path, pool.spec, pool.bytes, pool.__contains__):
        with pytest.raises(BlobError, match="64 hexadecimal digits"):
            use(name)


def test_collecting_keeps_what_is_reachable_and_clears_torn_writes(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    blobs = [pool.put(SPEC, some(float(i))) for i in range(6)]
    keep, drop = set(blobs[:2]), set(blobs[2:])
    torn = pool.path(blobs[0]).parent / ".tmp-torn"
    torn.write_bytes(b"half")
    assert set(pool.collect(keep)) == drop
    assert set(pool) == keep
    assert not torn.exists()
    for blob in drop:
        assert blob not in pool
        with pytest.raises(BlobError, match="cannot be read"):
            pool.get(blob)
    for blob in keep:
        assert pool.intact(blob)
    assert pool.collect(keep) == []


def test_files_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    blob = pool.put(SPEC, some())
    strays = [tmp_path / "README", tmp_path / "ab" / "notes.safetensors", tmp_path / "ab" / f"{'c' * 64}.safetensors"]
    strays[1].parent.mkdir(exist_ok=True)
    for stray in strays:
        stray.write_text("mine")
    assert list(pool) == [blob]
    assert pool.collect([]) == [blob]
    assert all(stray.exists() for stray in strays)


def test_a_pool_without_a_directory_is_empty(tmp_path: Path) -> None:
    pool = Pool(tmp_path / "none")
    assert list(pool) == []
    assert pool.collect([]) == []
    assert "a" * 64 not in pool
    assert not (tmp_path / "none").exists()


@given(st.lists(st.tuples(st.integers(0, 7), st.booleans()), min_size=1, max_size=25))
@settings(deadline=None, max_examples=30)
def test_the_cache_stays_within_its_bytes(uses: list[tuple[int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        pool = Pool(directory, cache_bytes=100)
        for number, collect in uses:  # blobs of 0, 12, ... 84 bytes
            blob = pool.put(SPEC, some(1.0, 3 * number))
            assert pool.get(blob)["w"].numel() == 3 * number
            if collect:
                pool.collect(sorted(pool)[:2])
            held = sum(t.numel() * t.element_size() for held in pool._cache.values() for t in held.values())
            assert held == pool._cached
            assert held <= 100
            assert all(blob in pool for blob in pool._cache)


def test_a_cached_blob_is_not_read_again_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(tmp_path)
    blob = pool.put(SPEC, some())
    pool.path(blob).unlink()
    assert pool.get(blob)["w"].tolist() == [1.0] * 4
    with pytest.raises(BlobError):
        pool.get(blob, fresh=True)


def test_sync_reaches_the_file_and_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(tmp_path)
    blobs = [pool.put(SPEC, some(float(i))) for i in range(2)]
    synced: list[str] = []
    monkeypatch.setattr(pool_file.os, "fsync", lambda handle: synced.append(Path(f"/dev/fd/{handle}").resolve().name))
    pool.sync(blobs)
    assert set(synced) == {p.name for blob in blobs for p in (pool.path(blob), pool.path(blob).parent)}


def test_same_compares_bits_not_numbers() -> None:
    nan = torch.tensor([float("nan"), 0.0])
    assert same({"w": nan}, {"w": nan.clone()})
    assert not same({"w": torch.tensor([0.0])}, {"w": torch.tensor([-0.0])})
    assert not same({"w": nan}, {"v": nan})
    assert not same({"w": torch.zeros(2)}, {"w": torch.zeros(2, dtype=torch.int32)})
    assert not same({"w": torch.zeros(2)}, {"w": torch.zeros(1, 2)})
