"""Image files of every kind as bytes of one shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from pathways.data import read_images
from pathways.data.image_files import image_size
from pathways.errors import DataError
from pathways.pictures import FITS, Pictures

RAMP = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


def read(file: Path, pictures: Pictures) -> torch.Tensor:
    return read_images([file], pictures)[0]


def grey(height: int = 4, width: int = 6, **settings: object) -> Pictures:
    return Pictures(1, height, width, **settings)  # type: ignore[arg-type]


def test_bytes_are_kept_where_nothing_is_to_be_done(tmp_path: Path) -> None:
    Picture.fromarray(RAMP).save(tmp_path / "a.png")
    assert torch.equal(read(tmp_path / "a.png", grey(fit="exact"))[0], torch.from_numpy(RAMP))
    colours = read(tmp_path / "a.png", Pictures(3, 4, 6, "exact"))
    assert all(torch.equal(plane, torch.from_numpy(RAMP)) for plane in colours)


def test_images_come_in_order_and_give_the_same_twice(tmp_path: Path) -> None:
    for i in range(3):
        Picture.new("L", (5, 5), i).save(tmp_path / f"{i}.png")
    files = [tmp_path / f"{i}.png" for i in (2, 0, 1)]
    assert read_images(files, grey(2, 2))[:, 0, 0, 0].tolist() == [2, 0, 1]
    with pytest.raises(DataError, match="at least one image"):
        read_images([], grey())


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_become_their_upper_byte(tmp_path: Path, ending: str) -> None:
    deep = RAMP.astype(np.uint16) * 256 + 255
    Picture.fromarray(deep).save(tmp_path / f"a.{ending}")
    assert torch.equal(read(tmp_path / f"a.{ending}", grey())[0], torch.from_numpy(RAMP))


def test_more_than_sixteen_bits_and_floats_are_refused(tmp_path: Path) -> None:
    Picture.fromarray(np.full((4, 6), 1 << 20, dtype=np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif' must hold 8 or 16 bits .*1048576"):
        read(tmp_path / "a.tif", grey())
    Picture.fromarray(np.full((4, 6), 0.5, dtype=np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(DataError, match=r"b\.tif' must hold whole numbers"):
        read(tmp_path / "b.tif", grey())


def test_palettes_have_their_colours(tmp_path: Path) -> None:
    picture = Picture.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    picture.save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", Pictures(3, 1, 2))[:, 0].tolist() == [[255, 0], [0, 0], [0, 255]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("background", [0, 100, 255])
def test_what_is_transparent_shows_the_background(tmp_path: Path, mode: str, background: int) -> None:
    if mode == "P":
        picture = Picture.new("P", (2, 1))
        picture.putpalette([0, 0, 0, 50, 50, 50])
        picture.putdata([0, 1])
        picture.save(tmp_path / "a.png", transparency=0)
    else:
        pixels = {"RGBA": [(9, 9, 9, 0), (50, 50, 50, 255)], "LA": [(9, 0), (50, 255)]}[mode]
        picture = Picture.new(mode, (2, 1))
        picture.putdata(pixels)  # type: ignore[arg-type]
        picture.save(tmp_path / "a.png")
    for channels in (1, 3):
        read_ = read(tmp_path / "a.png", Pictures(channels, 1, 2, background=background))
        assert read_[:, 0].tolist() == [[background, 50]] * channels


def test_cameras_that_were_turned(tmp_path: Path) -> None:
    picture = Picture.fromarray(RAMP)
    exif = picture.getexif()
    exif[0x0112] = 6  # turn by a quarter clockwise
    picture.save(tmp_path / "a.png", exif=exif)
    assert image_size(tmp_path / "a.png") == (6, 4)
    expected = torch.rot90(torch.from_numpy(RAMP), -1)
    assert torch.equal(read(tmp_path / "a.png", grey(6, 4, fit="exact"))[0], expected)


def test_of_an_animation_the_first_frame_counts(tmp_path: Path) -> None:
    frames = [Picture.new("L", (4, 4), value) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    for name in ("a.gif", "a.tif"):
        assert read(tmp_path / name, grey(4, 4)).unique().tolist() == [10]


def test_how_sizes_are_fitted(tmp_path: Path) -> None:
    wide = np.concatenate([np.full((4, 2), 0), np.full((4, 4), 100), np.full((4, 2), 200)], 1).astype(np.uint8)
    Picture.fromarray(wide).save(tmp_path / "a.png")
    file = tmp_path / "a.png"
    assert read(file, grey(4, 4, fit="crop")).unique().tolist() == [100]
    padded = read(file, grey(8, 8, fit="pad", background=7))[0]
    assert padded[[0, 1, 6, 7]].unique().tolist() == [7]
    assert torch.equal(padded[2:6], torch.from_numpy(wide))
    stretched = read(file, grey(8, 8, fit="stretch"))[0]
    assert (stretched[:, 0].unique().tolist(), stretched[:, 7].unique().tolist()) == ([0], [200])
    with pytest.raises(DataError, match="must be 8 pixels wide and 8 high, as all images of its task, found 8 and 4"):
        read(file, grey(8, 8, fit="exact"))


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)), st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from(FITS[:3]), st.integers(0, 255), st.sampled_from([1, 3]),
)  # fmt: skip
@example((2, 21), (19, 1), "crop", 0, 1)  # 19 * (21 / 19) > 21
def test_one_colour_stays_one_colour_at_any_size(
    tmp_path_factory: pytest.TempPathFactory, size: tuple[int, int], to: tuple[int, int], fit: str, value: int,
    channels: int,
) -> None:  # fmt: skip
    file = tmp_path_factory.mktemp("plain") / "a.png"
    Picture.new("L", size, value).save(file)
    made = read(file, Pictures(channels, *to, fit, value))
    assert made.shape == (channels, *to)
    assert made.unique().tolist() == [value]


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_named_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    for reader in (lambda file: read(file, grey()), image_size):
        with pytest.raises(DataError, match=r"a\.png' must be a whole image file") as raised:
            reader(tmp_path / "a.png")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "gif", "webp"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"a.{ending}"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Picture.fromarray(noise).save(file)
    whole = file.read_bytes()
    for share in (0.3, 0.6, 0.9):
        file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match="must be a whole image file"):
            read(file, Pictures(3, 8, 8))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png' must be a whole image file, found: .*No such file"):
        read(tmp_path / "none.png", grey())


@given(st.sampled_from([1, 3]), st.integers(1, 99), st.integers(1, 99), st.sampled_from(FITS), st.integers(0, 255))
def test_pictures_survive_plain_data(channels: int, height: int, width: int, fit: str, background: int) -> None:
    made = Pictures(channels, height, width, fit, background)
    assert Pictures.from_json(made.to_json()) == made
