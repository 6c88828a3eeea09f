"""The kinds of which several can be applied together."""

from typing import Any

from emnist.checks import construct
from emnist.data.augmentation.affine import Affine
from emnist.data.augmentation.augmentation import Augmentation
from emnist.data.augmentation.blur import Blur
from emnist.data.augmentation.elastic import Elastic
from emnist.data.augmentation.erasing import Erasing
from emnist.data.augmentation.noise import Noise
from emnist.data.augmentation.perspective import Perspective
from emnist.data.augmentation.stroke import Stroke
from emnist.errors import unknown

KINDS: dict[str, type[Augmentation]] = {
    "affine": Affine,
    "elastic": Elastic,
    "perspective": Perspective,
    "stroke": Stroke,
    "blur": Blur,
    "noise": Noise,
    "erasing": Erasing,
}


def build_kinds(kinds: dict[str, dict[str, Any]], strength: float = 1) -> list[Augmentation]:
    """These kinds, each with its arguments, of which those that are strengths are multiplied by `strength`.

    Raises UserError for an unknown kind and invalid arguments.
    """
    built = []
    for name, arguments in kinds.items():
        if name not in KINDS:
            raise unknown("augmentation.kinds", name, KINDS)
        construct(f"augmentation.kinds.{name}", KINDS[name], **arguments)
        scaled = {key: value * strength if key in KINDS[name].strengths else value for key, value in arguments.items()}
        built.append(KINDS[name](**scaled))
    return built
