"""What two sides have measured: is the verdict what it should be, and are the settings?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from stages.engine import storage
from stages.engine.measurements import Contest, Early, Look, Race, Report, ServerClock, decode, encode
from stages.engine.mounts import Mount
from stages.engine.probes import Finding, Verdict
from stages.engine.spec import StageSpec, parse_spec
from stages.engine.storage import Fitness, bounds, fitness, judge, judge_early, judge_look, judge_race, shortfalls

CLOCK = ServerClock(ahead_seconds=0.01, within_seconds=0.02, tick_seconds=0.004, touch_seconds=0.002)
EXT4 = Mount(point="/", kind="ext4", options=frozenset({"rw"}))
NFS = Mount(point="/data", kind="nfs4", options=frozenset({"rw", "vers=4.2", "hard"}))
QUICK = dict.fromkeys(Look, (0.01, 0.02))


def report(**changes: object) -> Report:
    """A side to which nothing is strange; `changes` are of Report."""
    races = tuple(race(contest, "1010") for contest in Contest)
    good = Report(
        who="node1 pid 7",
        boot="boot-1",
        mount=EXT4,
        clock=CLOCK,
        races=races,
        early=Early(tried=20, refused=20, read=20),
        landed="moved",
        looks=QUICK,
        look_seconds=40.0,
    )
    return replace(good, **changes)  # pyright: ignore[reportArgumentType]  # fields by name


def race(contest: Contest, won: str) -> Race:
    read = {Contest.SYMLINK: "abab"[: len(won)], Contest.MKDIR: "+" * len(won), Contest.RENAME: ""}
    return Race(contest=contest, won=won, read=read[contest])


def spec(lease: str = "", pollers: str = "") -> StageSpec:
    table = {"reads": "IN", "writes": "OUT", "work": {"command": ["true"]}}
    more = {"lease": dict(pair(one) for one in lease.split()), "pollers": dict(pair(one) for one in pollers.split())}
    return parse_spec({**table, **more}, name="first", directory="/stages/first", where="stage.toml")


def pair(text: str) -> tuple[str, float]:
    key, _, value = text.partition("=")
    return key, float(value)


A = report()
B = report(who="node2 pid 8", boot="boot-2", races=tuple(race(contest, "0101") for contest in Contest))


def test_a_storage_on_which_all_is_well() -> None:
    found = judge(A, B)
    assert {one.verdict for one in found} == {Verdict.OK}
    assert fitness(found, shortfalls(spec(), bounds([A, B]))) is Fitness.GOOD
    assert [one.line for one in found][:3] == [
        "ok       two sides: node1 pid 7 and node2 pid 8",
        "ok       raced symlink: one winner in each of 4 rounds, 2 and 2; the lead changed 3 times",
        "ok       raced mkdir: one winner in each of 4 rounds, 2 and 2; the lead changed 3 times",
    ]
    assert sum(one.probe == "clock" for one in found) == 2


def test_two_sides_on_one_host_are_told_what_they_did_not_try() -> None:
    found = judge(A, replace(B, boot="boot-1"))
    assert "--from-nodes" in found[0].detail
    assert sum(one.probe == "clock" for one in found) == 1


@pytest.mark.parametrize(
    ("a", "b", "verdict", "said"),
    [
        (("1100", "aabb"), ("0011", "aabb"), Verdict.OK, "2 and 2; the lead changed 1 times"),
        (("1111", "aaaa"), ("0000", "aaaa"), Verdict.NOTE, "never close"),
        (("1110", "aaab"), ("0011", "aaab"), Verdict.REFUSED, "of 4 rounds 1 had two winners, 0 none"),
        (("1000", "a--b"), ("0001", "a--b"), Verdict.REFUSED, "of 4 rounds 0 had two winners, 2 none"),
        (("1100", "aabb"), ("0011", "abbb"), Verdict.REFUSED, "in 1 of 4 rounds something else was read"),
        (("1100", "aa-b"), ("0011", "aabb"), Verdict.REFUSED, "in 1 of 4 rounds something else was read"),
    ],
)
def test_a_race_is_judged(a: tuple[str, str], b: tuple[str, str], verdict: Verdict, said: str) -> None:
    one, other = (Race(contest=Contest.SYMLINK, won=won, read=read) for won, read in (a, b))
    found = judge_race(one, other)
    assert (found.verdict, said in found.detail) == (verdict, True)


@pytest.mark.parametrize(
    ("a", "b", "verdict", "said"),
    [
        (("1100", "++++"), ("0011", "++++"), Verdict.OK, "one winner in each of 4 rounds"),
        (
            ("1100", "++++"),
            ("0010", "++++"),
            Verdict.NOTE,
            "of which 1 were told to neither: a reply was lost",
        ),
        (("1100", "+++-"), ("0010", "++++"), Verdict.REFUSED, "of 4 rounds 0 had two winners, 1 none"),
        (("1100", "++++"), ("0011", "+-++"), Verdict.REFUSED, "in 1 of 4 rounds something else was read"),
        (("1101", "++++"), ("0011", "++++"), Verdict.REFUSED, "of 4 rounds 1 had two winners, 0 none"),
    ],
)
def test_a_race_for_directories_is_judged(a: tuple[str, str], b: tuple[str, str], verdict: Verdict, said: str) -> None:
    one, other = (Race(contest=Contest.MKDIR, won=won, read=read) for won, read in (a, b))
    found = judge_race(one, other)
    assert (found.verdict, said in found.detail) == (verdict, True)


def test_what_losers_are_told_besides_is_noted() -> None:
    one, other = race(Contest.MKDIR, "1010"), race(Contest.MKDIR, "0101")
    found = judge_race(one, replace(other, told=("EIO",)))
    assert (found.verdict, found.detail.rpartition("; ")[2]) == (Verdict.NOTE, "who lost was told EIO as well")
    found = judge_race(one, replace(other, won="0100", read="+++-", told=("EIO",)))
    assert (found.verdict, "EIO" in found.detail) == (Verdict.REFUSED, True)


@pytest.mark.parametrize(
    ("refused", "read", "verdict"),
    [(20, 20, Verdict.OK), (19, 20, Verdict.REFUSED), (20, 19, Verdict.REFUSED)],
)
def test_what_was_looked_for_before_is_judged(refused: int, read: int, verdict: Verdict) -> None:
    found = judge_early(Early(tried=20, refused=refused, read=read), Early(tried=20, refused=20, read=20))
    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("landed", "verdict", "said"),
    [
        (("moved", "moved"), Verdict.OK, ""),
        (("moved", "namesake"), Verdict.REFUSED, "a register lands in another dataset of that name"),
        (("namesake", ""), Verdict.REFUSED, "a register lands in another dataset of that name"),
        (("moved", ""), Verdict.REFUSED, "went nowhere"),
    ],
)
def test_where_a_handle_led_is_judged(landed: tuple[str, str], verdict: Verdict, said: str) -> None:
    found = storage.judge_handles(*landed)
    assert (found.verdict, said in found.detail) == (verdict, True)


@pytest.mark.parametrize(
    ("look", "samples", "verdict", "said"),
    [
        (Look.LISTING, (0.002, 0.004, 0.010), Verdict.OK, "seen after 4 ms, at worst 10 ms (3 looks)"),
        (Look.HEARTBEAT, (0.002, 7.5), Verdict.NOTE, "at worst 7.5 s (2 looks): others are followed late"),
        (Look.HEARTBEAT, (0.002, None), Verdict.REFUSED, "1 of 2 not seen within 40 s"),
        (Look.LISTING, (None, None), Verdict.REFUSED, "2 of 2 not seen within 40 s"),
        (Look.REGISTER, (None,), Verdict.REFUSED, "1 of 1 not seen within 40 s"),
        (Look.STALE, (0.002,), Verdict.OK, "seen after 2 ms"),
        (Look.STALE, (30.5, 29.0), Verdict.NOTE, "delays what others do and loses nothing"),
        (Look.STALE, (30.5, None), Verdict.NOTE, "1 of 2 not seen within 40 s"),
    ],
)
def test_a_look_is_judged(look: Look, samples: tuple[float | None, ...], verdict: Verdict, said: str) -> None:
    found = judge_look(look, samples, 40.0)
    assert (found.verdict, said in found.detail) == (verdict, True)


def test_a_server_whose_clock_is_far_off_is_told() -> None:
    far = report(clock=replace(CLOCK, ahead_seconds=-61.5))
    (found,) = [one for one in judge(far, far) if one.probe == "clock"]
    assert found.verdict is Verdict.NOTE
    assert found.detail.startswith("the file server's is -61.500 s from that of node1 pid 7, within 0.020 s; it ticks")


@pytest.mark.parametrize(
    ("changes", "lease", "pollers", "wanted"),
    [
        ({}, "", "", {}),
        ({}, "heartbeat_seconds=1 expires_seconds=3", "idle_seconds=1", {}),
        ({"mount": NFS}, "", "", {}),
        ({"mount": NFS}, "expires_seconds=90", "", {"lease.expires_seconds": 120.0}),
        (
            {"mount": Mount(point="/", kind="lustre", options=frozenset())},
            "expires_seconds=90",
            "",
            {"lease.expires_seconds": 120.0},
        ),
        (
            {"mount": Mount(point="/data", kind="nfs", options=frozenset({"vers=3", "acdirmax=600"}))},
            "",
            "",
            {"lease.expires_seconds": 1200.0},
        ),
        ({"looks": {**QUICK, Look.HEARTBEAT: (0.1, 49.9)}}, "", "", {"lease.expires_seconds": 200.0}),
        ({"looks": {**QUICK, Look.STALE: (None,)}, "look_seconds": 100.0}, "", "", {"lease.expires_seconds": 200.0}),
        ({"looks": {**QUICK, Look.LISTING: (0.1, 80.0)}}, "", "", {"pollers.idle_seconds": 320.0}),
        ({"looks": {**QUICK, Look.LISTING: (0.9,)}}, "", "idle_seconds=1", {}),
        (
            {"clock": replace(CLOCK, tick_seconds=1.0)},
            "heartbeat_seconds=1 expires_seconds=3",
            "",
            {"lease.heartbeat_seconds": 2.0, "lease.expires_seconds": 6.0},
        ),
        (
            {"clock": replace(CLOCK, touch_seconds=8.0)},
            "",
            "",
            {"lease.heartbeat_seconds": 80.0, "lease.expires_seconds": 240.0},
        ),
        ({"clock": replace(CLOCK, tick_seconds=None)}, "", "", {}),
    ],
)
def test_settings_follow_from_what_was_measured(
    changes: dict[str, object], lease: str, pollers: str, wanted: dict[str, float]
) -> None:
    found = shortfalls(spec(lease, pollers), bounds([A, report(**changes)]))
    assert {one.key: one.seconds for one in found} == wanted
    assert fitness([], found) is (Fitness.WITH_SETTINGS if wanted else Fitness.GOOD)
    assert all(f"set {one.key} = {one.seconds:g} in /stages/first/stage.toml" in one.finding.line for one in found)


def test_a_refusal_goes_before_settings() -> None:
    needed = shortfalls(spec("expires_seconds=90"), bounds([report(mount=NFS)]))
    refused = Finding(probe="x", verdict=Verdict.REFUSED)
    assert needed
    assert fitness([Finding(probe="y"), refused], needed) is Fitness.DO_NOT


def test_what_a_lease_has_to_be_is_said() -> None:
    assert storage.told_of_lease(bounds([A, B])).detail == "any of 3 heartbeats will do"
    said = storage.told_of_lease(bounds([A, report(mount=NFS)])).detail
    assert said.startswith("lease.expires_seconds of at least 120: ")


def test_a_report_is_handed_on_whole() -> None:
    sent = report(looks={**QUICK, Look.STALE: (None,)}, mount=NFS)
    assert decode(encode(sent)) == sent
    with pytest.raises(ValueError, match="no report of a side"):
        decode(encode(sent)[:-10])
