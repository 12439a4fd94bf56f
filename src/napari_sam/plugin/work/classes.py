"""What runs in a worker's thread to propose classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.engine import EmbeddingCache
from napari_sam.stacks import Classified, ObjectFeatures

from .jobs import Report
from .tasks import encoding

if TYPE_CHECKING:
    from napari_sam.engine import Predictor


def propose(
    features: ObjectFeatures,
    objects: Classified,
    predictor: Predictor,
    cache: EmbeddingCache,
    report: Report,
) -> dict[int, tuple[str, float]]:
    """A class for each object, and its probability. What is seen for it stays in ``features``."""
    return features.propose(objects, predictor, cache, encoding(report))
