import json

import numpy as np
import pytest

from mtdc.data.camera_file import read_camera
from mtdc.errors import DataError

#: x right, y down, z forward of the camera in the LiDAR's frame (x forward, y left, z up); the LiDAR 0.5 m above it.
ROTATION = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
TRANSFORM = [[0, -1, 0, 0], [0, 0, -1, -0.5], [1, 0, 0, 0], [0, 0, 0, 1]]
BASE = {"image_size": [40, 30], "K": [[20, 0, 19.5], [0, 25, 14.5], [0, 0, 1]], "T_camera_lidar": TRANSFORM}
YAML = """
# A camera under a LiDAR.
image_size: [40, 30]
K: [2.0e1, 0, 19.5, 0, 2.5e1, 14.5, 0, 0, 1]
rotation:
  - [0, -1, 0]
  - [0, 0, -1]
  - [1, 0, 0]
translation: [0, -0.5, 0]
distortion: [0, 0, 0, 0, 0]
"""


def write(tmp_path, values, name="camera.json"):
    path = tmp_path / name
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def changed(**changes):
    values = {**BASE, **changes}
    return {key: value for key, value in values.items() if value is not None}


def refused(path):
    with pytest.raises(DataError) as error:
        read_camera(path)
    assert path.name in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


def test_point_by_hand(tmp_path):
    """8 m ahead, 2 m to the left, 0.9 m below the LiDAR: camera (-2, 0.4, 8): u = 19.5 - 5, v = 14.5 + 1.25."""
    camera = read_camera(write(tmp_path, BASE))
    assert camera.size == (30, 40)
    depth = camera.sparse_depth(np.array([[8.0, 2.0, -0.9, 0.3], [16.0, 4.0, -1.3, 0.3], [-8.0, 0, 0, 0]]))
    assert np.argwhere(depth).tolist() == [[16, 14]]  # 14.5 goes to the even pixel; the second point is hidden by the first
    assert depth[16, 14] == 8 and depth.dtype == np.float32


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(changed(K=[20, 25, 19.5, 14.5])),
        json.dumps(changed(K={"fx": 20, "fy": 25, "cx": 19.5, "cy": 14.5})),
        json.dumps(changed(T_camera_lidar=np.ravel(TRANSFORM[:3]).tolist())),
        json.dumps(changed(T_camera_lidar=None, rotation=ROTATION, translation=[0, -0.5, 0])),
        YAML,
        YAML.replace("2.0e1", "2e1"),  # for YAML 1.1 a word
    ],
)
def test_forms_of_one_camera(tmp_path, text):
    for name in ("camera.yaml", "camera.YML", *(["camera.json"] if text.startswith("{") else [])):
        camera = read_camera(write(tmp_path, text, name))
        np.testing.assert_array_equal(camera.intrinsics, BASE["K"])
        np.testing.assert_array_equal(camera.from_lidar, TRANSFORM)
        assert camera.size == (30, 40)


def test_camera_without_a_lidar_serves_maps_alone(tmp_path):
    camera = read_camera(write(tmp_path, changed(T_camera_lidar=None)))
    assert camera.from_lidar is None and camera.doubt() is None
    with pytest.raises(DataError, match="'T_camera_lidar', or 'rotation' and 'translation'"):
        camera.sparse_depth(np.ones((3, 3)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_size": None}, "no key 'image_size'; expected [width, height]"),
        ({"K": None}, "no key 'K'"),
        ({"image_size": [40]}, "'image_size' must be [width, height] in pixels, and holds 1 numbers"),
        ({"image_size": [40.5, 30]}, "'image_size'"),
        ({"image_size": [0, 30]}, "'image_size'"),
        ({"image_size": [30, 400], "K": [200, 200, 199, 14]}, "written the other way round"),
        ({"image_size": ["wide", 30]}, "'image_size' must be"),
        ({"K": [1, 2, 3]}, "'K' must be 9 numbers row by row, or fx, fy, cx, cy, in pixels, and holds 3 numbers"),
        ({"K": {"fx": 20, "fy": 25, "cx": 19.5}}, "must have fx, fy, cx and cy"),
        ({"K": [0.5, 0.8, 0.5, 0.5]}, "multiply by width and height"),
        ({"K": [20, 0, 0, 0, 25, 0, 19.5, 14.5, 1]}, "transposed"),
        ({"K": [[20, 0, 19.5, 0], [0, 25, 14.5, 0], [0, 0, 1, 0]]}, "keep its first three columns"),
        ({"K": [20, 25, float("nan"), 14.5]}, "NaN"),
        ({"K": [True, 25, 19.5, 14.5]}, "True"),
        ({"T_camera_lidar": np.transpose(TRANSFORM).tolist()}, "transposed"),
        ({"T_camera_lidar": ROTATION}, "holds 9 numbers"),
        ({"T_camera_lidar": [[0, -1, 0, 0], [0, 0, -1, -500], [1, 0, 0, 0], [0, 0, 0, 1]]}, "divide by 1000"),
        ({"T_camera_lidar": [[0, -2, 0, 0], [0, 0, -2, 0], [2, 0, 0, 0], [0, 0, 0, 1]]}, "'T_camera_lidar'"),
        ({"T_camera_lidar": [[0, 1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]}, "mirror"),
        ({"T_camera_lidar": None, "rotation": ROTATION}, "has 'rotation' and no 'translation'"),
        ({"T_camera_lidar": None, "rotation": [1, 0, 0, 0], "translation": [0, 0, 0]}, "quaternion must be turned"),
        ({"T_camera_lidar": None, "rotation": [90, 0, 90], "translation": [0, 0, 0]}, "Angles or a rotation vector"),
        ({"T_camera_lidar": None, "rotation": ROTATION, "translation": [0, -500, 0]}, "'translation' puts the LiDAR 500 m"),
        ({"rotation": ROTATION}, "has 'T_camera_lidar' and 'rotation' too"),
        ({"T_lidar_camera": TRANSFORM}, "'T_lidar_camera' is the inverse of what is expected"),
        ({"camera_matrix": [1]}, "unknown key 'camera_matrix'. Use 'K'"),
        ({"image_sise": [40, 30]}, "Did you mean 'image_size'?"),
        ({"distortion": [-0.37, 0.2, 0, 0, 0]}, "'distortion' is not 0"),
        ({"distortion": "none"}, "'distortion' must be numbers"),
    ],
)  # fmt: skip
def test_wrong_values_are_named_with_their_key(tmp_path, changes, said):
    assert said in refused(write(tmp_path, changed(**changes)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"), ("# nothing\n", "expected 'key: value' lines"),
        ("- 1\n- 2\n", "holds list"),
        ("K: [1, 2\n", "no plain YAML"),
        ("K: !!python/object/apply:os.system ['echo no']\n", "no plain YAML"),
        ("%YAML:1.0\n---\nK: !!opencv-matrix\n", "OpenCV's own YAML"),
        ("K: " + "[" * 5000, "camera.yaml"),
        ("image_size: [4, 4]\nK: [&a [1, 1, 1, 1], &b [*a, *a, *a, *a], &c [*b, *b, *b, *b], *c]\n", "more than 64 numbers"),
        ("image_size: [4, 4]\nK: &a [*a, 1]\n", "camera.yaml"),
    ],
)  # fmt: skip
def test_files_that_are_no_camera_end_as_one_line(tmp_path, text, said):
    assert said in refused(write(tmp_path, text, "camera.yaml"))


def test_broken_json_and_missing_files(tmp_path):
    assert "no JSON" in refused(write(tmp_path, "{'K': 1}"))
    assert "does not exist" in refused(tmp_path / "gone.yaml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"image_size": [8, 8], "K": [5, 5, 4, 4], "K": [6, 6, 4, 4]}'),
        ("a.yaml", "image_size: [8, 8]\nK: [5, 5, 4, 4]\nK: [6, 6, 4, 4]\n"),
    ],
)
def test_a_key_that_stands_twice_is_named(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"a\.(json|yaml) .*key 'K' stands there twice"):
        read_camera(tmp_path / name)


def test_an_extrinsic_that_may_be_inverted_is_doubted(tmp_path):
    assert read_camera(write(tmp_path, BASE)).doubt() is None
    inverse = np.linalg.inv(TRANSFORM).tolist()
    assert "z axis does not point up" in read_camera(write(tmp_path, changed(T_camera_lidar=inverse))).doubt()
    # A LiDAR or depth sensor in the camera's own axes says nothing about up.
    assert read_camera(write(tmp_path, changed(T_camera_lidar=np.eye(4).tolist()))).doubt() is None


@pytest.mark.parametrize("far", [0, 1])
def test_points_beside_the_image_name_the_inverse_where_that_helps(tmp_path, far):
    """Camera and LiDAR look along z; the points lie 8 to 10 m ahead, and the extrinsic moves them 18 m back or forth."""
    moved = np.eye(4)
    moved[2, 3] = -18
    points = np.random.default_rng(0).uniform((-2, -2, 8), (2, 2, 10), (400, 3))
    points[:far] = (0, 0, 30)
    camera = read_camera(write(tmp_path, changed(T_camera_lidar=moved.tolist())))
    found = "1 of 400 points falls" if far else "none of 400 points falls"
    with pytest.raises(DataError, match=rf"{found} into the 40x30 image; with the inverse of the extrinsic 400 would"):
        camera.sparse_depth(points)
    with pytest.raises(DataError, match="none of 400 points falls .* expected an extrinsic"):
        camera.sparse_depth(points * (1, 1, -3))
    # A few points in the image are enough where the inverse brings no more.
    assert np.count_nonzero(camera.sparse_depth(np.concatenate(([(0, 0, 90)], -3 * points)))) == 1


def test_kittis_own_calibration_is_the_same_camera_as_a_file(shared, tmp_path):
    calibration = read_camera(shared / "data/kitti/val/2011_09_26", 3)
    assert calibration.size == (375, 1242) and calibration.doubt() is None
    # P = K [I | K^-1 p]: the second camera's baseline belongs to the extrinsic of a file that has K alone.
    baseline = np.eye(4)
    baseline[:3, 3] = np.linalg.solve(calibration.intrinsics, calibration.projection[:, 3])
    values = {
        "image_size": [1242, 375],
        "K": calibration.intrinsics.tolist(),
        "T_camera_lidar": (baseline @ calibration.from_lidar).tolist(),
    }
    own = read_camera(write(tmp_path, values))
    np.testing.assert_allclose(own.lidar_to_image, calibration.lidar_to_image, rtol=1e-9, atol=1e-9)
