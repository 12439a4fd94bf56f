"""What this plugin opens in napari by itself: Zarr images, plates, slides, folders of frames."""

from __future__ import annotations

import shutil
from pathlib import Path

import npe2
import numpy as np
import pytest
import tifffile
import zarr
from napari.utils.notifications import notification_manager

from bright import BRIGHT
from napari_sam.installation import DISTRIBUTION
from napari_sam.plugin.contributions import image_reader
from napari_sam.plugin.sessions.places import SERIES
from napari_sam.session import is_session, session_path

SHAPE = (40, 48)


def frame(n: int) -> np.ndarray:
    """Dark, and a bright square, further to the right in each."""
    pixels = np.full(SHAPE, 20, np.uint8)
    pixels[10:20, 5 + n : 15 + n] = BRIGHT + 20
    return pixels


def write_ome(path: Path, pixels: np.ndarray, size: float = 0.5) -> None:
    """One OME-Zarr 0.4 image of two levels, and labels beside them."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    axes = [{"name": "t", "type": "time", "unit": "second"}] * (pixels.ndim - 2)
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    datasets = []
    for n in range(2):
        level = pixels[..., :: 2**n, :: 2**n]
        group.create_array(str(n), data=level)
        scale = [2.0] * (pixels.ndim - 2) + [size * 2**n] * 2
        transform = {"type": "scale", "scale": scale}
        datasets.append({"path": str(n), "coordinateTransformations": [transform]})
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    group.create_group("labels")


def image(folder: Path) -> Path:
    write_ome(folder / "movie.ome.zarr", np.stack([frame(0), frame(3)]))
    return folder / "movie.ome.zarr"


def zipped(folder: Path) -> Path:
    shutil.make_archive(str(folder / "movie.zarr"), "zip", image(folder))
    return folder / "movie.zarr.zip"


def converted(folder: Path) -> Path:
    zarr.open_group(folder / "c.zarr", mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    for n in range(2):
        write_ome(folder / "c.zarr" / str(n), frame(n), 0.25 + n)
    return folder / "c.zarr"


def plate(folder: Path) -> Path:
    """Two wells of one field."""
    root = zarr.open_group(folder / "plate.zarr", mode="w", zarr_format=2)
    wells = ("A/1", "B/2")
    root.attrs["plate"] = {"version": "0.4", "wells": [{"path": well} for well in wells]}
    for n, well in enumerate(wells):
        images = [{"path": "0"}]
        root.create_group(well).attrs["well"] = {"version": "0.4", "images": images}
        write_ome(folder / "plate.zarr" / well / "0", frame(10 * n), 0.5 + n)
    return folder / "plate.zarr"


def frames(folder: Path) -> Path:
    (folder / "frames").mkdir()
    for n in (1, 2, 10):
        tifffile.imwrite(folder / "frames" / f"t{n}.tif", frame(n))
    return folder / "frames"


def slide(folder: Path) -> Path:
    """As Aperio's scanners write it: the image, a thumbnail, the image at half the resolution."""
    colours = np.stack([frame(0)] * 3, -1)
    about = {"photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(folder / "slide.svs") as file:
        file.write(colours, tile=(16, 16), description="Aperio Image Library v1", **about)
        file.write(colours[::8, ::8], **about)
        file.write(colours[::2, ::2], tile=(16, 16), **about)
    return folder / "slide.svs"


@pytest.mark.parametrize(
    ("write", "shapes", "scale", "units", "n_images"),
    [
        (image, [(2, 40, 48), (2, 20, 24)], (2, 0.5, 0.5), ("second", *["micrometer"] * 2), 1),
        (zipped, [(2, 40, 48), (2, 20, 24)], (2, 0.5, 0.5), ("second", *["micrometer"] * 2), 1),
        (converted, [(40, 48), (20, 24)], (0.25, 0.25), ("micrometer",) * 2, 2),
        (plate, [(40, 48), (20, 24)], (0.5, 0.5), ("micrometer",) * 2, 2),
        (frames, [(3, 40, 48)], None, None, 1),
        (slide, [(40, 48, 3), (20, 24, 3)], None, None, 2),
    ],
)
def test_opened_with_levels_axes_and_sizes(tmp_path, write, shapes, scale, units, n_images) -> None:
    npe2.PluginManager.instance().discover()
    path = write(tmp_path)
    before = len(notification_manager.records)
    ((data, about, kind),) = npe2.read([str(path)], stack=False, plugin_name=DISTRIBUTION)
    levels = data if about["multiscale"] else [data]
    assert kind == "image"
    assert [tuple(level.shape) for level in levels] == shapes
    assert about["rgb"] == (write is slide)
    first = np.asarray(levels[0][...])
    first = first[..., 0] if about["rgb"] else first.reshape(-1, *SHAPE)[0]
    np.testing.assert_array_equal(first, frame(1 if write is frames else 0))
    assert about.get("scale") == scale
    assert about.get("units") == units
    said = [record.message for record in notification_manager.records[before:]]
    assert said == (
        [f"{path.name} holds {n_images} images. This is the first; choose under “Series”."]
        if n_images > 1
        else []
    )


def test_what_others_open_is_left_to_them(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    assert image_reader(str(tmp_path / "empty")) is None
    assert image_reader([str(image(tmp_path))]) is None


def test_a_field_of_a_plate_is_chosen_and_annotated(open_window, tmp_path) -> None:
    user = open_window(plate(tmp_path), plugin=DISTRIBUTION)
    series = user.widget.source.series
    user.qtbot.waitUntil(lambda: series.count() == 2, timeout=30_000)
    assert series.itemText(1) == "1: B/2/0"
    series.activated.emit(1)
    user.qtbot.waitUntil(
        lambda: user.widget.bridge and user.widget.bridge.image.metadata.get(SERIES) == 1,
        timeout=30_000,
    )
    user.ready()
    bridge = user.widget.bridge
    np.testing.assert_allclose(bridge.image.scale, (1.5, 1.5))
    user.refit()
    user.click((1.5 * 15, 1.5 * 20))
    user.ready()
    labels = np.asarray(bridge.labels.data)
    assert labels[15, 20] == 1
    assert not labels[:, :10].any()
    user.viewer.close()
    assert is_session(session_path(tmp_path / "plate.zarr.1"))
