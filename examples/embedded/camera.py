"""Frames of a Raspberry Pi's camera. Kept apart: it alone needs Debian's picamera2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


class Camera:
    """A camera that is on as long as the block runs.

    Args:
        size: width and height of a frame, in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise OSError(
                f"picamera2 cannot be imported ({error}): install it with `sudo apt-get install python3-picamera2`, "
                "and make the environment with `--system-site-packages`."
            ) from error
        self._camera: Any = Picamera2()
        # libcamera names the bytes of a pixel from the last one in memory to the first: this is red, green, blue.
        main = {"size": size, "format": "BGR888"}
        self._camera.configure(self._camera.create_video_configuration(main=main))

    def __enter__(self) -> Camera:
        self._camera.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._camera.stop()
        self._camera.close()

    def frames(self) -> Iterator[np.ndarray]:
        """(height, width, 3) uint8, red, green, blue: the newest frame each time."""
        while True:
            yield self._camera.capture_array("main")
