"""Image files as grey pictures."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from emnist.errors import UserError

Picture = str | Path | Image.Image | np.ndarray

MOST_PIXELS = 50_000_000  # of a file that is read: 200 MB as floats; phones take 12 to 50 million


def as_grey(picture: Picture) -> np.ndarray:
    """The grey levels of a picture in memory or in a file, float32 [H, W] from 0 (black) to 255."""
    if isinstance(picture, str | Path):
        return open_picture(Path(picture))
    if isinstance(picture, Image.Image):
        return grey_levels(picture)
    if picture.ndim == 3:
        return grey_levels(Image.fromarray(picture.astype(np.uint8)))
    if picture.ndim != 2 or not picture.size:
        raise ValueError(f"a picture has the shape {list(picture.shape)}; give [H, W] or [H, W, 3]")
    return picture.astype(np.float32)


def open_picture(path: Path) -> np.ndarray:
    """The grey levels of an image file, float32 [H, W] from 0 (black) to 255, upright as its camera says.

    Transparent pixels are white. Raises UserError for a file that is no image, damaged or too large.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:  # Pillow's limit of pixels is larger
            if image.width * image.height > MOST_PIXELS:
                size = f"{image.width} × {image.height} pixels"
                raise UserError(
                    f"{path}: {size}; more than {MOST_PIXELS / 1e6:.0f} million are not read, scale it down"
                )
            return grey_levels(ImageOps.exif_transpose(image))
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
    """float32 [H, W] from 0 to 255 of an image of any mode."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):  # 16 bits a pixel, as scanners write
        levels = np.asarray(image, np.float32)
        return levels / 257 if image.mode != "F" and levels.max(initial=0) > 255 else levels
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert("L"), np.float32)
