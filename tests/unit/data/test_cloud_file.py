"""Clouds of other programs: files written by plyfile, by the standard library, and by another program's PCD writer."""

import struct

import numpy as np
import pytest
from plyfile import PlyData, PlyElement

from mtdc.data.cloud_file import read_cloud, unpack_lzf
from mtdc.errors import DataError

POINTS = [(1.5, -2.0, 0.25), (10.0, 4.0, -1.0), (30.0, 0.5, 2.0)]
#: Twelve points as the Python package pypcd4 compresses them; fields intensity (uint8), z (float64), x (float32), y (float64).
COMPRESSED = bytes.fromhex(
    "56455253494f4e20302e370a4649454c445320696e74656e73697479207a207820790a53495a4520312038203420380a5459504520552046204620460a"
    "434f554e5420312031203120310a57494454482031320a4845494748542031"
    "0a56494557504f494e5420302e3020302e3020302e3020312e3020302e3020302e3020302e300a504f494e54532031320a"
    "444154412062696e6172795f636f6d707265737365640a"
    "2d000000fc000000010101e001000000800000408006e04b070040205be02303400001e03f4005e0010700d0e0060fe02f1f01e03f"
)


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def pcd(data, fields="x y z", sizes="4 4 4", types="F F F", points=3, counts=None, form="binary"):
    count = f"COUNT {counts}\n" if counts else ""
    header = f"# .PCD v0.7\nVERSION 0.7\nFIELDS {fields}\nSIZE {sizes}\nTYPE {types}\n{count}"
    return f"{header}WIDTH {points}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {points}\nDATA {form}\n".encode() + data


def ply(body=b"", *elements, form="ascii"):
    return "\n".join(("ply", f"format {form} 1.0", *elements, "end_header\n")).encode() + body


def refused(path):
    with pytest.raises(DataError) as error:
        read_cloud(path)
    assert path.name in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_ply_of_any_form_order_and_type(tmp_path, text, order):
    vertices = np.array([(7, z, x, y) for x, y, z in POINTS], [("ring", "u2"), ("z", "f8"), ("x", "f4"), ("Y", "f8")])
    faces = np.array([([0, 1, 2],)], [("vertex_indices", "i4", (3,))])
    elements = [PlyElement.describe(faces, "face"), PlyElement.describe(vertices, "vertex")]
    PlyData(elements, text=text, byte_order="=" if text else order).write(str(tmp_path / "scan.ply"))
    points = read_cloud(tmp_path / "scan.ply")
    assert points.dtype == np.float64
    np.testing.assert_array_equal(points, POINTS)


def test_pcd_ascii_with_fields_of_several_values(tmp_path):
    lines = "".join(f"0.1 0.2 0.3 {z} {x} {y}\n" for x, y, z in POINTS).encode()
    content = pcd(lines, "normal z x y", "4 4 4 4", "F F F F", counts="3 1 1 1", form="ascii")
    np.testing.assert_array_equal(read_cloud(write(tmp_path, "scan.pcd", content)), POINTS)


def test_pcd_binary_with_padding_and_integers(tmp_path):
    # "_" stands for bytes of no meaning, and may stand there twice. Millimetres as int16 would not be metres; these are.
    data = b"".join(struct.pack("<d3xh2xi", x, 7, 2) for x, _, _ in POINTS)
    content = pcd(data, "x _ y _ z", "8 1 2 1 4", "F U I U I", counts="1 3 1 2 1")
    expected = [(x, 7, 2) for x, _, _ in POINTS]
    np.testing.assert_array_equal(read_cloud(write(tmp_path, "scan.pcd", content)), expected)


def test_pcd_compressed_by_another_program(tmp_path):
    points = read_cloud(write(tmp_path, "scan.pcd", COMPRESSED))
    np.testing.assert_array_equal(points, [(3, 0.5, 2), (3, 0.5, 2), (3, 0.25, 2), (3, 0.5, 2)] * 3)


@pytest.mark.parametrize(
    ("packed", "unpacked"),
    [
        (b"\x02abc", b"abc"),  # 3 literals
        (b"\x00a\xe0\x01\x00", b"a" * 11),  # 7 + 1 + 2 copies of the byte just written
        (b"\x03abcd\x40\x03", b"abcdabcd"),  # 2 + 2 from 4 back
        (b"\x01ab\x60\x01", b"abababa"),  # 3 + 2, reading what it writes
        (b"\x1f" + bytes(range(32)) + b"\x20\x1f", bytes(range(32)) + b"\x00\x01\x02"),  # 1 + 2 from 32 back
    ],
)
def test_lzf_by_hand(packed, unpacked):
    assert unpack_lzf(packed, len(unpacked)) == unpacked
    assert unpack_lzf(packed, len(unpacked) + 1) is None
    assert unpack_lzf(packed, len(unpacked) - 1) is None
    assert unpack_lzf(packed[:-1], len(unpacked)) is None


def test_lzf_that_reaches_before_the_start_is_damaged():
    assert unpack_lzf(b"\x00a\x20\x05", 4) is None


def test_points_that_are_no_measurement_are_dropped(tmp_path):
    """Organised clouds mark missing returns by NaN, others by the origin."""
    nan = float("nan")
    rows = [(nan, nan, nan), (0, 0, 0), POINTS[0], (1, nan, 1), (float("inf"), 0, 0), POINTS[1]]
    data = np.array(rows, "<f4").tobytes()
    np.testing.assert_array_equal(read_cloud(write(tmp_path, "scan.pcd", pcd(data, points=6))), POINTS[:2])
    said = refused(write(tmp_path, "empty.pcd", pcd(np.array(rows[:2], "<f4").tobytes(), points=2)))
    assert "no measured point (2 points" in said


def test_bin_of_four_and_five_values(tmp_path):
    four = np.array([(*point, 0.5) for point in POINTS], "<f4")
    five = np.array([(*point, 90, 31) for point in POINTS], "<f4")
    np.testing.assert_array_equal(read_cloud(write(tmp_path, "kitti.bin", four.tobytes())), POINTS)
    np.testing.assert_array_equal(read_cloud(write(tmp_path, "nuscenes.pcd.bin", five.tobytes())), POINTS)
    np.testing.assert_array_equal(read_cloud(write(tmp_path, "own.bin", five.tobytes()), bin_columns=5), POINTS)
    assert "no multiple of 16" in refused(write(tmp_path, "odd.bin", five.tobytes()))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.las", b"x", "expected .bin, .ply, .pcd"),
        ("empty.ply", b"", "empty"),
        ("photo.ply", b"\x89PNG", "no PLY file"),
        ("cut.ply", ply(b"\0\0", "element vertex 9", "property float x", form="binary_little_endian"), "damaged PLY"),
        ("huge.ply", ply(b"1\n", "element vertex 99999999999", "property float x"), "99999999999 elements"),
        ("two.ply", ply(b"1 2\n", "element vertex 1", "property float x", "property float y"), "field 'z'"),
        ("mesh.ply", ply(b"1\n", "element face 1", "property float x"), "no element 'vertex'"),
        ("list.ply", ply(b"2 1 2 3 4\n", "element vertex 1", "property list uchar float x", "property float y",
                         "property float z"), "one is a list"),
        ("text.pcd", b"hello", "no PCD file"),
        ("cut.pcd", pcd(b"\0" * 35), "35 bytes of points; its header says 3 points of 12"),
        ("cut_ascii.pcd", pcd(b"1 2 3 4", form="ascii"), "4 numbers; its header says 3 points of 3"),
        ("word.pcd", pcd(b"1 2 x", points=1, form="ascii"), "no number"),
        ("names.pcd", pcd(b"1 2 3", "lon lat alt", points=1, form="ascii"), "no field 'x'"),
        ("type.pcd", pcd(b"", sizes="4 4 3"), "'z' has type F of 3 bytes"),
        ("length.pcd", pcd(b"", sizes="4 4"), "differ in length"),
        ("form.pcd", pcd(b"", form="binary_compresed"), "Did you mean 'binary_compressed'?"),
        ("packed.pcd", COMPRESSED[:-3], "cut short"),
        ("damaged.pcd", COMPRESSED[:-45] + b"\xff" * 45, "damaged"),
        ("millimetres.pcd", pcd(b"15000 2000 300 " * 3, form="ascii"), "millimetres"),
    ],
)  # fmt: skip
def test_files_that_are_no_cloud_are_named_in_one_line(tmp_path, name, content, said):
    assert said in refused(write(tmp_path, name, content))


def test_missing_file_is_named(tmp_path):
    for suffix in ("bin", "ply", "pcd"):
        assert "does not exist" in refused(tmp_path / f"gone.{suffix}")


def test_rows_behind_the_headers_count_are_refused_in_text_files_too(tmp_path):
    header = "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    file = tmp_path / "more.ply"
    file.write_text(header + "1 2 3\n4 5 6\n\n")
    assert len(read_cloud(file)) == 2
    file.write_text(header + "1 2 3\n4 5 6\n7 8 9\n")
    with pytest.raises(DataError, match="behind what its header counts"):
        read_cloud(file)
