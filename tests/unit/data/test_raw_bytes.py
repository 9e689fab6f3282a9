"""Files that claim more than they hold, against files built by hand."""

import os
import struct
import tracemalloc
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest

from mtdc.data import io
from mtdc.data.raw_bytes import LARGEST_IMAGE_PX, bytes_of, check_picture, read_npy, text_of
from mtdc.errors import DataError, UserError


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, bits=16, color=0, ways=b"\0\0\0", rows=b"\0\1\0", more=(), pixels=True):
    header = struct.pack(">II", width, height) + bytes([bits, color]) + ways
    parts = [chunk(b"IHDR", header), *more, *([chunk(b"IDAT", zlib.compress(rows))] if pixels else []), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def refusal(path, content, read):
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_png_built_by_hand_is_read(tmp_path):
    (tmp_path / "a.png").write_bytes(png(1, 1))
    assert io.read_depth_png(tmp_path / "a.png").tolist() == [[1.0]]
    # Chunks that say nothing about the pixels, and bytes behind the end, do no harm.
    (tmp_path / "a.png").write_bytes(png(1, 1, more=[chunk(b"tEXt", b"Title\0road")]) + b"behind the end")
    assert io.read_depth_png(tmp_path / "a.png").tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (png(65535, 65535), f"65535x65535 (width x height); at most {LARGEST_IMAGE_PX} pixels"),
        (png(0, 5), "0x5"),
        (png(1, 1, bits=7), "header that no PNG has"),
        (png(1, 1, bits=16, color=3), "header that no PNG has"),
        (png(1, 1, color=5), "header that no PNG has"),
        (png(1, 1, ways=b"\0\1\0"), "header that no PNG has"),
        (png(1, 1, ways=b"\0\0\2"), "header that no PNG has"),
        (png(1, 1, pixels=False), "cut short"),
        (png(1, 1, more=[chunk(b"IHDR", bytes(13))]), "header at byte 33"),
        (png(1, 1).replace(b"IHDR", b"IHDT"), "checksum at byte 8"),
        (png(1, 1)[:-1], "cut short"),
        (png(1, 1)[:4], "cut short"),
        (b"GIF89a" + bytes(40), "no image format that is known"),
    ],
)
def test_pngs_that_lie_are_refused_before_they_are_decoded(tmp_path, monkeypatch, content, said):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert said in refusal(tmp_path / "a.png", content, io.read_depth_png)


def test_every_damaged_bit_of_a_png_is_seen(tmp_path):
    whole = cv2.imencode(".png", np.random.default_rng(0).integers(0, 65535, (6, 7), dtype=np.uint16))[1].tobytes()
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 0x10
        refusal(tmp_path / "a.png", bytes(broken), io.read_depth_png)


def test_a_jpeg_says_its_size_first(tmp_path, monkeypatch):
    whole = cv2.imencode(".jpg", np.full((40, 50, 3), 90, np.uint8))[1].tobytes()
    at = whole.index(b"\xff\xc0") + 5
    assert struct.unpack(">HH", whole[at : at + 4]) == (40, 50)
    (tmp_path / "a.jpg").write_bytes(whole)
    assert io.read_image(tmp_path / "a.jpg").shape == (40, 50, 3)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    large = whole[:at] + struct.pack(">HH", 60000, 60000) + whole[at + 4 :]
    assert "60000x60000" in refusal(tmp_path / "a.jpg", large, io.read_image)
    assert "no frame header" in refusal(tmp_path / "a.jpg", whole[:20] + whole[-2:], io.read_image)


def npy(array):
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()


def relabelled(content, old, new):
    """Other words at the start of a .npy; its header keeps the length that it says."""
    end = 10 + int.from_bytes(content[8:10], "little")
    start = content[:end]
    assert start.count(old) == 1
    return start.replace(old, new).rstrip(b" \n").ljust(end - 1) + b"\n" + content[end:]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"(40, 50)", b"(4e9, 5)", "plain .npy array of numbers"),
        (b"(40, 50)", b"(90000000,)", "and says (90000000,) of float64, which are 720000000; it is cut short"),
        (b"(40, 50)", b"(-1, 50)", "plain .npy array of numbers"),
        (b"(40, 50)", b"(40, 49)", "it is damaged"),
        (b"'<f8'", b"'|O' ", "(objects)"),
        (b"'<f8'", b"'<U9'", "plain .npy array of numbers"),
        (b"False", b"exit(", "plain .npy array of numbers"),
        (b"NUMPY", b"NUMPI", "plain .npy array of numbers"),
        (b"NUMPY\x01", b"NUMPY\x09", "plain .npy array of numbers"),
    ],
)
def test_npy_headers_that_lie(tmp_path, old, new, said):
    content = relabelled(npy(np.ones((40, 50))), old, new)
    assert said in refusal(tmp_path / "a.npy", content, lambda path: read_npy(path, "map"))


def test_a_header_that_asks_for_much_costs_nothing(tmp_path):
    """A PNG and an array of some hundred bytes that say they hold gigabytes."""
    tracemalloc.start()
    try:
        refusal(tmp_path / "a.png", png(60000, 60000), io.read_depth_png)
        huge = relabelled(npy(np.ones((40, 50))), b"(40, 50)", b"(9999999999, 9)")
        assert "(9999999999, 9)" in refusal(tmp_path / "a.npy", huge, io.read_depth)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_pipes_devices_folders_and_large_files_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path, said in ((tmp_path / "pipe.png", "no regular file"), ("/dev/zero", "no regular file"), (tmp_path, "a folder")):
        with pytest.raises(DataError, match=said):
            bytes_of(path, "file")
    assert io.is_depth_png(tmp_path / "pipe.png")  # reading it says what is wrong
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(2**31)  # takes no place on the disk
    with pytest.raises(DataError, match=r"has 2147483648 bytes; at most 1073741824 are read"):
        io.read_velodyne(tmp_path / "large.bin")
    (tmp_path / "K.txt").write_bytes(b" " * 2**21)
    with pytest.raises(DataError, match=r"at most 1048576"):
        text_of(tmp_path / "K.txt", "intrinsics")


def test_points_without_coordinates_are_left_out_and_others_are_metres(tmp_path):
    scan = np.array([[1, 2, 3, 0.5], [np.nan, 0, 0, 0], [4, 5, 6, np.inf], [7, 8, 9, 0]], "<f4")
    scan.tofile(tmp_path / "a.bin")
    assert io.read_velodyne(tmp_path / "a.bin").tolist() == [[1, 2, 3, 0.5], [7, 8, 9, 0]]
    scan[0, 1] = -1001
    assert "-" not in refusal(tmp_path / "a.bin", scan.tobytes(), io.read_velodyne).split("up to ")[1].split()[0]
    assert "all 1 are NaN" in refusal(tmp_path / "a.bin", scan[1:2].tobytes(), io.read_velodyne)


def test_an_errors_text_is_one_line_of_printable_letters():
    text = str(UserError("a\nb\r\nc\x1b[31m\u2028d Straße"))
    assert text.isprintable()
    assert text == "a b c\\x1b[31m d Straße"


def test_a_png_whose_header_chunk_claims_no_length_is_refused_in_one_line():
    """Found by the fuzz test: nothing follows where the header's last bytes should be."""
    empty = b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IHDR" + bytes(4)
    with pytest.raises(DataError, match="damaged PNG|cut short"):
        check_picture(np.frombuffer(empty, dtype=np.uint8), "depth PNG a.png")
