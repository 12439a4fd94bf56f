"""What every test shares: a strict napari, few threads, the folder of real images."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from commands import Ended, NapariSam

# Read when napari and torch are imported, so set before any test module is.
os.environ["NAPARI_CONFIG"] = ""  # neither read nor write the settings of whoever runs the tests
os.environ["NAPARI_ENSURE_PLUGIN_MAIN_THREAD"] = "1"
os.environ["NAPARI_STRICT_QT"] = "raise"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks: a team of threads only costs

# The same examples in each run, so that a change is judged by itself; `make fuzz` tries others
settings.register_profile("napari-sam", deadline=None, derandomize=True)
settings.register_profile("quick", settings.get_profile("napari-sam"), max_examples=10)
settings.register_profile("fuzz", deadline=None, max_examples=1000)
settings.load_profile("napari-sam")

REPOSITORY = Path(__file__).resolve().parents[1]
CACHED_BY_NAPARI = 2**24  # bytes
WINDOW_FIXTURES = {"qapp", "qtbot", "make_napari_viewer"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that open a window, and begin with the files that take longest.

    `-m "not window"` runs without a display. Files run side by side in this order, so that none
    that takes minutes is begun when all others are done.
    """
    costs: dict[Path, dict[str, int]] = defaultdict(dict)  # of a function, whatever its cases
    for item in items:
        is_window = bool(WINDOW_FIXTURES.intersection(getattr(item, "fixturenames", ())))
        if is_window:
            item.add_marker("window")
        is_slow = item.get_closest_marker("slow") is not None
        name = getattr(item, "originalname", item.name)
        costs[item.path][name] = 50 if is_slow else 10 if is_window else 1
    items.sort(key=lambda item: -sum(costs[item.path].values()))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real images with ground truth and an index.json; tests that ask for them skip without."""
    folder = Path(os.environ.get("NAPARI_SAM_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "index.json").is_file():
        pytest.skip(f"no annotated images in {folder} (set NAPARI_SAM_DATA)")
    return folder


@pytest.fixture
def napari_sam(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> NapariSam:
    """Run a command in this process."""
    from napari_sam.cli import main

    def run(command: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["napari-sam", *command.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which commands run, with empty folders of models and embeddings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    return tmp_path


@pytest.fixture(scope="session")
def detector_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny detectors that are asked by words, by their kind."""
    pytest.importorskip("transformers", reason="the extra text is not installed")
    from text_detectors import SAVE

    root = tmp_path_factory.mktemp("detectors")
    return {kind: save(root / kind) for kind, save in SAVE.items()}


@pytest.fixture(autouse=True, scope="module")
def embeddings_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Embeddings on disk that the tests of a file share, never the user's.

    The embedded network takes a second for a frame; on disk it goes what took long to encode.
    """
    folder = tmp_path_factory.mktemp("embeddings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_SAM_EMBEDDINGS", str(folder))
        yield folder


@pytest.fixture(autouse=True, scope="module")
def _memory_is_given_back() -> Iterator[None]:
    """What the tests of a file took is free for others: glibc keeps it until it is asked.

    The libraries that they loaded are left out of later searches for garbage.
    """
    yield
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """In a test marked ``largest_file(n)`` no file grows beyond n bytes, as on a full disk.

    The limit holds for the test alone, not for what pytest itself writes before and after.
    """
    mark = item.get_closest_marker("largest_file")
    if mark is None:
        return (yield)
    resource = pytest.importorskip("resource", reason="limits on file sizes are POSIX's")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (mark.args[0], before[1]))
    try:
        return (yield)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def pytest_collection_finish() -> None:
    """Leave what is loaded now out of every search for garbage, which then takes no time.

    napari keeps what Dask has computed, for the whole process, in up to a quarter of the memory.
    """
    if "napari" in sys.modules:
        from napari.utils import resize_dask_cache

        resize_dask_cache(CACHED_BY_NAPARI)
    gc.collect()
    gc.freeze()
