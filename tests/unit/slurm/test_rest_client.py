"""Does the client find the version, try again where that helps, say what to type, and keep the token to itself?"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import respx

from infra.slurm.rest_client import (
    PAUSE_SECONDS,
    QUIET_SECONDS_MAX,
    TRIES_MAX,
    AddressError,
    RestClient,
    read_address,
)
from infra.slurm.rest_errors import Meaning
from infra.slurm.transport import TransportUnavailableError
from tests.unit.slurm.recordings import VERSIONS, Recorded, recorded
from tests.unit.slurm.test_token import jwt, token_file

URL = "http://slurm.example:6820"
SECRET = jwt(exp=2_000_000_000, sun="alice")
NOTHING: Mapping[str, object] = {}


@dataclass(slots=True, kw_only=True)
class Scene:
    """A client whose pauses take no time, beside a clock that they move."""

    client: RestClient
    router: respx.MockRouter
    pauses: list[float]
    now: list[float]

    def serve(self, version: str) -> None:
        """Serve one version; of everything else say that it is not there."""
        unknown = recorded(version, "unknown_version")
        self.router.get(path=f"/slurm/{version}/ping").mock(return_value=answer(recorded(version, "ping")))
        self.router.get(path__regex=r"/slurm/v[0-9.]+/ping").mock(return_value=answer(unknown))


@dataclass(slots=True)
class Clocks:
    wall: list[float] = field(default_factory=lambda: [1_900_000_000.0])


def answer(said: Recorded) -> httpx.Response:
    return httpx.Response(said.status, content=said.content())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    pauses: list[float] = []
    now = [100.0]
    client = RestClient(
        read_address(URL),
        user="alice",
        file=token_file(tmp_path, SECRET),
        pause=pauses.append,
        monotonic=lambda: now[0],
        wall=lambda: 1_900_000_000.0,
        chance=lambda: 0.5,
    )
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield Scene(client=client, router=router, pauses=pauses, now=now)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_version_is_found_and_remembered(scene: Scene, version: str) -> None:
    scene.serve(version)
    jobs = scene.router.get(f"/slurm/{version}/jobs").mock(return_value=answer(recorded(version, "jobs_list")))
    assert scene.client.get("jobs")[0].meaning is Meaning.FINE
    asked = scene.router.calls.call_count
    assert scene.client.get("jobs")[0].meaning is Meaning.FINE
    assert (jobs.call_count, scene.router.calls.call_count) == (2, asked + 1)
    sent = jobs.calls.last.request.headers
    assert (sent["X-SLURM-USER-NAME"], sent["X-SLURM-USER-TOKEN"]) == ("alice", SECRET)


def test_no_known_version_says_what_to_check(scene: Scene) -> None:
    scene.router.get(path__regex=".*").mock(return_value=answer(recorded("v0.0.45", "unknown_version")))
    with pytest.raises(TransportUnavailableError, match=r"v0\.0\.38 to v0\.0\.45.*PHASELINE_SLURMRESTD_URL"):
        scene.client.get("jobs")


def test_an_upgraded_slurmrestd_is_asked_in_its_own_version(scene: Scene) -> None:
    scene.serve("v0.0.42")
    old = scene.router.get("/slurm/v0.0.42/jobs").mock(return_value=answer(recorded("v0.0.42", "jobs_list")))
    scene.client.get("jobs")
    scene.router.clear()
    scene.serve("v0.0.45")
    scene.router.get("/slurm/v0.0.42/jobs").mock(return_value=answer(recorded("v0.0.45", "unknown_version")))
    scene.router.get("/slurm/v0.0.45/jobs").mock(return_value=answer(recorded("v0.0.45", "jobs_list")))
    assert scene.client.get("jobs")[0].meaning is Meaning.FINE
    assert scene.client.version() == "v0.0.45"
    assert old.call_count == 1


def test_what_passes_is_tried_again_with_growing_pauses(scene: Scene) -> None:
    scene.serve("v0.0.42")
    busy = httpx.Response(500, json={"errors": [{"error_number": 1800, "error": "Unable to contact slurm controller"}]})
    fine = answer(recorded("v0.0.42", "jobs_list"))
    route = scene.router.get("/slurm/v0.0.42/jobs").mock(side_effect=[busy, httpx.ReadTimeout, fine])
    assert scene.client.get("jobs")[0].meaning is Meaning.FINE
    assert route.call_count == TRIES_MAX
    assert scene.pauses == pytest.approx([PAUSE_SECONDS, 3 * PAUSE_SECONDS])


def test_a_job_is_not_handed_in_again_where_its_answer_may_be_lost(scene: Scene) -> None:
    scene.serve("v0.0.42")
    route = scene.router.post("/slurm/v0.0.42/job/submit").mock(side_effect=httpx.ReadTimeout)
    with pytest.raises(TransportUnavailableError, match=r"cannot be asked \(no answer in time\)"):
        scene.client.post("job/submit", lambda _: NOTHING)
    assert route.call_count == 1


def test_a_job_is_handed_in_again_where_nobody_was_there(scene: Scene) -> None:
    scene.serve("v0.0.42")
    fine = answer(recorded("v0.0.42", "submit_ok"))
    route = scene.router.post("/slurm/v0.0.42/job/submit").mock(side_effect=[httpx.ConnectError("refused"), fine])
    assert scene.client.post("job/submit", lambda version: {"version": version})[0].meaning is Meaning.FINE
    assert route.call_count == 2
    assert route.calls.last.request.content == b'{"version": "v0.0.42"}'


def test_after_two_failures_nothing_is_asked_for_a_while(scene: Scene) -> None:
    route = scene.router.get(path__regex=".*").mock(side_effect=httpx.ConnectError("Connection refused"))
    quiet: list[float] = []
    for _ in range(8):
        with pytest.raises(TransportUnavailableError, match="Connection refused"):
            scene.client.get("jobs")
        asked = route.call_count
        began = scene.now[0]
        while route.call_count == asked:
            scene.now[0] += 0.125
            with pytest.raises(TransportUnavailableError, match="Connection refused"):
                scene.client.get("jobs")
        quiet.append(scene.now[0] - began)
    assert quiet[0] == 0.125
    assert quiet == sorted(quiet)
    assert QUIET_SECONDS_MAX / 2 <= quiet[-1] <= QUIET_SECONDS_MAX


def test_an_answer_ends_the_quiet(scene: Scene) -> None:
    down = scene.router.get(path__regex=".*").mock(side_effect=httpx.ConnectError("refused"))
    for _ in range(2):
        with pytest.raises(TransportUnavailableError):
            scene.client.get("jobs")
    scene.router.clear()
    scene.serve("v0.0.45")
    scene.router.get("/slurm/v0.0.45/jobs").mock(return_value=answer(recorded("v0.0.45", "jobs_list")))
    scene.now[0] += QUIET_SECONDS_MAX
    scene.client.get("jobs")
    scene.client.get("jobs")
    assert down.call_count == 2 * TRIES_MAX


REFUSALS = ["bad_token_job", "expired_token_submit", "garbage_token_submit", "no_token", "wrong_user"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", REFUSALS)
def test_a_token_that_is_refused_says_what_to_type(scene: Scene, version: str, name: str) -> None:
    scene.serve(version)
    scene.router.get(f"/slurm/{version}/jobs").mock(return_value=answer(recorded(version, name)))
    with pytest.raises(TransportUnavailableError, match=r"scontrol token username=alice lifespan=86400 >'?/.*/token"):
        scene.client.get("jobs")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_token_that_has_expired_is_called_so_and_a_new_one_is_used(
    scene: Scene, version: str, tmp_path: Path
) -> None:
    old = jwt(exp=1_800_000_000, sun="alice")
    token_file(tmp_path, old)
    scene.serve(version)

    def serve(request: httpx.Request) -> httpx.Response:
        is_old = request.headers["X-SLURM-USER-TOKEN"] == old
        return answer(recorded(version, "expired_token_submit" if is_old else "jobs_list"))

    route = scene.router.get(f"/slurm/{version}/jobs").mock(side_effect=serve)
    with pytest.raises(TransportUnavailableError, match=r"token has expired|/token has expired: write a new one"):
        scene.client.get("jobs")
    assert route.call_count == 1, "an expired token does not pass"
    token_file(tmp_path, f"SLURM_JWT={SECRET}\n")
    assert scene.client.get("jobs")[0].meaning is Meaning.FINE


def test_a_token_file_that_others_read_is_never_sent(scene: Scene, tmp_path: Path) -> None:
    route = scene.router.get(path__regex=".*").mock(return_value=httpx.Response(200, json={}))
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(TransportUnavailableError, match="chmod 600"):
        scene.client.get("jobs")
    assert route.call_count == 0


FAILURES: Mapping[str, Callable[[], httpx.Response | Exception]] = {
    "unreachable": lambda: httpx.ConnectError("refused"),
    "cut off": lambda: httpx.RemoteProtocolError("cut off"),
    "refused": lambda: answer(recorded("v0.0.42", "bad_token_job")),
    "nonsense": lambda: httpx.Response(500, text="nonsense"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_no_failure_shows_the_token(scene: Scene, failure: str) -> None:
    scene.serve("v0.0.42")
    what = FAILURES[failure]()
    route = scene.router.get("/slurm/v0.0.42/jobs")
    if isinstance(what, httpx.Response):
        route.mock(return_value=what)
    else:
        route.mock(side_effect=what)
    with pytest.raises(TransportUnavailableError) as raised:
        scene.client.get("jobs")
    shown = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert SECRET not in shown
    assert SECRET not in repr(scene.client)


def test_proxies_of_the_environment_are_not_asked(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    client = RestClient(read_address(URL), user="alice", file=token_file(tmp_path, SECRET))
    scene.serve("v0.0.42")
    assert client.version() == "v0.0.42"
    assert scene.router.calls.last.request.url.host == "slurm.example"


@pytest.mark.parametrize(
    ("text", "url", "socket"),
    [
        ("http://host:6820", "http://host:6820", ""),
        ("https://host/slurm/", "https://host/slurm", ""),
        ("unix:/run/rest.sock", "http://localhost", "/run/rest.sock"),
        ("unix:///run/rest.sock", "http://localhost", "/run/rest.sock"),
    ],
)
def test_an_address_is_read(text: str, url: str, socket: str) -> None:
    address = read_address(text)
    assert (address.url, address.socket) == (url, socket)


@pytest.mark.parametrize("text", ["host:6820", "ftp://host", "http://", "/run/rest.sock", "", "http://a:b@host"])
def test_what_is_no_address_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(AddressError, match=r"PHASELINE_SLURMRESTD_URL .*http://host:6820") as raised:
        read_address(text)
    assert "a:b" not in str(raised.value)


def test_without_a_token_file_the_socket_says_who_asks() -> None:
    client = RestClient(read_address("unix:/run/rest.sock"), user="alice", file=None)
    with respx.mock(base_url="http://localhost") as router:
        route = router.get(path__regex=".*").mock(return_value=answer(recorded("v0.0.45", "ping")))
        client.version()
        assert "X-SLURM-USER-TOKEN" not in route.calls.last.request.headers
        route.mock(return_value=answer(recorded("v0.0.45", "no_token")))
        with pytest.raises(TransportUnavailableError, match="rest_auth/local"):
            client.get("jobs")
