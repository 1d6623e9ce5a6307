"""Pictures read into square RGB pixels, whatever their format and mode."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from graphfuse.core.errors import InputError

PROGRAMS = ("EPS", "WMF")  # formats that Pillow would hand to another program


def read_pixels(value: Any, size: int, place: str) -> Tensor:
    """A picture as ``uint8 [3, size, size]``, stretched to a square so that no border is lost.

    Upright as its EXIF data say; transparent parts are white; 16-bit grey is scaled to 8; of several frames the first.

    Args:
        value: A path, the bytes of a file, a PIL image, or ``uint8 [3 or 1, h, w]``.
        size: Pixels of a side.
        place: What messages call the picture.

    Raises:
        InputError: It is none of these, does not open, is cut short, or has more pixels than Pillow deems safe.
    """
    if isinstance(value, Tensor):
        return _shrink(_from_tensor(value, place), size)
    if isinstance(value, Image.Image):
        return _shrink(_to_rgb(value), size)
    if isinstance(value, bytes):
        return _shrink(_open(io.BytesIO(value), size, place), size)
    if isinstance(value, str | Path):
        return _shrink(_open(Path(value), size, f"{place}: {value}"), size)
    kind = type(value).__name__
    raise InputError(f"{place}: a {kind} is not a picture; a path, a PIL image or a uint8 tensor is needed.")


def read_bytes(path: str | Path, place: str) -> bytes:
    """The content of a picture file.

    Raises:
        InputError: There is no such file, or it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise InputError(f"{place}: {path}: {reason}; a picture file is needed.") from error


def _open(source: Path | io.BytesIO, size: int, place: str) -> Image.Image:
    try:
        bomb = Image.DecompressionBombWarning
        with warnings.catch_warnings(action="error", category=bomb), Image.open(source) as image:
            if image.format in PROGRAMS:
                raise InputError(f"{place}: {image.format} is a drawing, not a picture; save it as PNG.")
            image.draft("RGB", (size, size))  # a large JPEG is decoded at a fraction of its size, never below ``size``
            return _to_rgb(ImageOps.exif_transpose(image))
    except InputError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = Image.MAX_IMAGE_PIXELS
        raise InputError(
            f"{place}: the picture has more than {limit:,} pixels, which may be an attack (a decompression bomb); "
            "make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it."
        ) from error
    except FileNotFoundError as error:
        raise InputError(f"{place}: there is no such file; a picture file is needed.") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{place}: this is no picture in a format that Pillow reads, such as PNG or JPEG.") from error
    except Exception as error:  # a broken file makes Pillow's readers raise nearly anything
        raise InputError(f"{place}: the picture is broken or cut short ({error}); replace the file.") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float64) / 257  # 16 bits to 8
        return Image.fromarray(grey.round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_tensor(value: Tensor, place: str) -> Image.Image:
    if value.dtype != torch.uint8 or value.ndim != 3 or value.shape[0] not in (1, 3) or not value.numel():
        shape = list(value.shape)
        raise InputError(f"{place}: a tensor {value.dtype} {shape} is not a picture; uint8 [3, h, w] is needed.")
    return Image.fromarray(value.expand(3, -1, -1).permute(1, 2, 0).cpu().contiguous().numpy())


def _shrink(image: Image.Image, size: int) -> Tensor:
    square = image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)
