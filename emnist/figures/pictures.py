"""Images of a data set as people look at them."""

import numpy as np
from PIL import Image

PAPER = 16  # grey levels up to which most pixels of an image of a character are paper
LONGEST = 10  # letters of a class name below an image


def as_pictures(images: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W] or [N, 3, H, W] → uint8 [N, H, W] or [N, H, W, 3].

    Images most of which is black are of something bright, such as ink = 255, and are shown dark on white.
    """
    if images.ndim == 4:
        return np.moveaxis(images, 1, -1)
    return 255 - images if images.size and np.median(images) < PAPER else images


def fitted(picture: np.ndarray, side: int) -> Image.Image:
    """A picture [H, W] or [H, W, 3] whose longer side has `side` pixels; its own pixels stay sharp if they fit in."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    resample = Image.Resampling.NEAREST if scale.is_integer() else Image.Resampling.BICUBIC
    return Image.fromarray(picture).resize((max(1, round(width * scale)), max(1, round(height * scale))), resample)


def short(name: str, letters: int = LONGEST) -> str:
    """The name of a class, cut to so many letters."""
    return name if len(name) <= letters else f"{name[: letters - 1]}…"
