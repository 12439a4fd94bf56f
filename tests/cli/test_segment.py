"""`napari-sam segment`: what it writes, what it prints, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import tifffile
import zarr
from PIL import Image
from skimage import data

from checkpoints import small_state
from commands import NapariSam, Refusal, assert_refused
from large_frames import nuclei
from napari_sam import FrameStack, Predictor, Prompts, load_model

COIN, OTHER_COIN = (54, 45), (51, 156)


@pytest.fixture
def folder(working_folder: Path) -> Path:
    """A working folder with one picture of coins and a stack of three, and empty models folders."""
    coins = data.coins()
    tifffile.imwrite(working_folder / "coins.tif", coins)
    Image.fromarray(coins).save(working_folder / "coins.png")
    stack = np.stack([coins, coins[::-1], coins])
    tifffile.imwrite(working_folder / "stack.tif", stack, metadata={"axes": "TYX"}, imagej=True)
    working_folder.joinpath("empty.csv").write_text("object_id,kind,y,x\n")
    return working_folder


def links(folder: Path) -> None:
    folder.joinpath("hard.tif").hardlink_to(folder / "coins.tif")
    try:
        folder.joinpath("soft.tif").symlink_to(folder / "coins.tif")
    except OSError:
        pytest.skip("this file system, or this user, has no symbolic links")


def coins_zarr(folder: Path) -> None:
    zarr.save(folder / "coins.zarr", data.coins())


def prompts_table(folder: Path) -> None:
    folder.joinpath("prompts.csv").write_text("object_id,kind,y,x\n1,point,54,45\n")


def small_model(folder: Path) -> None:
    safetensors.torch.save_file(small_state(), folder / "small.safetensors")


def two_channels(folder: Path) -> None:
    tifffile.imwrite(folder / "two.tif", np.zeros((2, 9, 9)), metadata={"axes": "CYX"})


REFUSALS = (
    Refusal(
        "the image itself",
        "segment coins.tif --point 54,45 --out coins.tif",
        "coins.tif is an input of this command, and would be overwritten. Write to another file.",
    ),
    Refusal(
        "the image by a symbolic link",
        "segment coins.tif --point 54,45 --out soft.tif",
        "soft.tif is the same file as coins.tif, an input",
        links,
    ),
    Refusal(
        "the image by a hard link",
        "segment hard.tif --point 54,45 --out coins.tif",
        "coins.tif is the same file as hard.tif, an input",
        links,
    ),
    Refusal(
        "the image by another path",
        "segment coins.tif --point 54,45 --out models/../coins.tif",
        "the same file as coins.tif",
        lambda folder: folder.joinpath("models").mkdir(),
    ),
    Refusal(
        "a picture over the image",
        "segment coins.png --point 54,45 --out out.tif --overlay coins.png",
        "coins.png is an input",
    ),
    Refusal(
        "a picture over the prompts",
        "segment coins.tif --prompts prompts.csv --out out.tif --overlay prompts.csv",
        "prompts.csv is an input",
        prompts_table,
    ),
    Refusal(
        "a picture over the model",
        "segment coins.tif --point 54,45 --model small.safetensors --out out.tif "
        "--overlay small.safetensors",
        "small.safetensors is an input",
        small_model,
    ),
    Refusal(
        "a Zarr image",
        "segment coins.zarr --point 54,45 --out coins.zarr",
        "coins.zarr is an input",
        coins_zarr,
    ),
    Refusal(
        "in a Zarr image",
        "segment coins.zarr --point 54,45 --out coins.zarr/labels.zarr",
        "coins.zarr/labels.zarr is inside coins.zarr, an input",
        coins_zarr,
    ),
    Refusal(
        "two results in one file",
        "segment coins.tif --point 54,45 --out out.tif --overlay ./out.tif",
        "Two results would be written to out.tif",
    ),
    Refusal(
        "a folder for a picture",
        "segment coins.tif --point 54,45 --out out.tif --overlay coins.zarr",
        "coins.zarr is a folder",
        coins_zarr,
    ),
    Refusal(
        "a frame of a single image",
        "segment coins.tif --frame 0 --point 54,45 --out out.tif",
        "A single image of shape (303, 384) has no frames",
    ),
    Refusal(
        "channel 9 of 2",
        "segment two.tif --channel 9 --point 1,1 --out out.tif",
        "Channel 9 is not in an image of 2 channels. Choose from 0 to 1.",
        two_channels,
    ),
    Refusal("missing image", "segment no.tif --point 1,1 --out out.tif", "There is no file no.tif"),
    Refusal("no image", "segment empty.csv --point 1,1 --out out.tif", "TIFF, PNG, JPEG or Zarr"),
    Refusal("words for numbers", "segment coins.tif --point a,b --out out.tif", "--point a,b"),
    Refusal("one number", "segment coins.tif --point 12 --out out.tif", "Write Y,X or Y,X,LABEL"),
    Refusal("short box", "segment coins.tif --box 1,2,3 --out out.tif", "Write Y0,X0,Y1,X1"),
    Refusal("label 7", "segment coins.tif --point 1,1,7 --out out.tif", "label 7"),
    Refusal("outside", "segment coins.tif --point 900,1 --out out.tif", "outside the frame"),
    Refusal("not finite", "segment coins.tif --point nan,1 --out out.tif", "finite"),
    Refusal("only negative", "segment coins.tif --point 1,1,0 --out out.tif", "negative"),
    Refusal("no prompt", "segment coins.tif --out out.tif", "--point, --box, --prompts or --text"),
    Refusal("no row", "segment coins.tif --prompts empty.csv --out out.tif", "No prompt"),
    Refusal(
        "no table", "segment coins.tif --prompts no.csv --out out.tif", "There is no file no.csv"
    ),
    Refusal("frame 3 of 3", "segment stack.tif --frame 3 --point 1,1 --out out.tif", "Frame 3"),
    Refusal("frame x", "segment stack.tif --frame x --point 1,1 --out out.tif", "--frame x"),
    Refusal("channel 5", "segment coins.tif --channel 5 --point 1,1 --out out.tif", "channel"),
    Refusal(
        "unknown model", "segment coins.tif --model nix --point 1,1 --out out.tif", "no model 'nix'"
    ),
    Refusal(
        "model not here",
        "segment coins.tif --model vit_h --point 1,1 --out out.tif",
        "napari-sam models get vit_h",
    ),
    Refusal("unknown device", "segment coins.tif --device tpu --point 1,1 --out out.tif", "'tpu'"),
    Refusal("no folder", "segment coins.tif --point 1,1 --out no/out.tif", "There is no folder no"),
    Refusal("labels as PNG", "segment coins.tif --point 54,45 --out out.png", "out.png"),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refusals(case: Refusal, napari_sam: NapariSam, folder: Path) -> None:
    assert_refused(case, napari_sam, folder)
    assert not folder.joinpath("out.tif").exists()


@pytest.mark.slow
def test_earlier_results_are_replaced(napari_sam: NapariSam, folder: Path) -> None:
    """A script can run again; a folder that is called as the model is none of its inputs."""
    command = "segment coins.tif --point 54,45 --out pocket/out.tif --overlay pocket/out.png"
    folder.joinpath("pocket").mkdir()
    for name in ("out.tif", "out.png"):
        folder.joinpath("pocket", name).write_text("an earlier one")
    ended = napari_sam(command)
    assert ended.code == 0, ended.err
    assert tifffile.imread("pocket/out.tif")[COIN] == 1
    assert np.asarray(Image.open("pocket/out.png")).shape == (303, 384, 3)


@pytest.mark.slow
def test_frames_without_contrast_are_said(napari_sam: NapariSam, folder: Path) -> None:
    pixels = np.zeros((4, 40, 50), np.float32)
    pixels[0, 10:20], pixels[1], pixels[2] = 9, 7, np.nan
    tifffile.imwrite("blank.tif", pixels, photometric="minisblack", metadata={"axes": "TYX"})
    rows = "".join(f"1,{frame},point,15,15\n" for frame in range(4))
    folder.joinpath("prompts.csv").write_text("object_id,t,kind,y,x\n" + rows)
    ended = napari_sam("segment blank.tif --prompts prompts.csv --out out.tif")
    assert ended.code == 0
    for frame in range(4):
        said = f"There is nothing to see in frame {frame}:" in ended.err
        assert said == (frame > 0)


@pytest.mark.slow
@pytest.mark.parametrize("image", ["coins.tif", "coins.png"])
def test_segment_gives_the_labels_that_python_gives(
    image: str, napari_sam: NapariSam, folder: Path
) -> None:
    ended = napari_sam(f"segment {image} --point 54,45 --out out.tif")
    predictor = Predictor(load_model("pocket"))
    prompts = Prompts.from_points([COIN])
    mask = predictor.refine(predictor.encode(data.coins()), prompts).mask()
    assert ended.code == 0
    assert "point (54, 45)" in ended.out
    np.testing.assert_array_equal(tifffile.imread("out.tif"), mask.astype(np.uint16))
    assert mask[COIN]


@pytest.mark.slow
def test_segment_writes_a_picture_of_the_frame_s_size(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam("segment stack.tif --frame 1 --point 248,45 --out out.tif --overlay out.png")
    assert ended.code == 0
    picture = np.asarray(Image.open("out.png"))
    labels = tifffile.imread("out.tif")
    stack = FrameStack.from_array(tifffile.imread("stack.tif"))
    frame = stack.frame(stack.index(1))
    assert picture.shape == (303, 384, 3)
    np.testing.assert_array_equal(picture[labels[1] == 0], frame[labels[1] == 0])
    assert np.ptp(picture[labels[1] == 1], axis=-1).max() > 0  # tinted


@pytest.mark.slow
def test_labels_have_the_stack_s_shape_and_axes(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam("segment stack.tif --frame 2 --point 54,45 --out out.tif")
    assert ended.code == 0
    with tifffile.TiffFile("out.tif") as file:
        labels = file.asarray()
        assert file.series[0].axes == "TYX"
    assert labels.shape == (3, 303, 384)
    assert labels[2][COIN] == 1
    assert not labels[:2].any()


@pytest.mark.slow
def test_a_table_of_prompts_keeps_its_ids_and_frames(napari_sam: NapariSam, folder: Path) -> None:
    folder.joinpath("prompts.csv").write_text(
        "object_id,t,kind,y,x,label,y0,x0,y1,x1\n"
        "5,0,point,54,45,1,,,,\n"
        "5,0,point,70,80,0,,,,\n"
        "9,2,box,,,,28,131,75,180\n"
    )
    ended = napari_sam("segment stack.tif --prompts prompts.csv --out out.tif --json")
    labels = tifffile.imread("out.tif")
    assert [(o["object_id"], o["frame"]) for o in ended.json["objects"]] == [(5, [0]), (9, [2])]
    assert labels[0][COIN] == 5
    assert labels[2][OTHER_COIN] == 9
    assert set(np.unique(labels)) == {0, 5, 9}


@pytest.mark.slow
def test_a_frame_takes_its_share_of_the_table_and_further_prompts_new_ids(
    napari_sam: NapariSam, folder: Path
) -> None:
    folder.joinpath("prompts.csv").write_text(
        "object_id,t,kind,y,x\n5,0,point,54,45\n6,2,point,54,45\n"
    )
    ended = napari_sam(
        "segment stack.tif --prompts prompts.csv --frame 2 --point 51,156 --out out.tif --json"
    )
    labels = tifffile.imread("out.tif")
    assert [o["object_id"] for o in ended.json["objects"]] == [6, 7]
    assert labels[2][COIN] == 6
    assert labels[2][OTHER_COIN] == 7
    assert not labels[0].any()


@pytest.mark.slow
def test_each_prompt_an_object(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam("segment coins.tif --point 54,45 --point 51,156 --each --out out.tif --json")
    labels = tifffile.imread("out.tif")
    assert (labels[COIN], labels[OTHER_COIN]) == (1, 2)
    assert len(ended.json["objects"]) == 2


@pytest.mark.slow
def test_json_says_what_was_done_with_what(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam(
        "segment coins.tif --point 54,45 --point 999,9 --out out.tif --json --device cpu"
    )
    (found,) = ended.json["objects"]
    assert ended.json["model"] == "pocket"
    assert ended.json["device"] == "cpu"
    assert ended.json["hash"].startswith("sha256:")
    assert found["area"] == np.count_nonzero(tifffile.imread("out.tif"))
    assert 0 < found["iou_prediction"] <= 1
    assert "outside" in found["notes"][0]
    assert "outside" in ended.err


def prompts_of_others(folder: Path) -> None:
    """The same coin as GeoJSON, as labels and as a table, each with something that is wrong."""
    ring = [[23, 35], [67, 35], [67, 75], [23, 75], [23, 35]]
    features = [
        {
            "type": "Feature",
            "geometry": {"type": kind, "coordinates": where},
            "properties": {"name": name, "classification": {"name": "coin"}},
        }
        for kind, where, name in (
            ("Polygon", [ring], "7"),
            ("Point", [5000, 1], "8"),
            ("LineString", ring, "9"),
        )
    ]
    content = {"type": "FeatureCollection", "features": features}
    folder.joinpath("coins.geojson").write_text(json.dumps(content))
    labels = np.zeros((303, 384), np.uint16)
    labels[35:75, 23:67] = 7
    tifffile.imwrite(folder / "labels.tif", labels)
    folder.joinpath("coins.csv").write_text(
        "object_id,kind,y,x,label,y0,x0,y1,x1\n7,box,,,,35,23,75,67\n8,point,nan,3,,,,,\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("coins.geojson", "mask"),
        ("coins.geojson", "point"),
        ("labels.tif", "box"),
        ("labels.tif", "point"),
        ("coins.csv", "box"),
    ],
)
def test_prompts_of_other_programs(
    name: str, shape: str, napari_sam: NapariSam, folder: Path
) -> None:
    prompts_of_others(folder)
    ended = napari_sam(f"segment coins.tif --prompts {name} --shape {shape} --out out.tif")
    labels = tifffile.imread("out.tif")
    assert labels[COIN] == 7
    assert set(np.unique(labels)) == {0, 7}
    if name == "labels.tif":
        assert ended.code == 0
        return
    assert ended.code == 3, "some were left out"
    said = "1 left out, line 3: y is 'nan'. Write a number such as 3.5."
    if name == "coins.geojson":
        said = "1 left out, feature 1: outside the image."
        assert "1 left out, feature 2: neither a polygon nor a point." in ended.err
    assert f"napari-sam: {name}: {said}" in ended.err


def test_a_file_of_which_nothing_is_left(napari_sam: NapariSam, folder: Path) -> None:
    folder.joinpath("far.csv").write_text("x,y\n9000,1\n9000,2\n")
    ended = napari_sam("segment coins.tif --prompts far.csv --out out.tif")
    assert ended.code == 1
    assert "2 left out, line 2, line 3: outside the image. far.csv: Most are outside" in ended.err
    assert not folder.joinpath("out.tif").exists()


def test_a_file_about_other_images(napari_sam: NapariSam, folder: Path) -> None:
    other = {"id": 1, "file_name": "other.tif", "height": 9, "width": 9}
    mine = {"id": 2, "file_name": "coins.tif", "height": 303, "width": 384}
    found = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 4, 4]}
    record = {"images": [other, mine], "annotations": [found], "categories": []}
    folder.joinpath("others.json").write_text(json.dumps(record))
    ended = napari_sam("segment coins.tif --prompts others.json --out out.tif")
    assert ended.code == 1
    assert ended.err.endswith("No prompt was given for this frame. others.json holds none.\n")


@pytest.mark.slow
def test_a_size_that_no_cell_has(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam("segment coins.tif --point 54,45 --cell-size inf --out out.tif")
    assert ended.code == 1
    assert "No cell has a diameter of inf pixels." in ended.err
    assert not folder.joinpath("out.tif").exists()


def test_a_detector_that_is_not_installed(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam("segment coins.tif --prompter cells --out out.tif")
    assert ended.code == 1
    assert "There is no detector 'cells'" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("options", ["", " --cell-size 30"])
def test_a_table_of_points_in_a_large_image_finds_the_nuclei_under_them(
    options: str, napari_sam: NapariSam, folder: Path
) -> None:
    large = nuclei(3000)
    tifffile.imwrite("large.tif", large.image)
    places = {3: (9, 2, 5), 8: (20, 4, 0)}
    rows = "".join(
        f"{n},point,{y},{x}\n" for n, at in places.items() for y, x in [large.centre(*at)]
    )
    folder.joinpath("prompts.csv").write_text("object_id,kind,y,x\n" + rows)
    ended = napari_sam("segment large.tif --prompts prompts.csv --out out.tif" + options)
    assert ended.code == 0, ended.err
    labels = tifffile.imread("out.tif")
    assert set(np.unique(labels)) == {0, *places}
    for object_id, at in places.items():
        assert large.iou(labels, object_id, *at) > 0.9
