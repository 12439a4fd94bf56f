"""`python -m napari_sam` is `napari-sam`."""

from napari_sam.cli import main

main()
