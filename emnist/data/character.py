"""A character in a picture, as EMNIST would have it.

The steps are those of Cohen et al. (EMNIST: an extension of MNIST to handwritten letters, 2017): blur with σ = 1, crop
to the character, centre it in a square, leave a border of 2 pixels, resample to 28 × 28 with bicubic interpolation,
and stretch to the full range. They start from scans of 128 × 128 pixels, so pictures are brought to about that size
first. The border is around the blurred character: in EMNIST Balanced, 24 of the 28 pixels have more than 5% of full
ink, and 22 more than half (medians over the training images).
"""

import numpy as np
from PIL import Image
from scipy import ndimage

from emnist.errors import UserError

INKS = ("auto", "dark", "light")
PIXELS = 28
BORDER = 2
HEIGHT = 120  # pixels of the longer side of a character before the blur: in their scans it has up to 128
SKIRT = 4  # standard deviations to which the blur reaches
EDGE = 0.05  # of full ink, where a character ends
REACH = 8  # strokes have soft edges as wide as the height of the character divided by this, at most
PAPER = 0.8  # of the pixels of the margin that are paper, unless the picture is cropped to its character
SOFT = 40  # the soft edges of strokes are about as wide as the height of the character divided by this
NOISE = 3  # standard deviations of the paper, below which nothing is ink
FULL = 0.7  # quantile of the pixels of strokes that is full ink
CONTRAST = 12  # grey levels of 256 between ink and paper, below which there is nothing to read
LONGEST = 2000  # pixels of the longer side of a picture; larger ones are scaled down: 50 million took 8 s and 2 GB
LEAST = 6  # pixels of the shorter side of a picture
SPECK = 0.01  # of the area of the largest piece: smaller ones are dust, larger ones may be the dot of an i


class NoCharacter(UserError):
    """A picture without a character."""


def read_character(picture: np.ndarray, ink: str = "auto") -> np.ndarray:
    """A grey picture of one character, float [H, W] from 0 (black) to 255 → upright image uint8 [28, 28], ink 255.

    `ink` is dark, light, or auto, which finds out. Raises NoCharacter for an empty picture.
    """
    if min(picture.shape) < LEAST:
        raise NoCharacter(f"no character found: {picture.shape[1]} × {picture.shape[0]} pixels are too few")
    times = -(-max(picture.shape) // LONGEST)
    if times > 1:
        picture = np.asarray(Image.fromarray(picture).reduce(times))
    return emnist_image(find_ink(picture - paper_plane(picture, ink), ink))


def find_ink(flat: np.ndarray, ink: str = "auto") -> np.ndarray:
    """How much darker than its paper each pixel is, or lighter if the ink is: float [H, W], from picture - paper."""
    if ink == "auto":  # paper varies about its level in both directions, ink in one
        ink = "dark" if float((flat**3).sum()) < 0 else "light"
    return -flat if ink == "dark" else flat


def margin_of(shape: tuple[int, ...]) -> np.ndarray:
    """The outermost 5% of a picture, where there is little ink: bool [H, W]."""
    edge = max(1, min(shape) // 20)
    margin = np.ones(shape, bool)
    margin[edge:-edge, edge:-edge] = False
    return margin


def split_level(picture: np.ndarray) -> float:
    """The grey level that splits a picture best into two (Otsu, 1979)."""
    counts, edges = np.histogram(picture, 256)
    levels = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = picture.size - below
    sums = np.cumsum(counts * levels)
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (means[0] - means[1]) ** 2
    return float(edges[1 + between.argmax()])


def paper_plane(picture: np.ndarray, ink: str = "auto") -> np.ndarray:
    """The grey level of the paper, float [H, W]: a plane through the margin, since light falls from one side.

    A picture cropped to its character has ink in its margin. Then paper is that of the picture's two grey
    levels that most of the margin has, or the one that `ink` leaves.
    """
    y, x = np.indices(picture.shape, dtype=np.float32)
    terms = np.stack([np.ones_like(x), x / picture.shape[1], y / picture.shape[0]], -1)
    margin = margin_of(picture.shape)
    plane = terms @ fit_plane(terms[margin], picture[margin])
    above = picture > split_level(picture)
    if above.all() or not above.any():
        return plane
    contrast = picture[above].mean() - picture[~above].mean()
    if (np.abs(picture - plane)[margin] < contrast / 3).mean() > PAPER:
        return plane
    light = above[margin].mean() > 0.5 if ink == "auto" else ink == "dark"
    paper = above if light else ~above
    inside = ndimage.binary_erosion(paper, iterations=1 + max(picture.shape) // SOFT, border_value=1)
    paper = inside if inside.any() else paper  # without the soft edges of strokes
    return terms @ fit_plane(terms[paper], picture[paper])


def fit_plane(terms: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Coefficients, float [3], of the plane through most of these levels, float [N], at the places float [N, 3]."""
    levels = levels.astype(np.float32)
    coefficients = np.array([np.median(levels), 0, 0], np.float32)
    for _ in range(2):  # once without the ink among them, then again from there
        residual = np.abs(levels - terms @ coefficients)
        near = residual <= max(3 * float(np.median(residual)), 2.0)
        coefficients = np.linalg.lstsq(terms[near], levels[near], rcond=None)[0]
    return coefficients


def emnist_image(ink: np.ndarray) -> np.ndarray:
    """Ink of one character, float [H, W], about 0 on paper → uint8 [28, 28], 0 = paper, 255 = full ink."""
    mask, level, noise = character_mask(ink)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    reach = 1 + len(rows) // REACH
    near = ndimage.binary_dilation(mask, iterations=reach)  # with the soft edges of the strokes
    floor = max(0.0, min(NOISE * noise / level, 0.4))
    soft = np.where(near, np.clip((ink / level - floor) / (1 - floor), 0, 1), 0)
    box = tuple(slice(max(0, some[0] - reach), some[-1] + 1 + reach) for some in (rows, columns))
    return normalize_character(soft[box])


def character_mask(ink: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Where the character is, bool [H, W], its level of full ink, and the noise of the paper. Raises NoCharacter."""
    highest = np.sort(ink, axis=None)[-max(4, ink.size // 1000)]
    paper = np.abs(ink[margin_of(ink.shape) & (ink < highest / 2)])
    noise = 1.4826 * float(np.median(paper)) if paper.size else 0.0
    strong = ink[ink > highest / 2]
    level = float(np.quantile(strong, FULL)) if len(strong) else 0.0
    if level < max(CONTRAST, 4 * noise):
        raise NoCharacter("no character found: the picture is empty, or its contrast too low")
    labels, count = ndimage.label(ink > level / 2, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    areas[0] = 0
    return (areas >= max(1.0, SPECK * areas.max()))[labels], level, noise


def normalize_character(ink: np.ndarray) -> np.ndarray:
    """Ink of one character, float [H, W] from 0 to 1 → uint8 [28, 28]. The page of emnist.demo does the same."""
    ink = crop(ink, EDGE)
    scale = HEIGHT / max(ink.shape)
    inner = resample(ink, max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    blurred = crop(ndimage.gaussian_filter(np.pad(np.clip(inner, 0, 1), SKIRT), 1.0, truncate=SKIRT), EDGE)
    side = round(max(blurred.shape) * PIXELS / (PIXELS - 2 * BORDER))  # with the border
    top, left = (side - blurred.shape[0]) // 2, (side - blurred.shape[1]) // 2
    square = np.zeros((side, side), np.float32)
    square[top : top + blurred.shape[0], left : left + blurred.shape[1]] = blurred
    small = np.clip(resample(square, PIXELS, PIXELS), 0, None)
    return np.round(small * (255 / small.max())).astype(np.uint8)


def crop(ink: np.ndarray, edge: float) -> np.ndarray:
    """The box of the pixels above this share of the highest."""
    mask = ink > edge * ink.max()
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def resample(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bicubic, over as many pixels as become one: float32 [H, W] → float32 [height, width]."""
    return np.asarray(Image.fromarray(image.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC))
