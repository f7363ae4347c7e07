"""Profiles: settings from sysctl.d files, and what a target is given of them."""

import json

import pytest

from harness.errors import UsageError
from harness.reporting.profile import lines
from harness.targets.driver import Facts, Settings
from harness.targets.model.kinds import LINUX
from harness.targets.profile import LeftOut, Profile, Setting, chosen, load, parse

THERE = (
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.eth0.rp_filter",
    "net.ipv4.conf.eth0/5.rp_filter",
    "net.ipv4.conf.lo.rp_filter",
)


def read(text):
    settings = {one.name: one for one in parse(text, "x.conf") if isinstance(one, Setting)}
    return Profile(tuple(settings.values()))


def values(text):
    found, _ = chosen(read(text), THERE)
    return {name: setting.value for name, setting in found.items()}


def test_a_file_is_read_as_sysctl_d_has_it():
    """Comments, blanks, a dash before a name, dots or slashes, blanks around and in a value."""
    text = "# no\n ; no\n\nnet.ipv4.a = 1\n-net/ipv4/b=2\nnet/ipv4/conf/e.5/c =  1\t2 \n"
    assert parse(text, "x.conf") == [
        Setting("net.ipv4.a", "1", "x.conf:4"),
        Setting("net.ipv4.b", "2", "x.conf:5", tolerant=True),
        Setting("net.ipv4.conf.e/5.c", "1 2", "x.conf:6"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("garbage", "no assignment"),
        ("net..x = 1", "does not name a sysctl"),
        ("../../etc/passwd = 1", "does not name a sysctl"),
        ("net.ipv4.a =", "no value"),
    ],
)
def test_what_cannot_be_read_is_left_out_by_line(line, reason):
    """It is listed with its file and line, and the rest of the file counts."""
    bad, good = parse(f"{line}\nnet.ipv4.a = 1", "x.conf")
    assert isinstance(bad, LeftOut)
    assert reason in bad.reason
    assert bad.source == "x.conf:1"
    assert isinstance(good, Setting)


def test_a_pattern_names_all_that_fit_part_by_part():
    """A wildcard never goes over a separator."""
    assert values("net.ipv4.conf.*.rp_filter = 2") == dict.fromkeys(THERE[1:], "2")
    assert values("net.*.rp_filter = 2") == {}


def test_a_name_counts_before_a_pattern_wherever_it_stands():
    """sysctl.d(5): keys for which an explicit pattern exists are excluded from any glob."""
    found = values("net.ipv4.conf.lo.rp_filter = 0\nnet.ipv4.conf.*.rp_filter = 2")
    assert found["net.ipv4.conf.lo.rp_filter"] == "0"
    assert found["net.ipv4.conf.all.rp_filter"] == "2"


def test_a_dash_without_a_value_keeps_patterns_off_a_name():
    """sysctl.d(5): a key may be excluded from being set by any matching glob."""
    found = values("net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.lo.rp_filter")
    assert "net.ipv4.conf.lo.rp_filter" not in found
    assert len(found) == 3


def test_a_pattern_that_fits_nothing_is_said():
    """It may be misspelt."""
    _, missed = chosen(read("net.ipv4.config.*.rp_filter = 2"), THERE)
    assert [one.name for one in missed] == ["net.ipv4.config.*.rp_filter"]


def test_later_files_count_before_earlier_ones(tmp_path):
    """In the order of the command line, and within a folder in that of the files' names."""
    folder = tmp_path / "sysctl.d"
    folder.mkdir()
    (folder / "20.conf").write_text("net.ipv4.a = 20\nnet.ipv4.b = 20\n")
    (folder / "10.conf").write_text("net.ipv4.a = 10\n")
    (folder / "ignored").write_text("net.ipv4.a = 99\n")
    (tmp_path / "last").write_text("net.ipv4.b = last\n")
    profile = load(["sysctl.d", "last"], tmp_path)
    assert {one.name: one.value for one in profile.settings} == {
        "net.ipv4.a": "20",
        "net.ipv4.b": "last",
    }


@pytest.mark.parametrize("source", ["missing.conf", "empty", "binary.conf"])
def test_a_file_that_cannot_be_read_is_a_mistake(source, tmp_path):
    """The user is told which."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.conf").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=source):
        load([source], tmp_path)


def test_the_host_has_settings_and_none_that_must_stay_secret(tmp_path):
    """Interfaces of the host are no matter of a target."""
    profile = load(["host"], tmp_path)
    names = {one.name for one in profile.settings}
    assert "net.ipv4.tcp_fin_timeout" in names
    assert not any(name.endswith(("tcp_fastopen_key", "stable_secret")) for name in names)
    general = {"all", "default", "lo"}
    assert {name.split(".")[3] for name in names if ".conf." in name} <= general
    assert not any(one.named for one in profile.settings)


def test_a_profile_survives_the_way_to_a_worker():
    """It is plain values on the way."""
    profile = Profile(tuple(read("-net.ipv4.a = 1").settings), (LeftOut("a", "", "x:1", "why"),))
    assert Profile.from_json(json.loads(json.dumps(profile.as_json()))) == profile


def start(text, **settings):
    return LINUX().start(Settings(profile=read(text), **settings))


def test_a_target_is_given_what_it_has_and_the_rest_is_listed():
    """Nothing is dropped in silence; what the user says by name counts before the profile."""
    facts = start(
        "net.ipv4.tcp_fin_timeout = 7\nnet.ipv4.tcp_syn_retries = 2\nkernel.panic = 1",
        sysctls={"net.ipv4.tcp_syn_retries": "4"},
    )
    assert facts.profile == {"net.ipv4.tcp_fin_timeout": "7", "net.ipv4.tcp_syn_retries": "2"}
    assert [one.name for one in facts.left_out] == ["kernel.panic"]
    assert facts.effective["orphan_fin_wait_2_timeout"] == 7
    assert facts.effective["syn_retries"] == 4
    assert {"orphan_fin_wait_2_timeout", "syn_retries"} <= facts.fixed


def test_what_a_target_cannot_take_is_refused_with_a_reason():
    """A value that is none is the document's matter, not a failure of the run."""
    facts = start("net.ipv4.tcp_fin_timeout = soon")
    assert facts.profile == {}
    assert facts.left_out[0].reason == "this is no value of it"


def test_what_is_in_force_anyway_is_not_asked_for():
    """Only what somebody named is fixed at a value that it has already."""
    default = LINUX().start(Settings()).sysctls["net.ipv4.tcp_fin_timeout"]
    found = Setting("net.ipv4.tcp_fin_timeout", default, "host", named=False)
    for setting, taken in ((found, 0), (Setting(found.name, default, "x:1"), 1)):
        facts = LINUX().start(Settings(profile=Profile((setting,))))
        assert len(facts.profile) == taken


def test_the_summary_says_what_was_set_and_groups_what_was_not():
    """By reason, a few names each."""
    left = [LeftOut(f"net.ipv4.s{n}", "1", "host", "of the machine") for n in range(9)]
    facts = Facts("netns", "linux", "6.18", profile={"net.ipv4.a": "1"}, left_out=left)
    said = list(lines([facts, Facts("slirp", "slirp", "4")]))
    assert said[0] == "netns: 1 setting in force that others made"
    assert said[-1].endswith("net.ipv4.s3 and 5 more")
    assert len(said) == 4
