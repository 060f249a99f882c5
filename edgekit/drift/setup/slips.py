"""Slips: the usual ways to hand samples or labels over wrongly, in words.

They are few on purpose. Of any hundred ways to rearrange something, one is better than none by luck.
What takes each back stands in `input_slips`, `label_slips`, `relabelled` and `resizing`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Slip:
    """One way to take a slip back.

    Attributes:
        name: in documents.
        what: completes "as they are" and "with ...".
        advice: what to do if it helps.
        includes: the name of another slip, tried before it, that taking this one back takes back too: it has to be
            clearly better than that one; empty if none.
    """

    name: str
    what: str
    advice: str
    includes: str = ""


_LAYOUTS = {
    "xyxy": "left, top, right, bottom",
    "yxyx": "top, left, bottom, right",
    "xywh": "left, top, width, height",
    "cxcywh": "centre and size",
}
_BOXES = "Boxes are labelled by left, top, right and bottom, in pixels of the raw images."
SLIPS: dict[str, Slip] = {
    slip.name: slip
    for slip in (
        Slip(
            "divided_by_255",
            "the inputs divided by 255",
            "Divide the samples by 255: the model takes values from 0 to 1.",
        ),
        Slip(
            "multiplied_by_255",
            "the inputs multiplied by 255",
            "Give the samples as they were before they were divided by 255: the model does that itself, "
            "or was trained without it.",
        ),
        Slip(
            "unit_to_signed",
            "the inputs scaled from 0..1 to -1..1",
            "Scale the samples to -1..1: 2 x - 1.",
        ),
        Slip(
            "signed_to_unit",
            "the inputs scaled from -1..1 to 0..1",
            "Scale the samples to 0..1: (x + 1) / 2.",
        ),
        Slip(
            "bytes_to_signed",
            "the inputs scaled from 0..255 to -1..1",
            "Scale the samples to -1..1: x / 127.5 - 1.",
        ),
        Slip(
            "signed_to_bytes",
            "the inputs scaled from -1..1 to 0..255",
            "Give the samples from 0 to 255: the model scales them itself.",
        ),
        Slip(
            "channels_reversed",
            "the channels in reverse order (BGR for RGB)",
            "Swap the samples' channels: x[..., ::-1]. OpenCV reads images as BGR.",
        ),
        Slip(
            "transposed",
            "height and width swapped",
            "Swap the samples' axes: x.swapaxes(1, 2).",
        ),
        Slip(
            "from_nchw",
            "the bytes read with the channels first (NCHW)",
            "The samples were stored with the channels first: read them so, then np.moveaxis(x, 1, -1).",
        ),
        Slip(
            "to_nchw",
            "the bytes read with the channels last (NHWC)",
            "The samples were stored with the channels last and given the shape of channels first: reshape them "
            "as they were.",
        ),
        Slip(
            "standardised",
            "the inputs brought to mean 0 and deviation 1, channel by channel",
            "Subtract the training's mean and divide by its deviation, once: the mean and deviation of these samples did.",
        ),
        Slip(
            "imagenet_standardised",
            "ImageNet's mean and deviation taken out of the inputs from 0..1",
            "Prepare the samples by ImageNet's mean and deviation: (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225].",
        ),
        Slip(
            "imagenet_standardised_from_bytes",
            "ImageNet's mean and deviation taken out of the inputs from 0..255",
            "Divide by 255, and prepare the samples by ImageNet's mean and deviation: (x / 255 - [0.485, 0.456, 0.406]) / "
            "[0.229, 0.224, 0.225].",
        ),
        Slip(
            "imagenet_undone",
            "ImageNet's mean and deviation put back into the inputs",
            "Prepare the samples by ImageNet's mean and deviation once less: twice is too often, or the model does it itself.",
        ),
        Slip(
            "imagenet_standardised_from_signed",
            "ImageNet's mean and deviation taken out of the inputs from -1..1",
            "Scale the samples to 0..1, and prepare them by ImageNet's mean and deviation: ((x + 1) / 2 - [0.485, 0.456, "
            "0.406]) / [0.229, 0.224, 0.225].",
        ),
        Slip(
            "imagenet_undone_to_signed",
            "ImageNet's mean and deviation put back into the inputs, and these scaled to -1..1",
            "Scale the samples to -1..1, from 0..255 by x / 127.5 - 1: the model was not trained with ImageNet's mean and "
            "deviation.",
        ),
        Slip(
            "imagenet_undone_to_bytes",
            "ImageNet's mean and deviation put back into the inputs, and these scaled to 0..255",
            "Give the samples from 0 to 255: the model prepares them itself.",
        ),
        Slip(
            "means_of_bgr",
            "the inputs from 0..255 in the order BGR, and ImageNet's mean of each taken away",
            "Prepare the samples as Caffe does: x[..., ::-1] - [103.939, 116.779, 123.68], from 0..255.",
        ),
        Slip(
            "divided_by_32768",
            "the sound divided by 32768",
            "Divide the samples by 32768: the model takes sound from -1 to 1, and these are whole numbers of 16 bits.",
        ),
        Slip(
            "multiplied_by_32768",
            "the sound multiplied by 32768",
            "Give the sound as whole numbers of 16 bits, from -32768 to 32767, as in training.",
        ),
        Slip(
            "half_the_rate",
            "every second step alone, as at half the sampling rate",
            "Resample to the rate of the training: these samples seem to have twice that.",
        ),
        Slip(
            "twice_the_rate",
            "a step put between any two, as at twice the sampling rate",
            "Resample to the rate of the training: these samples seem to have half of that.",
        ),
        Slip("backwards", "the steps backwards", "Give the steps from first to last: x[:, ::-1]."),
        Slip(
            "negative",
            "light and dark swapped (negative)",
            "Invert the samples: the model was trained on light objects on dark ground, or the reverse.",
        ),
        Slip(
            "upside_down",
            "the images upside down",
            "Flip the samples, or their masks or boxes, which do not go together: x[:, ::-1].",
        ),
        Slip(
            "mirrored",
            "the images mirrored, left for right",
            "Flip the samples, or their masks or boxes, which do not go together: x[:, :, ::-1].",
        ),
        Slip(
            "half_turn",
            "the images turned round by 180 degrees",
            "Turn the samples: x[:, ::-1, ::-1]. Cameras note how they were held in EXIF.",
        ),
        Slip(
            "turned_left",
            "the images turned by 90 degrees to the left",
            "Turn the samples: np.rot90(x, 1, (1, 2)). Cameras note how they were held in EXIF.",
        ),
        Slip(
            "turned_right",
            "the images turned by 90 degrees to the right",
            "Turn the samples: np.rot90(x, -1, (1, 2)). Cameras note how they were held in EXIF.",
        ),
        Slip(
            "cropped",
            "the middle of the images alone, enlarged (cropped)",
            "Crop the middle as in training, then resize: objects are too small in these samples.",
            includes="smoothed",
        ),
        Slip(
            "shrunk",
            "the images made smaller, with a border, as if less had been cropped",
            "Crop less, or not at all: objects are too large in these samples.",
            includes="smoothed",
        ),
        Slip(
            "unbordered",
            "the border cut off and the rest stretched (letterbox)",
            "Resize without a border, as in training: these samples were padded to keep their sides' ratio.",
            includes="smoothed",
        ),
        Slip(
            "smoothed",
            "the images smoothed, as another way of resizing gives them",
            "Resize as in training: every pixel picked ('nearest') keeps noise and edges that means over an area take away.",
        ),
        *(
            Slip(
                f"resized_{method}",
                f"the images resized by {method!r}",
                f"Resize as in training: this model fits {method!r}.",
            )
            for method in ("nearest", "bilinear", "area")
        ),
        Slip(
            "inputs_swapped",
            "two inputs given in place of one another",
            "Name the samples' arrays as the model names its inputs: two of one shape are swapped.",
        ),
        Slip(
            "labels_plus_one",
            "each label raised by one",
            "Count the labels' classes as the model does: it seems to begin one later.",
        ),
        Slip(
            "labels_minus_one",
            "each label lowered by one",
            "Count the labels' classes from 0: they seem to begin with 1.",
        ),
        Slip(
            "labels_reversed",
            "the labels' order of classes reversed",
            "Number the classes as the model does: its order is the reverse.",
        ),
        Slip(
            "labels_from_text_order",
            'the labels numbered by value ("2" before "10")',
            'The labels go by the text order of folder names ("10" before "2"), the model by their value. '
            "Number the classes as the model does.",
        ),
        Slip(
            "labels_to_text_order",
            'the labels numbered in the text order of folder names ("10" before "2")',
            'The model was trained on folders in text order ("10" before "2"), as Keras reads them. Number '
            "the classes as the model does.",
        ),
        Slip(
            "labels_to_name_order",
            "the labels numbered in the alphabetical order of the class names",
            "Number the classes as the model does: in the alphabetical order of their names.",
        ),
        Slip(
            "labels_from_name_order",
            "the labels taken for numbers in the alphabetical order of the class names",
            "The labels go by the alphabetical order of the class names, the model by another. Number the "
            "classes as the model does.",
        ),
        Slip(
            "labels_opposite",
            "yes and no of the labels swapped",
            "Label by 1 what belongs to a class, or is an anomaly, and by 0 what does not.",
        ),
        Slip(
            "labels_in_another_unit",
            "a factor and an offset for each column of the labels",
            "Give the labels in the unit that the model answers in: both normalised or neither, the sign as well.",
        ),
        Slip(
            "labels_columns_reversed",
            "the columns of the labels in reverse order",
            "Give the columns of the labels in the order of the model's output.",
        ),
        *(
            Slip(
                f"boxes_from_{layout}",
                f"the labelled boxes taken for {words} ({layout})",
                f"{_BOXES} These seem to be {words}.",
            )
            for layout, words in _LAYOUTS.items()
            if layout != "xyxy"
        ),
        Slip(
            "boxes_from_unit",
            "the labelled boxes taken from 0..1 to pixels",
            f"{_BOXES} These seem to be normalised.",
        ),
        Slip(
            "boxes_from_input",
            "the labelled boxes taken for pixels of the model's input",
            f"{_BOXES} These seem to be in pixels of the model's input.",
        ),
        *(
            Slip(
                f"decoder_{layout}",
                f"a decoder that takes boxes for {words} ({layout})",
                f"Set the decoder's layout to {layout!r}, or label boxes by left, top, right and bottom.",
            )
            for layout, words in _LAYOUTS.items()
        ),
        Slip(
            "decoder_normalized",
            "a decoder that takes boxes for shares of the image",
            "Say that the model's boxes go from 0 to 1 of the image, not in pixels (normalized = true).",
        ),
        Slip(
            "decoder_pixels",
            "a decoder that takes boxes for pixels",
            "Say that the model's boxes are in pixels, not from 0 to 1 (normalized = false).",
        ),
    )
}
