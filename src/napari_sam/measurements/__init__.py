"""What objects measure: shapes, intensities and tracks as tables, in the units of the image.

The names are loaded when they are first used, so that a command knows its options without pandas.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
