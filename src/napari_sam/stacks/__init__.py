"""Floor 4: many frames. Objects propagated from frame to frame, labels linked into tracks.

The names are loaded when they are first used, so that a command knows its options without SciPy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
