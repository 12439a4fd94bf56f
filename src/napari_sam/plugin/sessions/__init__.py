"""Sessions of image layers: in memory, on disk, and opened again."""
