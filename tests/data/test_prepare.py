from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data import Prepared, open_data, prepare, sources
from nas.data.image import draw
from nas.errors import InputError, NasError
from nas.progress import Step
from tests.data.pictures import folder_of, picture, save

_MARGIN = 9  # of 8: 8/7 of it, rounded


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "photos", {"cats": 10, "dogs": 10})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was decoded for good."""
    found: list[bytes] = []

    def counted(content: bytes, *how: object) -> object:
        found.append(content)
        return draw(content, *how)  # type: ignore[arg-type]

    monkeypatch.setattr(sources, "draw", counted)
    return found


def caches(workspace: Path) -> list[Path]:
    return sorted(path for path in (workspace / "runs" / "data").glob("*/*") if path.is_dir())


def same(one: Prepared, other: Prepared) -> bool:
    pairs = [(one.train, other.train), (one.val, other.val), (one.test, other.test)]
    return one.digest == other.digest and all(
        np.array_equal(a.images, b.images) and np.array_equal(a.labels, b.labels) and a.names == b.names
        for a, b in pairs
    )


def test_splits_and_pixels(photos: Path) -> None:
    found = prepare(open_data(photos), size=(8, 8))
    assert found.train.images.shape == (14, _MARGIN, _MARGIN, 3)
    assert (found.val.images.shape, found.test.images.shape) == ((2, 8, 8, 3), (4, 8, 8, 3))
    assert sorted(found.train.names + found.val.names + found.test.names) == sorted(open_data(photos).names)
    for split in (found.train, found.val, found.test):
        assert split.images.dtype == np.uint8
        assert [found.classes[label] for label in split.labels] == [name.split("/")[0] for name in split.names]
    for image, name in zip(found.val.images, found.val.names, strict=True):
        # 8 high and 12 wide: the middle eight columns, as they are.
        assert np.array_equal(image, np.asarray(Image.open(photos / name))[:, 2:10])


def test_images_of_the_wanted_size_keep_their_pixels(photos: Path) -> None:
    found = prepare(open_data(photos), size=(8, 12))
    for split in (found.train, found.val, found.test):
        for image, name in zip(split.images, split.names, strict=True):
            assert np.array_equal(image, np.asarray(Image.open(photos / name)))


def test_channels_follow_the_data_or_the_wish(photos: Path, tmp_path: Path) -> None:
    assert prepare(open_data(photos), size=(8, 8), channels=1).test.images.shape == (4, 8, 8, 1)
    for path in photos.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    gray = open_data(photos)
    assert prepare(gray, size=(8, 8)).test.images.shape == (4, 8, 8, 1)
    color = prepare(gray, size=(8, 8), channels=3).test.images
    assert color.shape == (4, 8, 8, 3) and np.array_equal(color[..., 0], color[..., 2])


def test_decoded_once(photos: Path, tmp_path: Path, decoded: list[bytes]) -> None:
    first = prepare(open_data(photos), size=(8, 8))
    assert len(decoded) == 20
    assert same(prepare(open_data(photos), size=(8, 8)), first) and len(decoded) == 20
    assert len(caches(tmp_path)) == 1
    other = prepare(open_data(photos), size=(8, 8), seed=1)
    assert other.digest != first.digest and len(decoded) == 40 and len(caches(tmp_path)) == 2
    assert same(prepare(open_data(photos), size=(8, 8)), first) and len(decoded) == 40
    prepare(open_data(photos), size=(6, 6))
    assert len(caches(tmp_path)) == 3


def test_a_copy_of_the_data_has_their_digest(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "elsewhere" / "copy")
    assert same(
        prepare(open_data(photos), size=(8, 8)), prepare(open_data(tmp_path / "elsewhere" / "copy"), size=(8, 8))
    )


def test_changed_data_are_decoded_again_and_the_old_cache_goes(photos: Path, tmp_path: Path) -> None:
    first = prepare(open_data(photos), size=(8, 8))
    name = first.val.names[0]
    save(photos / name, picture(500))
    second = prepare(open_data(photos), size=(8, 8))
    assert second.digest != first.digest and len(caches(tmp_path)) == 1
    split = next(s for s in (second.train, second.val, second.test) if name in s.names)
    if split is not second.train:
        assert np.array_equal(split.images[split.names.index(name)], picture(500)[:, 2:10])
    (photos / "cats" / "000.png").rename(photos / "dogs" / "moved.png")  # the same pixels, another label
    assert prepare(open_data(photos), size=(8, 8)).digest not in (first.digest, second.digest)


def test_data_changed_after_they_were_checked(photos: Path, tmp_path: Path) -> None:
    found = open_data(photos)
    save(photos / "dogs" / "009.png", picture(501))
    with pytest.raises(NasError, match=r"dogs/009.png has changed; start again"):
        prepare(found, size=(8, 8))
    assert caches(tmp_path) == []


@pytest.mark.parametrize("damage", ["flip", "cut", "manifest", "lost"])
def test_a_damaged_cache_is_made_again(photos: Path, tmp_path: Path, damage: str) -> None:
    first = prepare(open_data(photos), size=(8, 8))
    (folder,) = caches(tmp_path)
    train = folder / "train.npy"
    content = bytearray(train.read_bytes())
    content[-1] ^= 1
    if damage == "flip":
        train.write_bytes(content)
    elif damage == "cut":
        train.write_bytes(content[:-100])
    elif damage == "manifest":
        (folder / "manifest.json").write_text("{")
    else:
        train.unlink()
    assert same(prepare(open_data(photos), size=(8, 8)), first)
    assert caches(tmp_path) == [folder]


def test_what_is_large_is_mapped(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = open_data(photos)
    first = prepare(found, size=(8, 8))
    assert not isinstance(first.train.images, np.memmap)
    # Some 5 kB in all: the free memory is less than four times that.
    monkeypatch.setattr("nas.data.cache.free_memory", lambda: 16_000)
    second = prepare(found, size=(8, 8))
    assert isinstance(second.train.images, np.memmap) and not second.train.images.flags.writeable
    assert same(first, second)


def test_what_is_shared_is_mapped_however_small(photos: Path) -> None:
    alone, one, other = (prepare(open_data(photos), size=(8, 8), shared=shared) for shared in (False, True, True))
    for split in (one.train, one.val, other.test):
        assert isinstance(split.images, np.memmap)
    assert same(alone, one) and same(one, other)


def test_no_room_is_told_before_anything_is_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = open_data(photos)
    usage = shutil.disk_usage(tmp_path)
    # 14 of 9 × 9 and 6 of 8 × 8 with three channels, and 64 MiB that are left free.
    needed = 3 * (14 * 81 + 6 * 64)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=needed + 2**26 - 1))
    with pytest.raises(NasError, match=r"take 4\.55 kB, which must fit the disk of .*67\.1 MB are free.*--workspace"):
        prepare(found, size=(8, 8))
    assert caches(tmp_path) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=needed + 2**26))
    assert len(prepare(found, size=(8, 8)).train) == 14


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fails_while_written_to(photos: Path, tmp_path: Path) -> None:
    found = open_data(photos)
    with files_of_at_most(2000), pytest.raises(NasError, match=r"must have room"):
        prepare(found, size=(8, 8))
    assert caches(tmp_path) == []


def test_an_interruption_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    found = open_data(photos)

    def interrupt(step: Step) -> None:
        if step.done == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(found, size=(8, 8), progress=interrupt)
    assert caches(tmp_path) == []
    assert len(prepare(found, size=(8, 8)).train) == 14


_PREPARE = """
import sys
from nas.data import open_data, prepare

def slow(step):
    print(step.doing, int(step.done), flush=True)
    if step.doing == "decoding images" and step.done == 5:
        sys.stdin.read(1)

prepare(open_data(sys.argv[1]), size=(8, 8), progress=slow)
"""


def preparing(photos: Path) -> subprocess.Popen[str]:
    """A process that prepares `photos`, and at the fifth image waits for a byte of its stdin."""
    command = [sys.executable, "-c", _PREPARE, str(photos)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert any(said.strip() == line for said in process.stdout), f"must say {line!r}"


def test_a_killed_process_leaves_nothing_that_is_read(photos: Path, tmp_path: Path) -> None:
    with preparing(photos) as process:
        wait_for(process, "decoding images 5")
        process.kill()
    (left,) = caches(tmp_path)
    assert left.name.endswith(".part")
    assert len(prepare(open_data(photos), size=(8, 8)).train) == 14
    (folder,) = caches(tmp_path)
    assert folder.name.startswith("8x8x3-seed0-")


def test_two_processes_decode_once(photos: Path) -> None:
    with preparing(photos) as one:
        wait_for(one, "decoding images 5")
        with preparing(photos) as other:
            wait_for(other, "waiting for another process that decodes these images 0")
            assert one.stdin is not None and other.stdout is not None
            one.stdin.write("x")
            one.stdin.flush()
            assert "decoding" not in other.stdout.read()
    assert (one.returncode, other.returncode) == (0, 0)


def test_arrays_of_the_wanted_size_need_no_cache(tmp_path: Path) -> None:
    x = np.stack([picture(i, 8, 8) for i in range(20)])
    np.savez(tmp_path / "set.npz", x_train=x[:15], y_train=np.arange(15) % 2, x_test=x[15:], y_test=np.arange(5) % 2)
    found = prepare(open_data(tmp_path / "set.npz"), size=(8, 8))
    assert not (tmp_path / "runs").exists()
    assert np.array_equal(found.test.images, x[15:])
    assert [found.train.images[i].tolist() for i in range(13)] == [
        x[int(name.removeprefix("x_train[").removesuffix("]"))].tolist() for name in found.train.names
    ]
    smaller = prepare(open_data(tmp_path / "set.npz"), size=(4, 4))
    assert (smaller.train.images.shape, smaller.test.images.shape) == ((13, 5, 5, 3), (5, 4, 4, 3))
    assert len(caches(tmp_path)) == 1


@pytest.mark.parametrize(("size", "channels"), [((0, 8), 3), ((8, 8), 2)])
def test_wrong_wishes(photos: Path, size: tuple[int, int], channels: int) -> None:
    with pytest.raises(InputError, match="must be prepared at a size from 1 × 1"):
        prepare(open_data(photos), size=size, channels=channels)


def test_it_says_how_far_it_is(photos: Path) -> None:
    steps: list[Step] = []
    prepare(open_data(photos, progress=steps.append), size=(8, 8), progress=steps.append)
    assert [(step.doing, step.done, step.of) for step in steps] == [
        (doing, i, 20) for doing in ("checking images", "decoding images") for i in range(1, 21)
    ]


def test_a_process_needs_no_torch() -> None:
    code = "import sys, nas.data; assert not {'torch', 'onnxruntime', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
