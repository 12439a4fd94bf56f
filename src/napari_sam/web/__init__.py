"""A page that segments in a browser, without a server or network.

The names are loaded when they are first used: a page of the embedded model needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
