"""Pixel operations of the transforms: batches (B, 3, S, S) of float32 in [0, 1], on any device, to the same shape.

Each agrees with torchvision on Pillow images, within the rounding of 8-bit values, and is cheap compared with a
forward pass. Randomness comes from a seed per image and is drawn on the CPU, so that devices agree.
"""

import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as nn
from torchvision.io import decode_jpeg, encode_jpeg
from torchvision.transforms.v2 import functional as F

REFERENCE_SIDE = 224
"""Reference side for severities given in pixels (blur, elastic displacement), which scale with the image side."""

Linear = tuple[tuple[float, float], tuple[float, float]]
GRAY_WEIGHTS = (0.299, 0.587, 0.114)
ELASTIC_SIGMA = 5.0
"""Smoothness of elastic displacement, in pixels at the reference side."""

VALUES_PER_THREAD = 4 * 3 * 224 * 224
"""Minimum work per thread: starting one takes a millisecond, in which libjpeg could process about one image."""

OUTSIDE = 3.0
"""A sampling coordinate beyond any neighbour of the image, which spans [-1, 1]."""


def _drawn(draw: Callable[[torch.Generator], Tensor], seeds: Sequence[int], like: Tensor) -> Tensor:
    """Draw for each image, and stack the draws on the device of `like`."""
    return torch.stack([draw(torch.Generator().manual_seed(seed)) for seed in seeds]).to(like.device)


def to_bytes(pixels: Tensor) -> Tensor:
    """Round to the nearest 8-bit levels."""
    return (pixels * 255).round_().to(torch.uint8)


def on_bytes(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Round to 8-bit levels first, for operations defined on 8-bit images."""
    return lambda pixels: function(to_bytes(pixels)) / 255


def _centres(side: int, device: torch.device) -> Tensor:
    """Return the (S,) coordinates of pixel centres if the image spans [-1, 1]."""
    return (2 * torch.arange(side, device=device) + 1) / side - 1


def linear_map(pixels: Tensor, inverse: Linear) -> Tensor:
    """Rotate, scale or shear about the centre, with bilinear interpolation.

    As in Pillow, pixels from within the image have full weight up to its edge, and everything else is black, whereas
    torchvision's tensor version blends half a pixel of black into the edges.

    Args:
        inverse: maps a position (x, y) in the result, relative to the centre, to the position in the image.
    """
    grid = _linear_grid(pixels.shape[-1], inverse, pixels.device)
    return nn.grid_sample(pixels, grid.expand(len(pixels), -1, -1, -1), align_corners=False)


@functools.lru_cache(maxsize=32)
@torch.inference_mode(False)  # so that the cached result can be used outside such a block
def _linear_grid(side: int, inverse: Linear, device: torch.device) -> Tensor:
    """Return the (S, S, 2) sampling positions; cached, because every batch needs the same ones."""
    centres = _centres(side, device)
    places = torch.stack([a * centres[None, :] + b * centres[:, None] for a, b in inverse], -1)
    inside = ((places >= -1) & (places < 1)).all(-1, keepdim=True)
    edge = 1 - 1 / side
    return torch.where(inside, places.clamp(-edge, edge), OUTSIDE)


def rotation(pixels: Tensor, degrees: float) -> Tensor:
    """Rotate counter-clockwise."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return linear_map(pixels, ((cosine, -sine), (sine, cosine)))


def scale(pixels: Tensor, factor: float) -> Tensor:
    """Zoom in (above 1) or out."""
    return linear_map(pixels, ((1 / factor, 0), (0, 1 / factor)))


def shear(pixels: Tensor, degrees: float) -> Tensor:
    """Shear along the horizontal axis."""
    return linear_map(pixels, ((1, math.tan(math.radians(degrees))), (0, 1)))


def translation(pixels: Tensor, right: float, down: float) -> Tensor:
    """Translate by fractions of the side, rounded to whole pixels, which needs no interpolation."""
    columns, rows = round(right * pixels.shape[-1]), round(down * pixels.shape[-1])
    return nn.pad(pixels, (columns, -columns, rows, -rows))


def resized_crop(pixels: Tensor, seeds: Sequence[int], area: float) -> Tensor:
    """Crop a square with a given share of the area at a random place in each image, and enlarge it bilinearly."""
    side = pixels.shape[-1]
    cut = round(side * math.sqrt(area))
    corners = _drawn(lambda generator: torch.randint(0, side - cut + 1, (2,), generator=generator), seeds, pixels)
    windows = pixels.unfold(2, cut, 1).unfold(3, cut, 1)  # a view: (B, 3, tops, lefts, cut, cut)
    crops = windows[torch.arange(len(pixels), device=pixels.device), :, corners[:, 0], corners[:, 1]]
    return nn.interpolate(crops, size=(side, side), mode="bilinear", align_corners=False)


def elastic(pixels: Tensor, seeds: Sequence[int], displacement: float) -> Tensor:
    """Displace pixels by Gaussian-smoothed noise.

    Strength and smoothness are fixed fractions of the side, so the transform is the same at every size. The noise is
    that of torchvision's `ElasticTransform`, uniform in [-1, 1] for each direction, whose `alpha` and `sigma` give a
    root mean square of about alpha / (3.5 sigma sqrt(6)) pixels at any side: 1.2 at its defaults of 50 and 5.

    Args:
        displacement: root-mean-square displacement over pixels, in pixels at side 224; the standard deviation of the
            smoothing is 5 such pixels. On average an image's farthest-moving pixel moves 2.3 times as far at side 32,
            2.9 times at 64 and 3.4 times at 224.
    """
    side = pixels.shape[-1]
    scaled = ELASTIC_SIGMA * side / REFERENCE_SIDE
    matrix = _convolution(side, _gaussian(scaled, min(math.ceil(4 * scaled), side - 1)))
    # Noise has variance 1/3 in each of two directions; mirrored edges smooth it slightly less than the middle.
    root_mean_square = math.sqrt(2 / 3) * float(matrix.square().sum(0).mean())
    noise = _drawn(lambda generator: torch.rand(2, side, side, generator=generator), seeds, pixels) * 2 - 1
    field = _convolved(noise, matrix).permute(0, 2, 3, 1) * (2 * displacement / REFERENCE_SIDE / root_mean_square)
    centres = _centres(side, pixels.device)
    places = torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)], -1)
    return nn.grid_sample(pixels, places + field, align_corners=False)


def _gaussian(sigma: float, radius: int) -> Tensor:
    """Return (2 radius + 1,) samples of a Gaussian, scaled to sum to 1.

    Samples one pixel apart can't represent a much narrower Gaussian: at side 64 torchvision's blur of sigma 1 leaves
    images unchanged. Below half a pixel, three taps with the right variance are used instead.
    """
    if sigma < 0.5:
        return torch.tensor([sigma**2 / 2, 1 - sigma**2, sigma**2 / 2])
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    return kernel / kernel.sum()


def _convolution(side: int, kernel: Tensor) -> Tensor:
    """Return the (S, S) matrix, from and to, of a 1-D convolution with an odd kernel, mirrored at the edges."""
    radius = len(kernel) // 2
    mirrored = nn.pad(torch.eye(side)[None], (radius, radius), mode="reflect")[0]
    return mirrored.unfold(1, len(kernel), 1) @ kernel


def _convolved(planes: Tensor, matrix: Tensor) -> Tensor:
    """Convolve rows and columns of (B, C, S, S) with the matrix of a convolution.

    One product per direction was the fastest variant measured, by far on small images.
    """
    on_device = matrix.to(planes.device)
    return torch.matmul(on_device.t(), planes.contiguous() @ on_device)


def gaussian_blur(pixels: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian of `sigma` pixels at side 224, truncated at three sigma."""
    scaled = sigma * pixels.shape[-1] / REFERENCE_SIDE
    kernel = _gaussian(scaled, math.ceil(3 * scaled))
    return _convolved(pixels, _convolution(pixels.shape[-1], kernel)).clamp_(0, 1)


def brightness(pixels: Tensor, factor: float) -> Tensor:
    """Change brightness by blending with black, or away from it."""
    return (pixels * factor).clamp_(0, 1)


def contrast(pixels: Tensor, factor: float) -> Tensor:
    """Change contrast by blending with the image's mean gray, or away from it."""
    mean = pixels.mean((2, 3)) @ torch.tensor(GRAY_WEIGHTS, device=pixels.device)
    return (pixels * factor).add_((1 - factor) * mean[:, None, None, None]).clamp_(0, 1)


def saturation(pixels: Tensor, factor: float) -> Tensor:
    """Change saturation by blending with the grayscale image, or away from it."""
    return torch.lerp(F.rgb_to_grayscale(pixels), pixels, factor).clamp_(0, 1)


def hue(pixels: Tensor, turn: float) -> Tensor:
    """Rotate hues by a fraction of the colour circle, keeping value and saturation of the HSV hexcone.

    Hues are 8-bit numbers, as in Pillow: 255 steps around the circle, truncated rather than rounded, and counted
    modulo 256. On saturated colours a step is six levels of a channel, so exact hues would differ from Pillow's by
    more than two levels.

    At hue h, in sixths of the circle from red, a channel lies between the pixel's smallest and largest channel at
    clamp(| |h + p| - 3 | - 1, 0, 1) of the way, p = 0, -2, -4 (for 0 <= h <= 6.1), which avoids a case for each sixth.
    """
    red, green, blue = pixels.contiguous().unbind(1)
    largest = torch.maximum(torch.maximum(red, green), blue)
    smallest = torch.minimum(torch.minimum(red, green), blue)
    chroma = largest - smallest
    from_green = (blue - red).add_(chroma, alpha=2)
    from_blue = (red - green).add_(chroma, alpha=4)
    from_red = green - blue
    times_chroma = torch.where(largest == red, from_red, torch.where(largest == green, from_green, from_blue))
    sixths = times_chroma.div_(chroma.clamp(min=1e-6))
    steps = torch.where(sixths < 0, sixths + 6, sixths).mul_(255 / 6).to(torch.uint8)
    steps += int(turn * 255) % 256
    peaks = torch.tensor([0.0, -2.0, -4.0], device=pixels.device)[:, None, None]
    ways = (steps[:, None] * (6 / 255) + peaks).abs_().sub_(3).abs_().sub_(1).clamp_(0, 1)
    return ways.mul_(chroma[:, None]).add_(smallest[:, None]).clamp_(0, 1)


def sharpness(pixels: Tensor, factor: float) -> Tensor:
    """Change sharpness by blending with a smoothed version, or away from it; as in Pillow, the border is not smoothed.

    The smoothing kernel is [[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13, computed as a mean of nine pixels plus the centre.
    """
    centre = pixels[..., 1:-1, 1:-1]
    smooth = (9 * nn.avg_pool2d(pixels, 3, stride=1) + 4 * centre) / 13
    sharpened = pixels.clone()
    sharpened[..., 1:-1, 1:-1] = torch.lerp(smooth, centre, factor).clamp_(0, 1)
    return sharpened


def jpeg(pixels: Tensor, quality: int) -> Tensor:
    """Encode as JPEG and decode again, always by libjpeg on the CPU, so that the result is the same on any device."""
    images = to_bytes(pixels).cpu().contiguous(memory_format=torch.channels_last)  # libjpeg's order
    recompress = partial(_recompressed, quality=quality)
    num_threads = min(torch.get_num_threads(), images.numel() // VALUES_PER_THREAD)
    if num_threads < 2:
        return torch.stack(recompress(images)).to(pixels.device) / 255
    with ThreadPoolExecutor(num_threads) as threads:
        parts = threads.map(recompress, images.chunk(num_threads))
        return torch.stack([image for part in parts for image in part]).to(pixels.device) / 255


def _recompressed(images: Tensor, quality: int) -> list[Tensor]:
    return [decode_jpeg(encode_jpeg(image, quality)) for image in images]


def gaussian_noise(pixels: Tensor, seeds: Sequence[int], deviation: float) -> Tensor:
    """Add independent Gaussian noise to each value."""
    noise = _drawn(lambda generator: torch.randn(pixels.shape[1:], generator=generator), seeds, pixels)
    return torch.add(pixels, noise, alpha=deviation).clamp_(0, 1)
