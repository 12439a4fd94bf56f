"""Click a cell, get its mask: Segment Anything for microscopists, in napari and headless.

    from napari_sam import Predictor, Prompts, load_model

    predictor = Predictor(load_model("pocket"))
    embedding = predictor.encode(image)  # (H, W) or (H, W, 3)
    prediction = predictor.predict(embedding, Prompts.from_points([(30, 40)]))
    mask = prediction.mask()  # (H, W) bool

The names in `__init__.pyi` are loaded when they are first used: importing this package loads
neither torch nor Qt.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
