"""The 47 classes of EMNIST Balanced, drawn from the fonts of matplotlib: a substitute that needs no download."""

import hashlib
import json
import logging
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import PIL
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from pydantic import Field
from torch import Tensor

from emnist.atomic import write_atomically
from emnist.checks import Count, directory
from emnist.data.dataset import Dataset
from emnist.data.sources.emnist import MERGED
from emnist.errors import UserError

log = logging.getLogger(__name__)

FONT_FOLDER = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmtt10", "cmti10"),  # matplotlib 3.10 has no cmti10
)
# Classes that hold both cases are drawn in both, but for l, which is I in many fonts.
FORMS = tuple(c + c.lower() if c.isupper() and c.lower() not in MERGED and c != "L" else c for c in MERGED)
DRAWN = 56  # pixels: glyphs are drawn at twice the final size, then sampled
VERSION = 1  # of the drawing: increase it when the images change
GlyphSeed = Annotated[int, Field(ge=0, lt=2**63)]  # what torch.Generator accepts


def load_glyphs(root: str, glyph_seed: GlyphSeed, train_per_class: Count, test_per_class: Count) -> Dataset:
    """Draw the set, or read it from `<root>/glyphs/`, where an earlier run with these arguments stored it.

    A function of the arguments and the installed fonts and libraries. Raises UserError for a root that can't be
    written to.
    """
    return _load(directory("data.root", root), glyph_seed, train_per_class, test_per_class)


@lru_cache(maxsize=1)  # the jobs of a multirun share the tensors
def _load(root: Path, seed: int, train_per_class: int, test_per_class: int) -> Dataset:
    recipe = [
        VERSION,
        seed,
        train_per_class,
        test_per_class,
        matplotlib.__version__,
        PIL.__version__,
        torch.__version__,
    ]
    name = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
    path = root / "glyphs" / f"{name}.npz"
    kept = _kept(path) if path.exists() else None
    if kept is None:
        images = draw(train_per_class + test_per_class, seed)
        train, test = (part.flatten(0, 1).contiguous() for part in images.split([train_per_class, test_per_class]))
        arrays = {"train": train.numpy(), "test": test.numpy()}
        write_atomically(path, lambda file: np.savez(file, **arrays, sha256=_sha256(arrays)))
    else:
        train, test = kept
    train_labels, test_labels = (torch.arange(len(MERGED)).repeat(n) for n in (train_per_class, test_per_class))
    kind = "generated, not EMNIST"
    return Dataset("glyphs", "glyphs", tuple(MERGED), train, train_labels, test, test_labels, False, kind)


def _kept(path: Path) -> tuple[Tensor, Tensor] | None:
    """The training and test images in the file; None, with a warning, if it is damaged."""
    try:
        with np.load(path) as kept:
            arrays = {name: kept[name] for name in ("train", "test")}
            if "sha256" in kept and kept["sha256"] != _sha256(arrays):  # files of versions before 0.7 have none
                raise ValueError("its images are not those that were drawn")
    except PermissionError as error:
        raise UserError(f"{path}: can't be read ({error.strerror})") from error
    except Exception as error:  # zipfile, zlib and numpy raise various exceptions
        log.warning("%s: damaged (%s); the characters are drawn again", path, " ".join(str(error).split()))
        return None
    return torch.from_numpy(arrays["train"]), torch.from_numpy(arrays["test"])


def _sha256(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def draw(per_class: int, seed: int) -> Tensor:
    """`per_class` images of each class with random font, case, slant, stroke, scale, shift, blur and ink.

    Returns uint8 [per_class, 47, 28, 28].
    """
    fonts = [path for name in FONTS if (path := FONT_FOLDER / f"{name}.ttf").exists()]
    strokes = _strokes(torch.stack([torch.stack([_glyph(font, c) for c in "".join(FORMS)]) for font in fonts]))
    first = torch.tensor([0, *np.cumsum([len(forms) for forms in FORMS])[:-1]])
    count = torch.tensor([len(forms) for forms in FORMS])

    generator = torch.Generator().manual_seed(seed)
    size = (per_class, len(MERGED))

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(size, generator=generator)

    stroke, font = (torch.randint(n, size, generator=generator) for n in (len(strokes), len(fonts)))
    form = first + (uniform(0, 1) * count).long()
    slant, angle = uniform(-0.35, 0.35), uniform(-0.2, 0.2)  # slope, radians
    wide, high = uniform(0.75, 1.1), uniform(0.75, 1.1)
    right, down = uniform(-0.15, 0.15), uniform(-0.15, 0.15)  # of half the image: 2 pixels
    blur, ink = uniform(0, 1), uniform(0.6, 1)

    matrix = torch.stack(
        [
            torch.stack([angle.cos() / wide, (slant - angle.sin()) / wide, right], -1),
            torch.stack([angle.sin() / high, angle.cos() / high, down], -1),
        ],
        -2,
    )
    rows = []
    for i in range(per_class):  # one image of each class at a time: 47 large glyphs in memory, not all
        large = strokes[stroke[i], font[i], form[i]].float().unsqueeze(1)
        large = F.grid_sample(
            large, F.affine_grid(matrix[i], list(large.shape), align_corners=False), align_corners=False
        )
        sharp = F.avg_pool2d(large, 2)
        soft = F.avg_pool2d(F.avg_pool2d(sharp, 3, 1, 1), 3, 1, 1)
        images = sharp.lerp(soft, blur[i].view(-1, 1, 1, 1)) * ink[i].view(-1, 1, 1, 1)
        rows.append(images.squeeze(1).round().to(torch.uint8))
    return torch.stack(rows)


def _glyph(font: Path, character: str) -> Tensor:
    """One character, its longer side 40 of the DRAWN pixels, in the middle: uint8 [DRAWN, DRAWN]."""
    face = ImageFont.truetype(str(font), 64)
    left, top, right, bottom = face.getbbox(character)
    box = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(box).text((-left, -top), character, fill=255, font=face)
    scale = 40 / max(box.size)
    box = box.resize((max(1, round(box.width * scale)), max(1, round(box.height * scale))), Image.Resampling.BILINEAR)
    canvas = Image.new("L", (DRAWN, DRAWN))
    canvas.paste(box, ((DRAWN - box.width) // 2, (DRAWN - box.height) // 2))
    return torch.from_numpy(np.array(canvas))


def _strokes(glyphs: Tensor) -> Tensor:
    """The glyphs thinner, as they are, thicker and thicker still: uint8 [4, *glyphs.shape]."""
    flat = glyphs.flatten(0, -3).unsqueeze(1).float()
    thin = -F.max_pool2d(-flat, 3, 1, 1)
    thin = torch.where(thin.amax((-2, -1), keepdim=True) > 128, thin, flat)  # hairlines would vanish
    variants = [thin, flat, F.max_pool2d(flat, 3, 1, 1), F.max_pool2d(flat, 5, 1, 2)]
    return torch.stack([variant.to(torch.uint8).view_as(glyphs) for variant in variants])
