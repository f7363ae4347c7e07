"""The summary: a failed run's first screen tells what is wrong, and nothing stands twice."""

from pathlib import Path

import pytest

from harness.reporting.summary import WIDTH, Results, summarize

from .examples import both_families, judgement

TITLES = {"rfc9293": "RFC 9293: Transmission Control Protocol", "notes": "Laboratory notes (2017)"}


def lines(judgements, **more) -> list[str]:
    written: list[str] = []
    results = Results(judgements, TITLES, **more)
    summarize(lambda line, **_markup: written.append(line), results)
    return written


def too_long(written: list[str]) -> list[str]:
    """Return the lines that run over, but for node ids, which can be copied only whole."""
    return [line for line in written if len(line) > WIDTH and "::" not in line]


def test_a_deviation_is_told_whole_and_once_for_both_families():
    """Claim, document, documented, observed, where, testcase and capture, in this order."""
    deviation = {"verdict": "deviates", "observed": "131.1 s", "documented": "at least 180 s"}
    found = both_families(**deviation, pcap="pcap/a.pcap")
    assert lines([judgement(target="docker"), *found])[:7] == [
        "1 deviation; 1 of 3 verdicts conforms",
        "",
        "RFC9293:MUST-13 on netns (ipv4 and ipv6): time_wait_duration deviates",
        "  document    RFC 9293: Transmission Control Protocol",
        "  documented  at least 180 s",
        "  observed    131.1 s",
        (
            "  testcase    testcases/closing/test_time_wait.py::test_time_wait_lasts[netns-ipv4]"
            " and [netns-ipv6]"
        ),
    ]
    assert "  pcap        reports/pcap/a.pcap and 1 more" in lines(found)


def test_what_is_worst_stands_first():
    """New deviations, stale entries, known and informative deviations, the rest as numbers."""
    written = lines(
        [
            *both_families(),
            judgement(verdict="permitted"),
            judgement(verdict="inconclusive", reason="noise of 0.4 s", claim="E"),
            judgement(verdict="unsupported", reason="no firewall"),
            judgement(verdict="deviates", claim="D", document="notes", binding=False),
            judgement(verdict="deviates", claim="C", known=True, reason="begins linear"),
            judgement(verdict="deviates", claim="A"),
        ],
        stale=["B time_wait_late_fin: answered now"],
    )
    assert written == [
        "1 deviation, 1 stale ledger entry and 1 known deviation; 2 of 8 verdicts conform",
        "",
        "A on netns (ipv4): time_wait_duration deviates",
        "  document    RFC 9293: Transmission Control Protocol",
        "  documented  at least 240 s",
        "  observed    60.3 s",
        "  testcase    testcases/closing/test_time_wait.py::test_time_wait_lasts[netns-ipv4]",
        "",
        "stale ledger entries (1): they conform now",
        "  B time_wait_late_fin: answered now",
        "",
        "known deviations (1) on netns (ipv4)",
        "  begins linear",
        "    C",
        "    observed  60.3 s",
        "",
        "deviations from Laboratory notes (2017), informative (1) on netns (ipv4)",
        "  D  at least 240 s  not 60.3 s",
        "",
        "unsupported (1 verdict)",
        "     1  no firewall (netns)",
        "",
        "inconclusive (1 verdict)",
        "  time_wait_duration on netns (ipv4): noise of 0.4 s [E]",
        "",
        (
            "target conforms permitted deviates known informative unsupported inconclusive"
            " measures claims"
        ),
        (
            "netns         2         1        1     1           1           1            1"
            "        1      4"
        ),
    ]


def test_a_clean_run_is_told_in_a_few_lines():
    """Without anything to tell there are a headline and a table."""
    assert lines(both_families())[0] == "no deviation; 2 of 2 verdicts conform"
    assert len(lines(both_families())) == 4


def test_a_run_that_judged_nothing_says_so():
    """No verdicts is a sentence, not an empty table."""
    assert lines([]) == ["nothing was judged"]


def test_a_stale_entry_alone_is_told():
    """Stale entries show even when nothing else was judged."""
    assert "  A: gone" in lines([], stale=["A: gone"])


def test_a_stale_entry_that_both_families_find_is_told_once():
    """Every testcase that finds an entry stale says so; the summary says it once."""
    written = lines([], stale=["A: gone", "B: gone", "A: gone"])
    assert written[0] == "no deviation and 2 stale ledger entries; 0 of 0 verdicts conform"
    assert [line for line in written if "gone" in line] == ["  A: gone", "  B: gone"]


def test_targets_that_show_the_same_share_a_line():
    """The same deviation on two targets is one finding; noise makes no second one."""
    found = [
        *both_families(verdict="deviates", observed="60.31 s"),
        *both_families(verdict="deviates", observed="60.29 s", target="docker"),
    ]
    heads = [line for line in lines(found) if line.endswith("deviates")]
    assert heads == [
        "RFC9293:MUST-13 on netns and docker (ipv4 and ipv6): time_wait_duration deviates"
    ]


def test_families_that_differ_are_both_shown():
    """When IPv4 and IPv6 were observed to differ, the block shows both."""
    found = [
        judgement(verdict="deviates", observed="R. 0:0(0) ack 1"),
        judgement(verdict="deviates", observed="R. 0:0(0) ack 2", family="ipv6"),
    ]
    assert "  observed    R. 0:0(0) ack 1 (ipv4); R. 0:0(0) ack 2 (ipv6)" in lines(found)


def test_different_ledger_reasons_are_not_merged():
    """Two entries of the ledger stay two lines."""
    known = {"verdict": "deviates", "known": True}
    found = [judgement(**known, reason="a"), judgement(**known, reason="b", target="docker")]
    written = lines(found)
    assert "  a" in written
    assert "  b" in written


def test_unsupported_is_grouped_by_reason_the_most_frequent_first():
    """A reason stands once, with the number of verdicts and the targets."""
    long, none = "7200 s is beyond --patience 300", "no firewall"
    found = [judgement(verdict="unsupported", reason=none, target="lwip")]
    found += both_families(verdict="unsupported", reason=long)
    written = lines(found)
    assert written[2:5] == [
        "unsupported (3 verdicts)",
        f"     2  {long} (netns)",
        f"     1  {none} (lwip)",
    ]


def test_claims_of_one_inconclusive_measure_share_its_reason():
    """A measurement that failed is told once, with the number of claims that wait for it."""
    fields = {"verdict": "inconclusive", "reason": "the capture lost 3 frames"}
    found = [one for claim in "ABC" for one in both_families(**fields, claim=claim)]
    written = lines(found)
    assert written[3] == (
        "  time_wait_duration on netns (ipv4 and ipv6): the capture lost 3 frames [3 claims]"
    )


@pytest.mark.parametrize("verdict", ["deviates", "inconclusive", "unsupported"])
def test_hostile_strings_reach_the_terminal_escaped(verdict):
    """Control characters, line ends and marks of direction are shown, never sent."""
    hostile = "\x1b]0;owned\x07\r\n\u202etxt\ud800\x9b31m"
    found = [
        judgement(**{"verdict": verdict, name: hostile, "reason": hostile, "known": known})
        for name in ("claim", "measure", "target", "documented", "observed", "testcase", "pcap")
        for known in (False, True)
    ]
    written = lines(found, stale=[hostile], reports=Path("r"))
    assert all(line.isprintable() for line in written)
    assert any(r"\x1b]0;owned\x07\r\n\u202etxt\ud800\x9b31m" in line for line in written)


def test_a_long_text_takes_the_room_that_its_neighbour_leaves():
    """What is documented is cut only where what was observed needs the room."""
    long = "EINVAL or ECONNABORTED or ECONNREFUSED or EHOSTUNREACH"
    found = judgement(verdict="deviates", documented=long, observed="success", binding=False)
    assert f"  RFC9293:MUST-13  {long}  not success" in lines([found])


def test_a_long_title_leaves_room_for_where():
    """The heading of a document says on which targets, however long its title is."""
    found = judgement(verdict="deviates", document="x" * 120, binding=False)
    (head,) = (line for line in lines([found]) if line.startswith("deviations from"))
    assert head.endswith("x…, informative (1) on netns (ipv4)")
    assert len(head) == WIDTH


def test_long_values_are_cut_and_wrapped():
    """A document's long text is wrapped in a block and cut on a line; nothing runs over."""
    ladder = ", ".join(["1.01"] * 200) + " s"
    block = lines(both_families(verdict="deviates", observed=ladder))
    assert sum("1.01" in line for line in block) <= 6
    assert any(line.endswith("…") for line in block)
    assert not too_long(block)
    one_line = lines(both_families(verdict="deviates", observed=ladder, binding=False))
    assert sum("1.01" in line for line in one_line) == 1
    assert not too_long(one_line)


def test_contradictions_are_counted_in_one_line():
    """The terminal says where to read of them; it does not list them."""
    said = "documents contradict each other about 2 measures: tcpspec contradictions"
    assert said in lines([judgement()], contradictions=["wait", "answer"])
    assert said not in lines([judgement()])
