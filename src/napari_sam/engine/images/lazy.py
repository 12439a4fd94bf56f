"""Arrays that are read when they are indexed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Lazy(ABC):
    """For arrays of this project: NumPy reads all of one, else it would be one object to it."""

    @abstractmethod
    def __getitem__(self, where: Any) -> NDArray[Any]:
        """What is read and returned: `array[3]`."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of it in memory, for `np.asarray`."""
        if copy is False:
            raise ValueError("This array is not in memory, so NumPy cannot have it uncopied.")
        return np.asarray(self[...], dtype)
