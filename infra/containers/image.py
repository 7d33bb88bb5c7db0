"""An image by its name: the record that `phaseline image build` leaves in the directory of images, and who reads it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

DIRECTORY = "PHASELINE_IMAGES"  # the variable that names the directory of images, on shared storage


class ImageError(ValueError):
    """There is no such image; the text says how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a name stands for now. `place`: a root tree or a file by its absolute path, or a reference of podman's.

    `digest`: `sha256:` and 64 hex digits over what is in it. An image is never changed: a new one gets a new place, so
    that a poller that runs keeps the one it was started from.
    """

    name: str
    place: str
    digest: str = ""

    @property
    def described(self) -> str:
        """What manifests and claims say: the name, and which of all that were ever called so."""
        return f"{self.name}@{self.digest}" if self.digest else self.name


def image_name(stage: str) -> str:
    """Return the name of a stage's image."""
    return f"phaseline-{stage}"


def find_image(said: str, directory: str) -> Image:
    """Return what an `image` of a deployment stands for: a name in the directory, else what is said itself.

    Raises ImageError for a name that is not there, OSError if that cannot be told.
    """
    if said.startswith("/"):
        return Image(name=said, place=said, digest=_digest_beside(said))
    if not directory or "/" in said or ":" in said:
        return Image(name=said, place=said)
    try:
        return load(said, directory)
    except FileNotFoundError:
        stage = said.removeprefix("phaseline-")
        raise ImageError(
            f"there is no image {said!r} in {directory}; type: phaseline image build {stage} --images {directory}"
        ) from None


def load(name: str, directory: str) -> Image:
    """Read a record. Raises ImageError if it says something else, FileNotFoundError if there is none."""
    path = record_path(name, directory)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        said = json.loads(text)
        return Image(name=str(said["name"]), place=str(said["place"]), digest=str(said["digest"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError(f"no record of an image: {path} ({error}); build the image again") from None


def save(image: Image, directory: str) -> None:
    """Let its name stand for this image from now on. Raises OSError."""
    path = record_path(image.name, directory)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(image), indent=1) + "\n")
    os.replace(f"{path}.new", path)


def record_path(name: str, directory: str) -> str:
    """Return where a name's record stands."""
    return os.path.join(directory, f"{name}.json")


def _digest_beside(place: str) -> str:
    """Return the digest of an image that is given by its path, "" if no record tells: its name is made of it."""
    name, dash, _ = os.path.basename(place).rpartition("-")
    if not dash:
        return ""
    try:
        image = load(name, os.path.dirname(place))
    except (FileNotFoundError, ImageError):
        return ""
    return image.digest if image.place == place else ""
