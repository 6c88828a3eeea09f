"""All characters on a photographed page: connected components, in reading order."""

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from PIL import Image
from scipy import ndimage

from emnist.data.character import (
    CONTRAST,
    LEAST,
    NoCharacter,
    emnist_image,
    find_ink,
    margin_of,
    resample,
    split_level,
)

LARGEST = 2500  # pixels of the longer side; larger pages are scaled down to it, which leaves letters of 1% 25 pixels
PAPER = 128  # pixels of the longer side of the page on which the paper's level is found
DUST = 0.06  # of the median height of the characters: smaller pieces are no dots
SHADOW = 3  # median heights of the characters: what is longer and touches the edge of the page is no character
DESK = 3  # standard deviations between the grey levels of a page and of the desk it lies on
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
    def edges(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.right, self.bottom

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
        left, top, right, bottom = (round(factor * edge) for edge in self.edges)
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
    level, page_area = paper_level(small)
    strength = find_ink(np.where(page_area, small - level, 0), ink)
    labels = label_ink(strength)
    found = []
    for box in reading_order(boxes_of(labels)):
        with suppress(NoCharacter):  # of a smudge
            found.append((box.scaled(factor), emnist_image(cut(strength, labels, box))))
    if not found:
        raise NoCharacter("no characters found: the page is empty, or its contrast too low")
    return found


def paper_level(page: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The grey level of the paper around each pixel, float [H, W], and where the paper is, bool [H, W].

    The level is the median of a neighbourhood much wider than strokes.
    """
    height, width = page.shape
    scale = min(1.0, PAPER / max(page.shape))
    tiny = np.asarray(
        Image.fromarray(page.astype(np.float32)).resize(
            (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BOX
        )
    )
    area = find_page(tiny)
    nearest = ndimage.distance_transform_edt(~area, return_distances=False, return_indices=True)
    level = ndimage.median_filter(tiny[tuple(nearest)], size=max(3, max(tiny.shape) // 5), mode="reflect")
    size = (width, height)
    return (
        np.asarray(Image.fromarray(level).resize(size, Image.Resampling.BILINEAR)),
        np.asarray(Image.fromarray(area).resize(size, Image.Resampling.NEAREST)),
    )


def find_page(tiny: np.ndarray) -> np.ndarray:
    """Where the page is if it lies on a desk of another grey level, else everywhere: bool [H, W]."""
    above = tiny > split_level(tiny)
    if above[margin_of(tiny.shape)].mean() > 0.5:
        above = ~above
    everywhere = np.ones(tiny.shape, bool)
    if not above.any() or above[margin_of(tiny.shape)].mean() > 0.2:
        return everywhere  # a desk is all around
    labels, _ = ndimage.label(above)
    largest = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    box = ndimage.find_objects(largest.astype(int))[0]
    if largest.mean() < 0.15 or largest[box].mean() < 0.6:
        return everywhere  # strokes on a page
    filled = ndimage.binary_fill_holes(largest)
    desk = tiny[~filled]
    if abs(tiny[largest].mean() - desk.mean()) < DESK * (tiny[largest].std() + desk.std()):
        return everywhere  # light and shadow
    return ndimage.binary_erosion(filled, iterations=2)


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
    inner = [box for box in boxes if not touches_edge(box, labels.shape)]
    heights = sorted(box.height for box in inner or boxes)
    tall = [h for h in heights if h >= SMALLEST * heights[round(0.95 * (len(heights) - 1))]]
    height = float(np.median(tall)) if tall else 0.0
    shadows = [b for b in boxes if touches_edge(b, labels.shape) and max(b.width, b.height) > SHADOW * height]
    boxes = [box for box in boxes if box not in shadows]
    boxes = [box for box in boxes if max(box.width, box.height) > max(2, DUST * height)]
    return [box for box in join_pieces(boxes, height) if max(box.width, box.height) >= SMALLEST * height]


def touches_edge(box: Box, shape: tuple[int, ...]) -> bool:
    return box.left == 0 or box.top == 0 or box.right == shape[1] or box.bottom == shape[0]


def join_pieces(boxes: list[Box], height: float) -> list[Box]:
    """Join the pieces of characters of about this height, from the largest."""
    joined = sorted(boxes, key=lambda box: box.width * box.height, reverse=True)
    edges = np.array([box.edges for box in joined]).reshape(-1, 4)
    i = 0
    while i < len(joined):
        left, top, right, bottom = joined[i].edges
        beside = (edges[:, 0] < right) & (edges[:, 2] > left)
        near = beside & (edges[:, 1] < bottom + height) & (edges[:, 3] > top - height)  # comparing all is slow
        others = (j for j in np.flatnonzero(near).tolist() if j != i)
        j = next((j for j in others if belong_together(joined[i], joined[j], height)), None)
        if j is None:
            i += 1
        else:
            i, j = sorted((i, j))
            joined[i] = joined[i].joined(joined.pop(j))  # it may reach others now, so it stays the next
            edges = np.delete(edges, j, axis=0)
            edges[i] = joined[i].edges
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
