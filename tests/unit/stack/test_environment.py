"""What the processes of the stack see, and what they must not."""

from __future__ import annotations

from pathlib import Path

from infra.stack.environment import environment, exports
from infra.stack.place import Place

PLACE = Place(clone=Path("/home/ada/my clone"), directory=Path("/home/ada/my clone/.phaseline"))


def test_settings_of_another_server_do_not_get_in() -> None:
    base = {"PREFECT_API_URL": "https://api.prefect.cloud/x", "PREFECT_API_KEY": "secret", "HOME": "/home/ada"}
    seen = environment(base, PLACE, port=4211)
    assert seen["PREFECT_API_URL"] == "http://127.0.0.1:4211/api"
    assert "PREFECT_API_KEY" not in seen
    assert seen["HOME"] == "/home/ada"


def test_whatever_is_written_is_written_below_the_stacks_directory() -> None:
    seen = environment({}, PLACE, port=4200)
    for name in ("PREFECT_HOME", "PREFECT_PROFILES_PATH", "TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        assert seen[name].startswith("/home/ada/my clone/.phaseline/"), name


def test_nothing_is_told_to_anybody() -> None:
    seen = environment({}, PLACE, port=4200)
    assert (seen["PREFECT_SERVER_ANALYTICS_ENABLED"], seen["DO_NOT_TRACK"]) == ("false", "1")
    assert seen["PREFECT_SERVER_API_HOST"] == "127.0.0.1"


def test_this_machine_is_not_asked_through_a_proxy() -> None:
    base = {"http_proxy": "http://proxy:3128", "no_proxy": "intranet, localhost"}
    seen = environment(base, PLACE, port=4200)
    assert seen["NO_PROXY"] == seen["no_proxy"] == "intranet,localhost,127.0.0.1"
    assert exports(PLACE, 4200, base).endswith("NO_PROXY=intranet,localhost,127.0.0.1")


def test_the_line_for_the_shell_can_be_pasted() -> None:
    assert exports(PLACE, 4200, {}) == (
        "export PREFECT_API_URL=http://127.0.0.1:4200/api PREFECT_HOME='/home/ada/my clone/.phaseline/prefect'"
    )


def test_the_root_and_the_stages_are_said_where_they_were() -> None:
    seen = environment({"PHASELINE_ROOT": "/old"}, PLACE, port=4200, root=Path("/data"), stages=Path("/mine"))
    assert (seen["PHASELINE_ROOT"], seen["PHASELINE_STAGES"]) == ("/data", "/mine")
