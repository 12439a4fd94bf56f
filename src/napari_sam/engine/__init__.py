"""Floor 2: one frame, one object. NumPy at the border, torch inside.

The names are loaded when they are first used, so that reading prompts or frames does not load
torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
