"""What `make locks` pins and `make test-runtimes` installs: the one table of both."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lock:
    """``locks/<name>.txt``: pyproject's requirements with these extras, from `python` up."""

    name: str
    extras: tuple[str, ...]
    python: str = "3.10"
    # The lowest versions that pyproject admits, instead of the newest.
    lowest: bool = False
    # Requirements that stand in for pyproject's own.
    overrides: tuple[str, ...] = ()
    # The lock, made before, whose versions this one takes: what it installs stays when that one is installed.
    within: str = ""


@dataclass(frozen=True)
class Environment:
    """A Python with one of the locks in it, to run the runtime's suite."""

    name: str
    python: str
    lock: str


_TESTS = ("test", "build")


def _tflite(version: str, python: str) -> Lock:
    """What the markers of pyproject choose on armv7l alone."""
    never = "ai-edge-litert; sys_platform == 'never'"
    pinned = f"tflite-runtime=={version}"
    return Lock(f"tflite-{version}", _TESTS, python, overrides=(never, pinned, "numpy<2"))


LOCKS = (
    Lock("dev", ("dev",)),
    Lock("demo", ("export", "report", "demo", "build"), within="dev"),
    Lock("newest", ("onnx", *_TESTS)),
    Lock("oldest", ("onnx", *_TESTS), lowest=True),
    _tflite("2.13.0", "3.10"),
    _tflite("2.14.0", "3.11"),
)

ENVIRONMENTS = (
    Environment("litert-3.10", "3.10", "newest"),
    Environment("litert-3.11", "3.11", "newest"),
    Environment("litert-3.12", "3.12", "newest"),
    Environment("litert-3.13", "3.13", "newest"),
    Environment("litert-oldest", "3.10", "oldest"),
    # tflite-runtime has no wheels below 2.13 from Python 3.10 on, and none for 3.12.
    Environment("tflite-oldest", "3.10", "tflite-2.13.0"),
    Environment("tflite-newest", "3.11", "tflite-2.14.0"),
)
