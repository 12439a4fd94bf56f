"""Networks built without the random weights that a checkpoint replaces at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Uninitialised(TorchFunctionMode):
    """Inside, no parameter is initialised.

    Random numbers take seconds for a large network; and on the meta device, where there are no
    numbers, PyTorch imports sympy for them: a second, and 75 MB.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == torch.nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        if func in (torch.Tensor.uniform_, torch.Tensor.normal_):
            return args[0]
        if func is torch.randn:
            func = torch.empty
        return func(*args, **kwargs)
