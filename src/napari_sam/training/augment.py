"""Training images in random light: what another stain, lamp or camera would have made of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def random_light(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Gamma, contrast, inversion, colour, uneven light, blur and noise; 0 to 255 → 0 to 255."""
    x = image / 255
    if rng.random() < 0.5:
        x = x.clamp(0, 1) ** float(np.exp(rng.uniform(-0.7, 0.7)))
    if rng.random() < 0.25:
        x = 1 - x
    if rng.random() < 0.15:
        x = _recurved(x, rng)
    x = _random_colour(x, rng)
    if rng.random() < 0.5:
        x = (x - 0.5) * float(rng.uniform(0.4, 1.4)) + 0.5 + float(rng.uniform(-0.2, 0.2))
    if rng.random() < 0.2:
        slope = torch.from_numpy(rng.uniform(-0.4, 0.4, (2, 1)).astype(np.float32))
        ramp = torch.linspace(-1, 1, x.shape[-1])
        x = x * (1 + slope[0] * ramp + (slope[1] * ramp)[:, None])
    if rng.random() < 0.25:
        x = _blurred(x, float(rng.uniform(0.4, 1.8)))
    if rng.random() < 0.4:
        shape = (1 if rng.random() < 0.7 else 3, *x.shape[1:])
        deviates = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        x = x + float(np.exp(rng.uniform(np.log(0.005), np.log(0.1)))) * deviates
    return (255 * x).clamp(0, 255)


def _recurved(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Levels through a random curve, which may rise and fall: the contrast of another stain."""
    knots = rng.uniform(0, 1, 6)
    if rng.random() < 0.5:
        knots = np.sort(knots)
    curve = np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(knots)), knots)
    return torch.from_numpy(curve).float()[(255 * x.clamp(0, 1)).long()]


def _random_colour(x: Tensor, rng: np.random.Generator) -> Tensor:
    grey = bool((x[0] == x[1]).all())
    if not grey and rng.random() < 0.3:
        return x.mean(0, keepdim=True).expand(3, -1, -1)
    if not grey and rng.random() < 0.5:
        mix = np.eye(3) + rng.normal(0, 0.15, (3, 3))
        order = rng.permutation(3) if rng.random() < 0.4 else np.arange(3)
        return torch.einsum("ij,jhw->ihw", torch.from_numpy(mix[order]).float(), x)
    if grey and rng.random() < 0.1:
        tint = torch.from_numpy(rng.uniform(0, 1, 3)).float()
        return x * (tint / tint.max())[:, None, None]
    return x


def _blurred(x: Tensor, sigma: float) -> Tensor:
    reach = torch.arange(-4, 5, dtype=torch.float32)
    kernel = (-(reach**2) / (2 * sigma**2)).exp()
    kernel = kernel / kernel.sum()
    padded = F.pad(x[:, None], (4, 4, 4, 4), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[:, 0]
