"""All characters on a photographed page: connected components, in reading order."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from PIL import Image
from scipy import ndimage

from emnist.inference.character import CONTRAST, LEAST, NoCharacter, emnist_image, find_ink, resample

LARGEST = 2500  # pixels of the longer side; larger pages are scaled down to it, which leaves letters of 1% 25 pixels
PAPER = 128  # pixels of the longer side of the page on which the paper's level is found
DUST = 0.06  # of the median height of the characters: smaller pieces are no dots
SMALLEST = 0.3  # of the median height of the characters: pieces that belong to none must be as large


@dataclass(frozen=True)
class Box:
    """Where a character is on its page, in pixels of the file."""

    left: int
    top: int
    right: int
    bottom: int
    pieces: frozenset[int] = field(default=frozenset(), compare=False)  # labels of its connected components

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    def joined(self, other: "Box") -> "Box":
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
            self.pieces | other.pieces,
        )

    def scaled(self, factor: float) -> "Box":
        left, top, right, bottom = (round(factor * edge) for edge in (self.left, self.top, self.right, self.bottom))
        return Box(left, top, right, bottom)


def find_characters(page: np.ndarray, ink: str = "auto") -> list[tuple[Box, np.ndarray]]:
    """The characters on a page in reading order: where they are, and images uint8 [28, 28].

    `page` is grey, float [H, W] from 0 (black) to 255. Pieces above each other are one character (i, j), lines are
    read from left to right. Characters must not touch. Raises NoCharacter for an empty page.
    """
    if min(page.shape) < LEAST:
        raise NoCharacter(f"no characters found: {page.shape[1]} × {page.shape[0]} pixels are too few")
    factor = max(1.0, max(page.shape) / LARGEST)
    small = resample(page, round(page.shape[1] / factor), round(page.shape[0] / factor)) if factor > 1 else page
    strength = find_ink(small - paper_level(small), ink)
    labels = label_ink(strength)
    found = reading_order(boxes_of(labels))
    if not found:
        raise NoCharacter("no characters found: the page is empty, or its contrast too low")
    return [(box.scaled(factor), emnist_image(cut(strength, labels, box))) for box in found]


def paper_level(page: np.ndarray) -> np.ndarray:
    """The grey level of the paper around each pixel: the median of a neighbourhood much wider than strokes."""
    height, width = page.shape
    scale = min(1.0, PAPER / max(page.shape))
    tiny = np.asarray(
        Image.fromarray(page.astype(np.float32)).resize(
            (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BOX
        )
    )
    level = ndimage.median_filter(tiny, size=max(3, max(tiny.shape) // 5), mode="nearest")
    return np.asarray(Image.fromarray(level).resize((width, height), Image.Resampling.BILINEAR))


def label_ink(ink: np.ndarray) -> np.ndarray:
    """Connected components of ink, int [H, W], 0 = paper."""
    noise = 1.4826 * float(np.median(np.abs(ink)))  # most of a page is paper
    threshold = max(float(np.quantile(ink, 0.999)) / 2, 4 * noise, CONTRAST)
    return ndimage.label(ink > threshold, structure=np.ones((3, 3)))[0]


def boxes_of(labels: np.ndarray) -> list[Box]:
    """The characters, each with all its pieces."""
    boxes = [
        Box(x.start, y.start, x.stop, y.stop, frozenset([i]))
        for i, (y, x) in enumerate(ndimage.find_objects(labels), 1)
    ]
    heights = sorted(box.height for box in boxes)
    tall = [h for h in heights if h >= SMALLEST * heights[round(0.95 * (len(heights) - 1))]]
    height = float(np.median(tall)) if tall else 0.0
    boxes = [box for box in boxes if max(box.width, box.height) > max(2, DUST * height)]
    return [box for box in join_pieces(boxes, height) if max(box.width, box.height) >= SMALLEST * height]


def join_pieces(boxes: list[Box], height: float) -> list[Box]:
    """Join the pieces of characters of about this height, from the largest."""
    joined = sorted(boxes, key=lambda box: box.width * box.height, reverse=True)
    i = 0
    while i < len(joined):
        j = next((j for j in range(i + 1, len(joined)) if belong_together(joined[i], joined[j], height)), None)
        if j is None:
            i += 1
        else:
            joined[i] = joined[i].joined(joined.pop(j))
            i = 0  # it may reach others now
    return joined


def belong_together(one: Box, other: Box, height: float) -> bool:
    """Whether two pieces are one character: a dot above its stroke, or parts of a stroke that the pen has left."""
    if one.joined(other).height > 2 * height:
        return False
    shared = (min(one.right, other.right) - max(one.left, other.left)) / min(one.width, other.width)
    gap = -overlap(one, other)
    if min(one.height, other.height) >= height / 2:  # two characters, unless one is inside the other
        return shared >= 0.5 and gap < 0
    return (shared >= 0.5 and gap < height / 2) or (shared >= 0.2 and gap < height / 5)


def reading_order(boxes: list[Box]) -> list[Box]:
    """Lines from top to bottom, each from left to right; they may slope, as on a page photographed askew."""
    lines: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: box.left):
        before = [(overlap(line[-1], box), line) for line in lines]
        most, line = max(before, key=lambda pair: pair[0], default=(0, []))
        if most > 0:
            line.append(box)  # to the line whose last character is most beside it
        else:
            lines.append([box])
    steps = [(b.middle - a.middle) / (b.left - a.left) for line in lines for a, b in pairwise(line) if b.left > a.left]
    slope = float(np.median(steps)) if steps else 0.0
    lines.sort(key=lambda line: np.mean([box.middle - slope * box.left for box in line]))
    return [box for line in lines for box in line]


def overlap(one: Box, other: Box) -> int:
    """Pixels of height that both have, negative for a gap."""
    return min(one.bottom, other.bottom) - max(one.top, other.top)


def cut(ink: np.ndarray, labels: np.ndarray, box: Box) -> np.ndarray:
    """The ink of a character with a margin of an eighth, without that of its neighbours."""
    margin = max(2, max(box.width, box.height) // 8)
    rows, columns = (
        slice(max(0, start - margin), stop + margin) for start, stop in ((box.top, box.bottom), (box.left, box.right))
    )
    here = labels[rows, columns]
    others = (here > 0) & ~np.isin(here, list(box.pieces))
    return np.where(ndimage.binary_dilation(others, iterations=2), 0, ink[rows, columns])
