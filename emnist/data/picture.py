"""Image files as pictures: grey, or in colour."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from emnist.errors import UserError

Picture = str | Path | Image.Image | np.ndarray | Tensor

MOST_PIXELS = 50_000_000  # of a file that is read; phones take 12 to 50 million


def as_grey(picture: Picture) -> np.ndarray:
    """The grey levels of a picture in memory or in a file, float32 [H, W] from 0 (black) to 255, upright.

    Raises UserError as open_picture does, and ValueError for an array of another shape or range.
    """
    if isinstance(picture, str | Path):
        return open_picture(Path(picture))
    if isinstance(picture, Image.Image):
        return grey_levels(picture)
    levels = np.asarray(picture)
    if levels.ndim == 3 and levels.shape[2] == 1:
        levels = levels[:, :, 0]
    if not levels.size or (levels.ndim != 2 and (levels.ndim != 3 or levels.shape[2] != 3)):
        raise ValueError(f"a picture has the shape {list(picture.shape)}; give [H, W] or [H, W, 3]")
    if levels.dtype == bool:
        levels = levels * np.uint8(255)
    elif levels.dtype.kind == "f" and levels.max() <= 1:
        raise ValueError(f"a picture has levels up to {levels.max():g}; give levels from 0 to 255")
    if levels.ndim == 3:
        return grey_levels(Image.fromarray(levels.astype(np.uint8)))
    return levels.astype(np.float32)


def open_picture(path: Path, channels: int = 1, least: int | None = None) -> np.ndarray:
    """An image file from 0 (black) to 255, upright as its camera says: float32 [H, W], with 3 channels [H, W, 3].

    With `least`, a JPEG may come at a half, a quarter or an eighth of its size, of at least so many pixels a side,
    which its decoder makes in a tenth of the time. Of several frames or pages, the first. Raises UserError for a file
    that is no image, damaged or too large.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:  # Pillow's limit of pixels is larger
            if image.width * image.height > MOST_PIXELS:
                size = f"{image.width} × {image.height} pixels"
                raise UserError(
                    f"{path}: {size}; more than {MOST_PIXELS / 1e6:.0f} million are not read, scale it down"
                )
            if least is not None:
                image.draft(None, (least, least))
            return grey_levels(image) if channels == 1 else colours(image)
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not an image") from error
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except Image.DecompressionBombError as error:
        raise UserError(
            f"{path}: more than {MOST_PIXELS / 1e6:.0f} million pixels are not read, scale it down"
        ) from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises all three for damaged files
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged, or cut off"
        raise UserError(f"{path}: can't be read ({reason})") from error


def grey_levels(image: Image.Image) -> np.ndarray:
    """float32 [H, W] from 0 to 255 of an image of any mode, upright as its camera says.

    Transparent pixels become white, or black if all that is opaque is light.
    """
    image = ImageOps.exif_transpose(image)
    if is_deep(image):
        levels = np.asarray(image, np.float32)
        most = levels.max(initial=0)
        if image.mode == "F":
            return levels * 255 if most <= 1 else levels
        return levels / 257 if most > 255 else levels
    return np.asarray(without_transparency(image).convert("L"), np.float32)


def colours(image: Image.Image) -> np.ndarray:
    """float32 [H, W, 3] from 0 to 255, as `grey_levels`; grey images have three equal channels."""
    if is_deep(image):
        return np.repeat(grey_levels(image)[:, :, None], 3, 2)
    return np.asarray(without_transparency(ImageOps.exif_transpose(image)).convert("RGB"), np.float32)


def is_deep(image: Image.Image) -> bool:
    """Whether it has 16 bits a pixel or more, as scanners write."""
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def without_transparency(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    opaque = np.asarray(image.convert("L"))[np.asarray(image.getchannel("A")) > 127]
    paper = "black" if opaque.size and np.quantile(opaque, 0.01) > 127 else "white"
    return Image.alpha_composite(Image.new("RGBA", image.size, paper), image)
