"""The decoder of the embedded network: prompts in a window to masks.

It draws the prompts as maps, as interactive segmentation does (Sofiiuk et al. 2021, "Reviving
iterative training with mask guidance"), and refines them in a small U-Net over the features to
Segment Anything's answer: a single mask, three candidates, and an IoU prediction for each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model.prompt_encoder import PromptTensors

from .encoder import Block, PocketConfig, PocketFeatures, conv, upsample

FINE = 4  # stride at which the prompts are drawn
KERNEL_UNIT = 8.0  # input pixels per unit of the spatial embedding
CLICK_SIGMAS = (4.0, 16.0)  # radii in input pixels of the two Gaussians drawn around each click
N_PROMPT_MAPS = 15


def grid(shape: tuple[int, int], device: torch.device, stride: int = FINE) -> Tensor:
    """Centres (2, h, w) of cells in input pixels, x before y; the first pixel spans 0 to 1."""
    ys = (torch.arange(shape[0], device=device, dtype=torch.float32) + 0.5) * stride
    xs = (torch.arange(shape[1], device=device, dtype=torch.float32) + 0.5) * stride
    return torch.stack(torch.meshgrid(xs, ys, indexing="xy"))


def sample(features: Tensor, points: Tensor, extent: tuple[int, int]) -> Tensor:
    """Features under points, bilinearly.

    Args:
        features: (B or 1, C, h, w).
        points: (B, N, 2) x, y in input pixels, the first spans 0 to 1.
        extent: (H, W) of the input.

    Returns:
        (B, N, C).
    """
    h, w = features.shape[-2:]
    scale = torch.tensor([extent[1], extent[0]], device=points.device, dtype=torch.float32)
    border = 1 - 1 / torch.tensor([w, h], device=points.device, dtype=torch.float32)
    where = (points / scale * 2 - 1).clamp(-border, border)[:, None]
    expanded = features.float().expand(len(points), -1, -1, -1)
    found = F.grid_sample(expanded, where, align_corners=False)
    return found[:, :, 0].transpose(1, 2)


def click_kernel(kernel: Tensor, points: Tensor) -> Tensor:
    """Logits of belonging to the same object as the pixel under a point.

    A pixel's embedding is its position plus a learned offset, and further learned dimensions. A
    pixel is inside if its embedding is nearer than 1 to the one under the point, by a weighted
    distance; the weights, and how steeply the logit falls, are learned under the point too.

    Args:
        kernel: (B or 1, 2 D + 1, h, w) of the encoder, at stride 4.
        points: (B, N, 2) x, y in input pixels, the first spans 0 to 1.

    Returns:
        (B, N, h, w), in single precision.
    """
    dim = (kernel.shape[1] - 1) // 2
    h, w = kernel.shape[-2:]
    kernel = kernel.float()
    position = grid((h, w), kernel.device) / KERNEL_UNIT
    embedding = kernel[:, :dim] + F.pad(position, (0, 0, 0, 0, 0, dim - 2))
    # (B, N, C): what the click sees
    seen = sample(torch.cat([embedding, kernel[:, dim:]], 1), points, (h * FINE, w * FINE))
    centre, weight, slope = seen[..., :dim], seen[..., dim:-1].clamp(-8, 4).exp(), seen[..., -1:]
    slope = 1 + F.softplus(slope)  # the clicked pixel itself is always inside
    # Expand the square: w (e - c)² = w e² - 2 w c e + w c², one matrix product for all pixels
    rows = slope * torch.cat([-weight, 2 * weight * centre], -1)
    constant = slope * (1 - (weight * centre**2).sum(-1, keepdim=True))
    pixels = torch.cat([embedding**2, embedding], 1).flatten(2)
    return (rows @ pixels + constant).view(*points.shape[:2], h, w)


class PocketDecoder(nn.Module):
    """Prompts drawn as maps, refined by a small U-Net that meets the features at every stride."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        edges, fine, middle, coarse, _ = config.widths
        n = config.n_masks
        self.draw = conv(N_PROMPT_MAPS, fine)
        self.token = nn.Linear(2 * coarse, coarse)
        self.downs = nn.ModuleList(
            conv(n_in, n_out, stride=2)
            for n_in, n_out in ((fine, middle), (middle, coarse), (coarse, coarse))
        )
        self.blocks = nn.ModuleList(Block(width) for width in (middle, coarse, coarse))
        self.laterals = nn.ModuleList(
            conv(n_in, n_out, size=1)
            for n_in, n_out in ((coarse, coarse), (coarse, middle), (middle, fine))
        )
        self.merges = nn.ModuleList(conv(width, width) for width in (coarse, middle, fine))
        self.to_edges = conv(fine, edges, size=1)
        self.to_masks = conv(edges, n)
        self.quality = nn.Sequential(
            nn.Linear(coarse + 3 * fine + n + 5, coarse),
            nn.ReLU(),
            nn.Linear(coarse, 64),
            nn.ReLU(),
            nn.Linear(64, 1),
        )
        bias = torch.full((n,), -3.0)  # most pixels are outside any one object
        self.to_masks.bias = nn.Parameter(bias)

    def forward(self, features: PocketFeatures, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Low-res logits (B, M, H / 2, W / 2) and IoU predictions (B, M)."""
        maps, token = self._draw(features, prompts)
        maps = maps.to(features.fine.dtype)

        # Down to stride 32, meeting the image at every stride
        fine = F.relu(features.fine + self.draw(maps))
        middle = self.blocks[0](F.relu(features.middle + self.downs[0](fine)))
        coarse = F.relu(features.coarse + self.downs[1](middle) + token)
        coarse = self.blocks[1](coarse)
        deep = self.blocks[2](F.relu(self.downs[2](coarse)))

        # Up again
        coarse = F.relu(self.merges[0](coarse + upsample(self.laterals[0](deep), coarse)))
        middle = F.relu(self.merges[1](middle + upsample(self.laterals[1](coarse), middle)))
        fine = F.relu(self.merges[2](fine + upsample(self.laterals[2](middle), fine)))
        edges = F.relu(features.edges + upsample(self.to_edges(fine), features.edges))
        logits = self.to_masks(edges).float() + box_prior(prompts, features.edges)
        return logits, self._iou(logits, fine, deep)

    def _draw(self, features: PocketFeatures, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Prompt maps (B, N_PROMPT_MAPS, h, w) and the features under the prompts (B, C, 1, 1)."""
        h, w = features.fine.shape[-2:]
        device = features.fine.device
        given = (prompts.points, prompts.boxes, prompts.masks)
        n_objects = next(len(prompt) for prompt in given if prompt is not None)
        cells = grid((h, w), device)
        maps, clicked = _draw_points(features, prompts.points, prompts.labels, cells, n_objects)
        box_maps, boxed = _draw_boxes(features, prompts.boxes, cells, n_objects)
        mask_maps = _draw_masks(prompts.masks, (h, w), n_objects, device)
        token = self.token(torch.cat([clicked, boxed], -1).to(features.fine.dtype))
        return torch.cat([maps, box_maps, mask_maps], 1), token[..., None, None]

    def _iou(self, logits: Tensor, fine: Tensor, deep: Tensor) -> Tensor:
        """IoU predictions (B, M) from what each mask covers, its outline, size and certainty."""
        inside = F.avg_pool2d(logits, 2).detach().sigmoid()  # (B, M, h, w)
        grown, shrunk = _dilated(inside), -_dilated(-inside)
        regions = torch.stack([inside, inside - shrunk, grown - inside], 2)  # (B, M, 3, h, w)
        areas = regions.sum((-2, -1))  # (B, M, 3)
        pixels = fine.float().flatten(2).transpose(1, 2)[:, None]  # (B, 1, hw, C)
        covered = (regions.flatten(3) @ pixels / (areas + 1)[..., None]).flatten(2)
        area = areas[..., 0]
        at_border = torch.cat(
            [inside[..., 0, :], inside[..., -1, :], inside[..., 0], inside[..., -1]], -1
        )
        described = [
            (inside * (1 - inside)).sum((-2, -1)) / (area + 1),
            (area + 1).log() / 8,
            ((inside > 0.5).float().sum((-2, -1)) + 1).log() / 8,
            areas[..., 1] / (area.sqrt() + 1) / 4,  # how long the outline is
            at_border.sum(-1) / (area.sqrt() + 1),  # how much of it the window cuts off
        ]
        n_masks = logits.shape[1]
        context = deep.float().mean((2, 3))[:, None].expand(-1, n_masks, -1)
        which = torch.eye(n_masks, device=logits.device).expand(len(logits), -1, -1)
        seen = torch.cat([context, covered, which, torch.stack(described, -1)], -1)
        predicted: Tensor = self.quality(seen.to(self.token.weight.dtype))
        return predicted.squeeze(-1).float().sigmoid()


def _dilated(x: Tensor) -> Tensor:
    """Maximum over 5 x 5 pixels: along columns, then along rows."""
    return F.max_pool2d(F.max_pool2d(x, (5, 1), 1, (2, 0)), (1, 5), 1, (0, 2))


def _draw_points(
    features: PocketFeatures,
    points: Tensor | None,
    labels: Tensor | None,
    cells: Tensor,
    n_objects: int,
) -> tuple[Tensor, Tensor]:
    """Seven maps (B, 7, h, w), Gaussians and click kernels; features under the positives (B, C)."""
    if points is None or labels is None:
        empty = cells.new_zeros(n_objects, 7, *cells.shape[1:])
        return empty, cells.new_zeros(n_objects, features.coarse.shape[1])
    centres = points.float() + 0.5
    kernel = click_kernel(features.kernel, centres)
    squared = (cells - centres[..., None, None]).square().sum(2)  # (B, N, h, w)
    maps = []
    for sign in (1, 0):
        chosen = (labels == sign)[..., None, None]
        for sigma in CLICK_SIGMAS:
            gaussians = (-squared / (2 * sigma**2)).exp()
            maps.append((gaussians * chosen).amax(1))
        logit = kernel.masked_fill(~chosen, -16).amax(1)
        maps.append(logit.sigmoid())
        if sign == 1:
            maps.append(torch.where(chosen.any(1), logit.clamp(-16, 8) / 8, 0))
    extent = (cells.shape[1] * FINE, cells.shape[2] * FINE)
    positive = (labels == 1).float()[..., None]
    seen = sample(features.coarse, centres, extent) * positive
    return torch.stack(maps, 1), seen.sum(1) / positive.sum(1).clamp(min=1)


def _draw_boxes(
    features: PocketFeatures, boxes: Tensor | None, cells: Tensor, n_objects: int
) -> tuple[Tensor, Tensor]:
    """Six maps (B, 6, h, w), box, ellipse, click kernel of its centre; features there (B, C)."""
    if boxes is None:
        empty = cells.new_zeros(n_objects, 6, *cells.shape[1:])
        return empty, cells.new_zeros(n_objects, features.coarse.shape[1])
    corners = boxes.float().view(-1, 2, 2) + 0.5
    centre = corners.mean(1, keepdim=True)  # (B, 1, 2)
    relative = _relative(boxes, cells)
    inside = 1 - relative.abs().amax(1)
    ellipse = 1 - relative.square().sum(1)
    kernel = click_kernel(features.kernel, centre).squeeze(1)
    maps = [
        (inside > 0).float(),
        inside.clamp(-1, 1),
        ellipse.clamp(-1, 1),
        kernel.sigmoid(),
        kernel.clamp(-16, 8) / 8,
        torch.ones_like(inside),
    ]
    given = (boxes[:, 2] > boxes[:, 0]).float()  # a box of no extent is padding
    extent = (cells.shape[1] * FINE, cells.shape[2] * FINE)
    seen = sample(features.coarse, centre, extent).squeeze(1) * given[:, None]
    return torch.stack(maps, 1) * given[:, None, None, None], seen


def box_prior(prompts: PromptTensors, like: Tensor) -> Tensor:
    """A prior to add to logits (B, M, h, w), at the stride of features 2, if there is only a box.

    Cells are round: the ellipse in the box tips what the image leaves open. With clicks or a mask
    the user has said more, and it is 0.
    """
    if prompts.boxes is None:
        return torch.zeros(())
    alone = prompts.boxes[:, 2] > prompts.boxes[:, 0]
    if prompts.labels is not None:
        alone = alone & (prompts.labels < 0).all(1)
    if prompts.masks is not None:
        alone = alone & (prompts.masks <= 0).flatten(1).all(1)
    h, w = like.shape[-2:]
    cells = grid((h, w), like.device, stride=2)
    relative = _relative(prompts.boxes, cells)
    ellipse = (2 * (1 - relative.square().sum(1))).clamp(-1, 1)
    return (ellipse * alone[:, None, None])[:, None]


def _relative(boxes: Tensor, cells: Tensor) -> Tensor:
    """Cells (2, h, w) in the frame of each box, (B, 2, h, w): -1 and 1 on its sides."""
    corners = boxes.float().view(-1, 2, 2) + 0.5
    half = (corners[:, 1] - corners[:, 0]).clamp(min=2) / 2
    return (cells - corners.mean(1)[..., None, None]) / half[..., None, None]


def _draw_masks(
    masks: Tensor | None, shape: tuple[int, int], n_objects: int, device: torch.device
) -> Tensor:
    """Two maps (B, 2, h, w): the mask's probability, and that there is one."""
    if masks is None:
        return torch.zeros(n_objects, 2, *shape, device=device)
    probability = masks.float().sigmoid()
    if probability.shape[-2:] != shape:
        probability = F.adaptive_avg_pool2d(probability, shape)
    given = (probability > 0.5).any(-1).any(-1)[..., None, None]
    return torch.cat([probability, torch.ones_like(probability)], 1) * given
