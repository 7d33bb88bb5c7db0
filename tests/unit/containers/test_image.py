"""Images by name: what a deployment says, what it stands for, and what manifests say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.containers.image import Image, ImageError, find_image, image_name, save

DIGEST = "sha256:" + "3f" * 32


def test_a_name_stands_for_what_was_built_last(tmp_path: Path) -> None:
    for place in ("one", "two"):
        save(Image(name="phaseline-first", place=f"{tmp_path}/{place}", digest=DIGEST), str(tmp_path))
    found = find_image("phaseline-first", str(tmp_path))
    assert (found.place, found.described) == (f"{tmp_path}/two", f"phaseline-first@{DIGEST}")


def test_a_place_is_itself_and_its_digest_is_known_if_it_was_built_here(tmp_path: Path) -> None:
    place = f"{tmp_path}/phaseline-first-3f3f"
    assert find_image(place, "") == Image(name=place, place=place)
    save(Image(name="phaseline-first", place=place, digest=DIGEST), str(tmp_path))
    assert find_image(place, "").described == f"{place}@{DIGEST}"
    assert find_image("/images/plain", "").described == "/images/plain"


def test_a_reference_is_left_to_its_runtime(tmp_path: Path) -> None:
    for reference in ("localhost/phaseline-first:1", "phaseline:1"):
        assert find_image(reference, str(tmp_path)).place == reference
    assert find_image("phaseline-first", "").place == "phaseline-first"


def test_a_name_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"type: phaseline image build first --images {tmp_path}$"):
        find_image(image_name("first"), str(tmp_path))
    (tmp_path / "phaseline-first.json").write_text("{}")
    with pytest.raises(ImageError, match="build the image again"):
        find_image("phaseline-first", str(tmp_path))
