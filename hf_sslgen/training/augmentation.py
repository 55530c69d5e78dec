"""Random views for pretraining, generated on the device per batch with separate parameters for each image.

All colour operations except contrast are linear in RGB, so brightness, saturation, hue and grayscale are combined into
one 3 x 3 matrix per image and applied in a single pass.
"""

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hf_sslgen.randomness import derive_seed

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LUMA_WEIGHTS = (0.299, 0.587, 0.114)
RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class AugmentationPolicy:
    """SimCLR's augmentation without blur (Chen et al. 2020, appendix A; at 64 px blur helps little).

    `hue` is the largest rotation of the colour circle, as a fraction of a full turn.
    """

    minimum_area: float = 0.2
    aspect_ratio: float = 4 / 3
    flip_probability: float = 0.5
    jitter_probability: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grayscale_probability: float = 0.2


@dataclass(frozen=True, eq=False)
class _ColourConstants:
    """The colour matrices' constant parts, on one device."""

    identity: Tensor
    luma: Tensor
    to_yiq: Tensor
    from_yiq: Tensor


@functools.cache
def _colour_constants(device: torch.device) -> _ColourConstants:
    """Compute the constants on the CPU and copy them once: inverting a matrix on a GPU waits for its queue."""
    to_yiq = torch.tensor(RGB_TO_YIQ)
    constants = torch.eye(3), torch.tensor(LUMA_WEIGHTS), to_yiq, torch.linalg.inv(to_yiq)
    return _ColourConstants(*(constant.to(device) for constant in constants))


def _uniform(generator: torch.Generator, count: int, low: float, high: float) -> Tensor:
    return torch.rand(count, generator=generator, device=generator.device) * (high - low) + low


def crop_and_flip(
    images: Tensor, policy: AugmentationPolicy, generator: torch.Generator, size: int | None = None
) -> Tensor:
    """Crop a random box from each image, flip it at random and resize it.

    Args:
        images: (B, 3, H, W) floats.
        size: side of the result in pixels; None keeps the original size.
    """
    count = len(images)
    area = _uniform(generator, count, policy.minimum_area, 1.0)
    log_ratio = math.log(policy.aspect_ratio)
    ratio = torch.exp(_uniform(generator, count, -log_ratio, log_ratio))
    width = torch.sqrt(area * ratio).clamp(max=1.0)
    height = torch.sqrt(area / ratio).clamp(max=1.0)
    # In the sampling grid's coordinates the image spans [-1, 1]; the box's centre may move within the margin.
    centre_x = _uniform(generator, count, -1.0, 1.0) * (1 - width)
    centre_y = _uniform(generator, count, -1.0, 1.0) * (1 - height)
    flipped = _uniform(generator, count, 0.0, 1.0) < policy.flip_probability
    direction = torch.where(flipped, -1.0, 1.0)
    zeros = torch.zeros_like(width)
    boxes = torch.stack(
        [torch.stack([width * direction, zeros, centre_x], 1), torch.stack([zeros, height, centre_y], 1)], 1
    )
    height_and_width = list(images.shape[2:]) if size is None else [size, size]
    grid = F.affine_grid(boxes.to(images.dtype), [*images.shape[:2], *height_and_width], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _colour_matrices(count: int, policy: AugmentationPolicy, generator: torch.Generator, jittered: Tensor) -> Tensor:
    """Return (B, 3, 3) matrices that change brightness, saturation and hue, or convert an image to grayscale."""
    constants = _colour_constants(generator.device)
    gray = constants.luma.expand(3, 3)
    brightness = _uniform(generator, count, 1 - policy.brightness, 1 + policy.brightness)
    saturation = _uniform(generator, count, 1 - policy.saturation, 1 + policy.saturation)
    angle = _uniform(generator, count, -policy.hue, policy.hue) * 2 * math.pi
    desaturation = saturation[:, None, None] * constants.identity + (1 - saturation)[:, None, None] * gray
    rotation = torch.zeros(count, 3, 3, device=generator.device)
    rotation[:, 0, 0] = 1
    rotation[:, 1, 1] = rotation[:, 2, 2] = torch.cos(angle)
    rotation[:, 1, 2] = -torch.sin(angle)
    rotation[:, 2, 1] = torch.sin(angle)
    hue = constants.from_yiq @ rotation @ constants.to_yiq
    jitter = brightness[:, None, None] * (hue @ desaturation)
    matrices = torch.where(jittered[:, None, None], jitter, constants.identity)
    grayed = _uniform(generator, count, 0.0, 1.0) < policy.grayscale_probability
    return torch.where(grayed[:, None, None], gray @ matrices, matrices)


def jitter_colours(images: Tensor, policy: AugmentationPolicy, generator: torch.Generator) -> Tensor:
    """Jitter contrast, brightness, saturation and hue, and convert some images to grayscale; values stay in [0, 1]."""
    count = len(images)
    jittered = _uniform(generator, count, 0.0, 1.0) < policy.jitter_probability
    contrast = _uniform(generator, count, 1 - policy.contrast, 1 + policy.contrast)
    contrast = torch.where(jittered, contrast, 1.0).to(images.dtype)[:, None, None, None]
    matrices = _colour_matrices(count, policy, generator, jittered).to(images.dtype)
    luma = _colour_constants(images.device).luma.to(images.dtype)
    mean_luma = torch.einsum("bchw,c->b", images, luma) / (images.shape[2] * images.shape[3])
    contrasted = images * contrast + (1 - contrast) * mean_luma[:, None, None, None]
    return torch.einsum("bij,bjhw->bihw", matrices, contrasted).clamp(0, 1)


def random_view(
    images: Tensor, policy: AugmentationPolicy, generator: torch.Generator, size: int | None = None
) -> Tensor:
    """Generate one random view of each image.

    Args:
        images: (B, 3, H, W) floats in [0, 1] on the generator's device.
        generator: its state alone determines the view, so the same seed gives the same view.
        size: side of the view in pixels; None keeps the images' own size.

    Returns:
        (B, 3, size, size) floats in [0, 1].
    """
    return jitter_colours(crop_and_flip(images, policy, generator, size), policy, generator)


class ViewMaker:
    """Generate normalised random views of a batch, determined by (seed, epoch, step, view, process).

    Args:
        size: side of the views in pixels; None keeps the images' own size.
    """

    def __init__(self, seed: int, process_index: int, device: torch.device, size: int | None = None) -> None:
        self.seed, self.process_index, self.size = seed, process_index, size
        self.policy = AugmentationPolicy()
        self.generator = torch.Generator(device=device)
        self.mean = torch.tensor(IMAGENET_MEAN, device=device)[:, None, None]
        self.std = torch.tensor(IMAGENET_STD, device=device)[:, None, None]

    def __call__(self, images: Tensor, num_views: int, epoch: int, step: int) -> Tensor:
        """Generate `num_views` views of (B, 3, H, W) bytes, stacked to (num_views * B, 3, size, size) floats."""
        pixels = images.float() / 255
        made = []
        for view in range(num_views):
            self.generator.manual_seed(derive_seed(self.seed, "view", epoch, step, view, self.process_index))
            made.append((random_view(pixels, self.policy, self.generator, self.size) - self.mean) / self.std)
        return torch.cat(made).contiguous(memory_format=torch.channels_last)
