from .canvas import Canvas as Canvas
from .catalogue import FORMATS as FORMATS
from .catalogue import Format as Format
from .catalogue import find_format as find_format
from .exporting import check_export as check_export
from .exporting import export as export
from .exporting import losses as losses
from .importing import import_objects as import_objects
