"""Detection: from what a detector's outputs hold to boxes in an image, in numpy alone."""

from edgekit.detection.boxes import Boxes, Detection
from edgekit.detection.decoder import DECODERS, Decoder, decoder_from_json
from edgekit.detection.kinds import DecodedBoxes, Ssd, Yolo

__all__ = [
    "DECODERS",
    "Boxes",
    "DecodedBoxes",
    "Decoder",
    "Detection",
    "Ssd",
    "Yolo",
    "decoder_from_json",
]
