"""Asks slurmrestd: the address, the version that both sides know, time limits, and trying again.

Nothing that is raised here, or shown of it, holds the token.
"""

from __future__ import annotations

import json
import random
import ssl
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httpx

from infra.slurm.rest_errors import Meaning, Verdict, judge
from infra.slurm.token import TokenError, TokenFile
from infra.slurm.transport import TransportUnavailableError

VERSIONS = ("v0.0.45", "v0.0.44", "v0.0.43", "v0.0.42", "v0.0.41", "v0.0.40", "v0.0.39", "v0.0.38")
TRY_SECONDS = 20.0  # slurmctld's own MessageTimeout is 10 s by default
CONNECT_SECONDS = 5.0
TRIES_MAX = 3
TRY_AGAIN_WITHIN_SECONDS = 8.0  # slurmrestd has been patient itself where it took longer
PAUSE_SECONDS = 0.3  # before the second try; each further one is three times as long, up to a half more or less
QUIET_SECONDS_MAX = 30.0

URL = "PHASELINE_SLURMRESTD_URL"
_UNIX = "unix:"


class AddressError(ValueError):
    """The address is none; the text says what it may look like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where slurmrestd is: `url`, and the `socket` to reach it by, "" for TCP. `text` is for people."""

    text: str
    url: str
    socket: str


def read_address(text: str) -> Address:
    """Return what PHASELINE_SLURMRESTD_URL means. Raises AddressError."""
    if text.startswith(_UNIX):
        socket = "/" + text.removeprefix(_UNIX).lstrip("/")
        return Address(text=f"{_UNIX}{socket}", url="http://localhost", socket=socket)
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise AddressError(f"{URL} is {text!r}; it must be http://host:6820, https://host:6820 or unix:/path")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise AddressError(f"{URL} holds more than scheme, host, port and path; set it to http://host:6820")
    url = text.rstrip("/")
    return Address(text=url, url=url, socket="")


class _Identity(httpx.Auth):
    """Says who asks; the file is read for each request, and the token stands in no other variable."""

    def __init__(self, user: str, file: TokenFile) -> None:
        self._user, self._file = user, file

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["X-SLURM-USER-NAME"] = self._user
        request.headers["X-SLURM-USER-TOKEN"] = self._file.token().reveal()
        yield request


class RestClient:
    """One slurmrestd. `file` None: the socket says who asks. All that is asked raises TransportUnavailableError.

    `pause` waits for so many seconds, `wall` and `monotonic` are clocks in seconds, `chance` is between 0 and 1.
    """

    def __init__(
        self,
        address: Address,
        *,
        user: str,
        file: TokenFile | None,
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._address, self._file = address, file
        self._pause, self._monotonic, self._wall, self._chance = pause, monotonic, wall, chance
        # No proxy of the environment: the token is for this host. No connection is kept: one that a restarted
        # slurmrestd has dropped would look like a lost answer.
        self._http = httpx.Client(
            base_url=address.url,
            auth=None if file is None else _Identity(user, file),
            timeout=httpx.Timeout(TRY_SECONDS, connect=CONNECT_SECONDS),
            trust_env=False,
            transport=httpx.HTTPTransport(
                uds=address.socket or None,
                verify=ssl.create_default_context() if address.url.startswith("https") else False,
                limits=httpx.Limits(max_keepalive_connections=0),
            ),
        )
        self._version: str | None = None
        self._failures, self._quiet_until, self._last = 0, float("-inf"), ""

    def version(self) -> str:
        """Return the newest version of the API that both sides know."""
        if self._version is None:
            self._version = self._find_version()
        return self._version

    def get(self, path: str) -> tuple[Verdict, object]:
        """Ask for something; again where that may help."""
        return self._ask("GET", path, None, is_safe=True)

    def delete(self, path: str) -> tuple[Verdict, object]:
        """Ask for an end; again where that may help, for twice is as good as once."""
        return self._ask("DELETE", path, None, is_safe=True)

    def post(self, path: str, body: Callable[[str], Mapping[str, object]]) -> tuple[Verdict, object]:
        """Hand something in, the `body` being made for a version; again only where it cannot have arrived."""
        return self._ask("POST", path, body, is_safe=False)

    def _ask(
        self, method: str, path: str, body: Callable[[str], Mapping[str, object]] | None, *, is_safe: bool
    ) -> tuple[Verdict, object]:
        """Return an answer that means something for the caller: fine, refused or unknown."""
        now = self._monotonic()
        if now < self._quiet_until:
            raise TransportUnavailableError(f"{self._last}; asked again in {self._quiet_until - now:.0f} s")
        try:
            for is_last in (False, True):
                version = self.version()
                content = None if body is None else json.dumps(body(version)).encode()
                verdict, answer = self._try(method, f"/slurm/{version}/{path}", content, is_safe=is_safe)
                if verdict.meaning is not Meaning.NO_PATH or is_last:
                    break
                self._version = None  # another slurmrestd has taken its place
            if verdict.meaning not in {Meaning.FINE, Meaning.REFUSED, Meaning.UNKNOWN, Meaning.LATER}:
                raise TransportUnavailableError(self._words(verdict))
        except TransportUnavailableError as error:
            self._note_failure(str(error))
            raise
        self._failures, self._quiet_until = 0, float("-inf")
        if verdict.meaning is Meaning.LATER:  # SLURM is well, and there is nothing to wait for before asking
            raise TransportUnavailableError(self._words(verdict))
        return verdict, answer

    def _try(self, method: str, path: str, content: bytes | None, *, is_safe: bool) -> tuple[Verdict, object]:
        """Ask up to TRIES_MAX times, with growing pauses."""
        begun = self._monotonic()
        for number in range(1, TRIES_MAX + 1):
            try:
                verdict, answer = self._once(method, path, content)
                problem, was_sent = None, True
            except httpx.HTTPError as error:
                verdict, answer, problem = Verdict(meaning=Meaning.TRANSIENT), None, self._unreachable(error)
                was_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            is_passing = verdict.meaning in {Meaning.TRANSIENT, Meaning.LOST} and not self._is_expired()
            is_late = number == TRIES_MAX or self._monotonic() - begun > TRY_AGAIN_WITHIN_SECONDS
            if not is_passing or is_late or (was_sent and not is_safe):
                if problem is not None:
                    raise TransportUnavailableError(problem)
                return verdict, answer
            self._pause(PAUSE_SECONDS * 3 ** (number - 1) * (0.5 + self._chance()))
        raise AssertionError("the last try returns or raises")

    def _once(self, method: str, path: str, content: bytes | None) -> tuple[Verdict, object]:
        headers = {"Accept": "application/json"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            response = self._http.request(method, path, content=content, headers=headers)
        except TokenError as error:
            raise TransportUnavailableError(str(error)) from None
        text = response.content.decode("utf-8", "replace")  # names of jobs of other people may be anything
        try:
            answer: object = json.loads(text)
        except ValueError:
            answer = text
        return judge(response.status_code, answer), answer

    def _find_version(self) -> str:
        for version in VERSIONS:
            verdict, _ = self._try("GET", f"/slurm/{version}/ping", None, is_safe=True)
            match verdict.meaning:
                case Meaning.NO_PATH:
                    continue
                case Meaning.TRANSIENT | Meaning.TOKEN | Meaning.REFUSED:
                    raise TransportUnavailableError(self._words(verdict))
                case _:
                    return version
        raise TransportUnavailableError(
            f"{self._address.text} serves no version of SLURM's API that phaseline knows ({VERSIONS[-1]} to"
            f" {VERSIONS[0]}): check {URL}, and that slurmrestd is started with -s openapi/slurmctld, or"
            " openapi/v0.0.38 with SLURM 22.05"
        )

    def _is_expired(self) -> bool:
        """Whether the token says itself that it is of no use any more."""
        if self._file is None:
            return False
        try:
            expires = self._file.token().expires
        except TokenError:
            return False
        return expires is not None and expires <= self._wall()

    def _words(self, verdict: Verdict) -> str:
        who, said = f"slurmrestd at {self._address.text}", verdict.words
        if self._file is None:
            hint = " (set PHASELINE_SLURMRESTD_TOKEN_FILE, or start it with -a rest_auth/local as this user)"
            return f"{who}: {said}{hint if verdict.meaning is Meaning.TOKEN else ''}"
        token, renewal = f"the token in {self._file.path}", f"write a new one with `{self._file.renewal()}`"
        if self._is_expired():
            return f"{token} has expired: {renewal}"
        if verdict.meaning is Meaning.TOKEN:
            return f"{who} does not accept {token} ({said}): {renewal}"
        if verdict.meaning is Meaning.LOST:
            return f"{who} gets no answer from slurmctld ({said}): it is down, or does not accept {token}; {renewal}"
        return f"{who}: {said}"

    def _unreachable(self, error: Exception) -> str:
        why = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
        return f"slurmrestd at {self._address.text} cannot be asked ({why}): see that it runs, or set {URL}"

    def _note_failure(self, words: str) -> None:
        """After a second failure in a row nothing is asked for a while, longer each time."""
        self._failures += 1
        quiet = 0.0 if self._failures == 1 else min(QUIET_SECONDS_MAX, 2.0 ** (self._failures - 2))
        self._quiet_until, self._last = self._monotonic() + quiet * (0.5 + self._chance() / 2), words


def job_number(answer: object) -> int | None:
    """Return the number of the job that was accepted."""
    said = cast("Mapping[str, object]", answer).get("job_id") if isinstance(answer, dict) else None
    return said if isinstance(said, int) and said > 0 else None
