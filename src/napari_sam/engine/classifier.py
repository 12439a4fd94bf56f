"""Classes of objects from a few examples: a linear classifier on what is seen of all of them.

What the network sees and what is measured weigh the same. The directions in which the objects
differ most are found from all of them, examples or not; in these few directions a logistic
regression needs no more than a few examples of each class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .errors import SamError

DIRECTIONS = 32  # principal components
SCALE = 5.0  # of the features, against the penalty on weights of the logistic regression


def propose_classes(
    seen: NDArray[np.float32], measured: NDArray[np.float32], known: Sequence[str | None]
) -> list[tuple[str, float]]:
    """Propose a class for each of N objects.

    Parameters
    ----------
    seen
        ``(N, D)``, of :func:`pooled_features`.
    measured
        ``(N, K)``, of :func:`measured_features`.
    known
        The class of each, ``None`` where it is to be proposed.

    Returns
    -------
    For each object the class that is most probable, and its probability; a known one is 1.

    Raises
    ------
    SamError
        If fewer than two classes have an example.
    """
    examples = np.array([n for n, name in enumerate(known) if name is not None], int)
    names = [str(known[n]) for n in examples]
    if len(set(names)) < 2:
        there = f"Only “{names[0]}” has examples" if names else "No object has a class"
        raise SamError(
            f"{there}, and classes are proposed from examples of two or more. Give each class a "
            "few objects first."
        )
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    features = SCALE * np.hstack([_weighed(seen), _weighed(measured)])
    n_directions = min(DIRECTIONS, *features.shape)
    # A class of few examples is no less probable: they are what the user came across
    learner = LogisticRegression(class_weight="balanced", max_iter=1000)
    with threadpool_limits(1):  # a team of threads takes twenty times as long on a busy computer
        directions = PCA(n_directions, random_state=0).fit_transform(features)
        learner.fit(directions[examples], names)
        probabilities = learner.predict_proba(directions)
    best = probabilities.argmax(1)
    proposed = [
        (str(learner.classes_[n]), float(each[n]))
        for n, each in zip(best, probabilities, strict=True)
    ]
    for n, name in zip(examples, names, strict=True):
        proposed[n] = (name, 1.0)
    return proposed


def _weighed(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Features (N, D) of mean 0 and, each, of variance 1 / D: so many weigh as much as one."""
    centred = features - features.mean(0, dtype=np.float64)
    spread = np.maximum(centred.std(0), 1e-6)
    weighed: NDArray[np.float64] = centred / spread / np.sqrt(features.shape[1])
    return weighed
