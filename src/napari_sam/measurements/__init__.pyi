from .options import MeasureOptions as MeasureOptions
from .table import measure as measure
from .table import measure_frames as measure_frames
from .tables import check_table_path as check_table_path
from .tables import write_measurements as write_measurements
from .tracks import measure_tracks as measure_tracks
