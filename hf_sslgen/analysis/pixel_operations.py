"""What transforms do to pixels: batches (B, 3, S, S) of float32 in [0, 1], on any device, to new ones of that shape.

Each agrees with what torchvision does to Pillow images, within the rounding of 8-bit values, and costs little beside a
forward pass. Randomness comes from a seed for each image and is drawn on the CPU, so that devices agree.
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
"""Side of the images whose pixels blur and elastic displacement are stated in; they scale with the side."""

Linear = tuple[tuple[float, float], tuple[float, float]]
GRAY_WEIGHTS = (0.299, 0.587, 0.114)
ELASTIC_SIGMA = 5.0
"""Smoothness of elastic displacement, in pixels of an image of the reference side."""

VALUES_PER_THREAD = 4 * 3 * 224 * 224
"""A thread takes a millisecond to start, in which libjpeg handles such an image or less: with few it is in the way."""

OUTSIDE = 3.0
"""A sampling coordinate further than any neighbour of the image, which spans [-1, 1]."""


def _drawn(draw: Callable[[torch.Generator], Tensor], seeds: Sequence[int], like: Tensor) -> Tensor:
    """A draw for each image, stacked on the device of `like`."""
    return torch.stack([draw(torch.Generator().manual_seed(seed)) for seed in seeds]).to(like.device)


def to_bytes(pixels: Tensor) -> Tensor:
    """The nearest 8-bit levels."""
    return (pixels * 255).round_().to(torch.uint8)


def on_bytes(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """For operations that are defined on 8-bit images."""
    return lambda pixels: function(to_bytes(pixels)) / 255


def _centres(side: int, device: torch.device) -> Tensor:
    """(S,) coordinates of pixel centres where the image spans [-1, 1]."""
    return (2 * torch.arange(side, device=device) + 1) / side - 1


def linear_map(pixels: Tensor, inverse: Linear) -> Tensor:
    """Rotate, scale or shear about the centre, bilinearly.

    As in Pillow, what comes from within the image has full weight up to its edge, and all else is black. torchvision's
    tensor version blends half a pixel of black into the edges.

    Args:
        inverse: from a place (x, y) in the result, relative to the centre, to the place in the image.
    """
    grid = _linear_grid(pixels.shape[-1], inverse, pixels.device)
    return nn.grid_sample(pixels, grid.expand(len(pixels), -1, -1, -1), align_corners=False)


@functools.lru_cache(maxsize=32)
@torch.inference_mode(False)  # so that it can be used outside such a block later
def _linear_grid(side: int, inverse: Linear, device: torch.device) -> Tensor:
    """(S, S, 2) places to sample; kept, because every batch needs the same."""
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
    """Move by shares of the side, rounded to whole pixels, which needs no interpolation."""
    columns, rows = round(right * pixels.shape[-1]), round(down * pixels.shape[-1])
    return nn.pad(pixels, (columns, -columns, rows, -rows))


def resized_crop(pixels: Tensor, seeds: Sequence[int], area: float) -> Tensor:
    """Cut a square of a share of the area out of each image, anywhere, and enlarge it bilinearly."""
    side = pixels.shape[-1]
    cut = round(side * math.sqrt(area))
    corners = _drawn(lambda generator: torch.randint(0, side - cut + 1, (2,), generator=generator), seeds, pixels)
    windows = pixels.unfold(2, cut, 1).unfold(3, cut, 1)  # a view: (B, 3, tops, lefts, cut, cut)
    crops = windows[torch.arange(len(pixels), device=pixels.device), :, corners[:, 0], corners[:, 1]]
    return nn.interpolate(crops, size=(side, side), mode="bilinear", align_corners=False)


def elastic(pixels: Tensor, seeds: Sequence[int], displacement: float) -> Tensor:
    """Displace pixels by noise that a Gaussian has smoothed.

    Strength and smoothness are fixed shares of the side, so the transform is the same at every size. The
    noise is that of torchvision's `ElasticTransform`, uniform in [-1, 1] for each direction, whose `alpha` and `sigma`
    leave a root mean square of about alpha / (3.5 sigma sqrt(6)) pixels at any side: 1.2 at its defaults of 50 and 5.

    Args:
        displacement: root mean square over pixels of their distance from where they were, in pixels at side 224; the
            smoothing's standard deviation is 5 such pixels. The furthest pixel of an image moves 2.3 times as far on
            average at side 32, 2.9 times at 64 and 3.4 times at 224.
    """
    side = pixels.shape[-1]
    scaled = ELASTIC_SIGMA * side / REFERENCE_SIDE
    matrix = _convolution(side, _gaussian(scaled, min(math.ceil(4 * scaled), side - 1)))
    # Noise of variance 1/3 in two directions; mirrored edges leave it a little more than the middle.
    root_mean_square = math.sqrt(2 / 3) * float(matrix.square().sum(0).mean())
    noise = _drawn(lambda generator: torch.rand(2, side, side, generator=generator), seeds, pixels) * 2 - 1
    field = _convolved(noise, matrix).permute(0, 2, 3, 1) * (2 * displacement / REFERENCE_SIDE / root_mean_square)
    centres = _centres(side, pixels.device)
    places = torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)], -1)
    return nn.grid_sample(pixels, places + field, align_corners=False)


def _gaussian(sigma: float, radius: int) -> Tensor:
    """(2 radius + 1,) samples of a Gaussian, scaled to a sum of 1.

    Samples a pixel apart do not see a Gaussian much narrower than that: at side 64 torchvision's blur of sigma 1
    leaves images as they are. Below half a pixel three taps of the right variance take their place.
    """
    if sigma < 0.5:
        return torch.tensor([sigma**2 / 2, 1 - sigma**2, sigma**2 / 2])
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    return kernel / kernel.sum()


def _convolution(side: int, kernel: Tensor) -> Tensor:
    """(S, S), from and to: the matrix of a one-dimensional convolution with an odd kernel, mirrored at the edges."""
    radius = len(kernel) // 2
    mirrored = nn.pad(torch.eye(side)[None], (radius, radius), mode="reflect")[0]
    return mirrored.unfold(1, len(kernel), 1) @ kernel


def _convolved(planes: Tensor, matrix: Tensor) -> Tensor:
    """Rows and columns of (B, C, S, S) convolved by the matrix of a convolution.

    One product per direction was the fastest way timed, by far on small images.
    """
    on_device = matrix.to(planes.device)
    return torch.matmul(on_device.t(), planes.contiguous() @ on_device)


def gaussian_blur(pixels: Tensor, sigma: float) -> Tensor:
    """Blur by a Gaussian of `sigma` pixels at side 224, cut off at three sigma."""
    scaled = sigma * pixels.shape[-1] / REFERENCE_SIDE
    kernel = _gaussian(scaled, math.ceil(3 * scaled))
    return _convolved(pixels, _convolution(pixels.shape[-1], kernel)).clamp_(0, 1)


def brightness(pixels: Tensor, factor: float) -> Tensor:
    """Blend with black, or away from it."""
    return (pixels * factor).clamp_(0, 1)


def contrast(pixels: Tensor, factor: float) -> Tensor:
    """Blend with the image's mean gray, or away from it."""
    mean = pixels.mean((2, 3)) @ torch.tensor(GRAY_WEIGHTS, device=pixels.device)
    return (pixels * factor).add_((1 - factor) * mean[:, None, None, None]).clamp_(0, 1)


def saturation(pixels: Tensor, factor: float) -> Tensor:
    """Blend with the image in gray, or away from it."""
    return torch.lerp(F.rgb_to_grayscale(pixels), pixels, factor).clamp_(0, 1)


def hue(pixels: Tensor, turn: float) -> Tensor:
    """Turn hues by a share of the colour circle, with value and saturation of the HSV hexcone kept.

    Hues are 8-bit numbers, as in Pillow: 255 steps of the circle, cut off and not rounded, and counted modulo 256. On
    saturated colours a step is six levels of a channel, so exact hues would be further than two levels from Pillow's.

    At hue h, in sixths of the circle from red, the channels lie between the smallest and the largest one of the pixel,
    at clamp(| |h + p| - 3 | - 1, 0, 1) of the way, p = 0, -2, -4 (for 0 <= h <= 6.1): no case is made of each sixth.
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
    """Blend with a smoothed version, or away from it, which the border has not, as in Pillow.

    The smoothing kernel is [[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13, a mean of nine and four more of the centre.
    """
    centre = pixels[..., 1:-1, 1:-1]
    smooth = (9 * nn.avg_pool2d(pixels, 3, stride=1) + 4 * centre) / 13
    sharpened = pixels.clone()
    sharpened[..., 1:-1, 1:-1] = torch.lerp(smooth, centre, factor).clamp_(0, 1)
    return sharpened


def jpeg(pixels: Tensor, quality: int) -> Tensor:
    """Write as JPEG and read again: by libjpeg on the CPU, whatever the device, so that the result is the same."""
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
    """Add independent noise to each value."""
    noise = _drawn(lambda generator: torch.randn(pixels.shape[1:], generator=generator), seeds, pixels)
    return torch.add(pixels, noise, alpha=deviation).clamp_(0, 1)
