"""Objects out, to the files of other programs, and in again: one format, one file.

The names are loaded when they are first used, and so is each format.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
