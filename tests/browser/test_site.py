"""Site: what somebody sees who opens it from a disk, in a real Chromium."""

import re
from urllib.parse import quote

import pytest

from harness.reporting.site import build as pages
from tests.browser.conftest import axe
from tests.reporting.examples import judgement
from tests.reporting.test_site import HOSTILE, report
from tests.reporting.world import run_of

SYN_SENT = (
    "testcases/opening/test_syn_sent.py::test_syn_sent_silence_repeats_the_syn_until_connect_fails"
)
DROPPED = (
    "testcases/laboratory/test_abnormal.py::test_abnormal_2_syn_acks_dropped_before_the_client"
)
ON_MODEL_LINUX = """(() => {
    const one = document.activeElement;
    return one.matches("a.verdict") && one.textContent.includes("on model-linux");
})()"""
VIEWS = (
    "",
    "#/matrix?differ=1",
    "#/claim?id=RFC9293:MUST-19",
    "#/behaviours",
    "#/behaviour?measure=syn_retry_ladder",
    f"#/testcase?name={quote(SYN_SENT)}&show=model-linux/ipv4,model-rfc9293/ipv4",
    "#/states?state=matrix_listen&kind=SYN",
    "#/contradictions",
    "#/coverage?status=open",
    "#/ledger?seen=1",
    "#/runs",
)


def rows(page) -> list[str]:
    page.wait_for_selector(".matrix-frame:not([aria-busy]), .notice")
    return page.locator(".matrix tbody tr:not(.document) .id").all_text_contents()


def test_filters_leave_what_fits_and_the_address_says_so(site, visit):
    """Document, topic, verdict, words, binding and difference; the address brings them back."""
    page = visit(site).go().page
    everything = rows(page)
    page.get_by_label("Document", exact=True).select_option("rfc9293")
    some = rows(page)
    assert some
    assert all(name.startswith("RFC9293:") for name in some)
    page.get_by_label("Verdict", exact=True).select_option("known")
    known = rows(page)
    assert "RFC9293:MUST-19" in known
    assert len(known) < len(some) < len(everything)
    page.get_by_label("Find", exact=True).fill("back off exponentially")
    page.wait_for_function("document.querySelectorAll('.matrix tbody tr .id').length === 0 || true")
    assert "document=rfc9293" in page.url
    address = page.url[page.url.index("#") :]
    assert rows(visit(site).go(address.replace("&q=back+off+exponentially", "")).page) == known


def test_words_are_found_in_claims(site, visit):
    """All words must stand in the claim, in any order."""
    page = visit(site).go("#/matrix?q=exponentially+rto").page
    assert "RFC9293:MUST-19" in rows(page)
    page.get_by_label("Find", exact=True).fill("no such words anywhere")
    page.get_by_text("No claim fits these filters.").wait_for()
    page.get_by_label("Find", exact=True).fill("")
    page.wait_for_selector(".matrix tbody tr")


def test_what_binds_and_what_differs(site, visit):
    """A tick leaves only the rows that it is about."""
    page = visit(site).go().page
    everything = len(rows(page))
    page.get_by_label("binding", exact=True).check()
    binding = rows(page)
    assert 0 < len(binding) < everything
    page.get_by_label("targets differ").check()
    differ = rows(page)
    assert 0 < len(differ) < len(binding)
    assert "RFC9293:MUST-19" in differ


def test_what_changed_since_an_older_run(site, visit):
    """The second run lets another document bind, and that is all that is shown."""
    page = visit(site).go().page
    page.get_by_label("Changed since").select_option(index=1)
    changed = rows(page)
    assert changed
    assert all(name.startswith("S0-") for name in changed)
    assert "changed=" in page.url


def test_a_cell_leads_to_its_observation_and_to_its_diagram(site, visit):
    """Two clicks from the matrix to the segments."""
    page = visit(site).go("#/matrix?document=rfc9293&verdict=known").page
    page.get_by_role("link", name="RFC9293:MUST-19 on model-linux: ").click()
    page.wait_for_selector("h1:has-text('RFC9293:MUST-19')")
    row = page.locator("[id='on-model-linux']")
    assert "1, 1, 1, 1, 1, 2, 4, 8, 16, 32 s" in row.inner_text()
    row.get_by_role("link", name=re.compile("^ipv4")).click()
    page.wait_for_selector("svg.picture")
    assert page.locator("svg .arrow.syn").count() == 11
    assert "64 s of silence" in page.locator("svg").text_content()
    link = page.get_by_text("Download the pcap")
    with page.expect_download() as download:
        link.click()
    assert download.value.path().read_bytes()[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")


def test_the_keyboard_is_enough(site, visit):
    """From the top of the page to a claim, by tabulator and return."""
    page = visit(site).go("#/matrix?document=rfc9293&verdict=known").page
    page.keyboard.press("Tab")
    for _ in range(60):
        if page.evaluate(ON_MODEL_LINUX):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("blockquote")


def test_two_targets_stand_beside_each_other(site, visit):
    """A testcase can be looked at on both, and the address says so."""
    page = visit(site).go(f"#/testcase?name={quote(SYN_SENT)}&show=model-linux/ipv4").page
    page.get_by_label("model-rfc9293/ipv4").check()
    page.wait_for_function("document.querySelectorAll('svg.picture').length === 2")
    assert "model-rfc9293" in page.url


def test_drops_are_seen(site, visit):
    """A rule that drops is a barrier, and what ends there has a cross."""
    page = visit(site).go(f"#/testcase?name={quote(DROPPED)}&show=model-linux/ipv4").page
    assert page.locator("svg .barrier").count() == 1
    assert page.locator("svg .cross").count() >= 2


def test_one_picture_has_all_expectations_and_observations(site, visit):
    """The ladder of each target, and the bands of each document, on one axis."""
    page = visit(site).go("#/behaviour?measure=syn_retry_ladder").page
    words = page.locator("svg").text_content()
    for expected in ("each interval twice the one before", "3, 6 s", "model-linux", "documented"):
        assert expected in words
    assert page.locator("svg .band").count() > 10
    assert page.locator("svg .point.seen").count() == 11 + 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", VIEWS)
def test_every_view_is_accessible(site, visit, address, scheme):
    """Axe finds nothing serious, in light and in dark; the address alone brings the view."""
    if axe() is None:
        pytest.skip("axe-core is not installed: make browser")
    visited = visit(site, color_scheme=scheme, bypass_csp=True).go(address)
    page = visited.page
    assert page.locator("h1").count() == 1
    assert "cannot be" not in page.locator("h1").inner_text()
    page.evaluate(axe().read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
    serious = [
        (one["id"], one["nodes"][0]["html"][:200])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_a_narrow_screen_scrolls_in_frames_only(site, visit):
    """Nothing makes the page itself wider than a telephone."""
    for address in VIEWS:
        page = visit(site).go(address).page
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address


def test_the_site_opens_soon(site, visit):
    """It is a second on a quiet machine; this allows for one that is not."""
    page = visit(site).go().page
    assert page.evaluate("performance.now()") < 10_000


def test_a_view_or_a_claim_that_is_not_there_says_so(site, visit):
    """An old address is no error of the page's."""
    page = visit(site).go("#/claim?id=RFC0:MUST-0").page
    assert "There is no claim RFC0:MUST-0" in page.locator("main").inner_text()
    assert visit(site).go("#/no-such-view").page.locator(".matrix").count() == 1


def test_a_hostile_run_is_shown_inert(visit, tmp_path):
    """What a run says is text wherever it stands: nothing runs, nothing is loaded."""
    hostile = judgement(
        testcase=f"a.py::{HOSTILE}", claim=HOSTILE, document=HOSTILE, measure=HOSTILE,
        target=HOSTILE, observed=HOSTILE, documented=HOSTILE, reason=HOSTILE, pcap=HOSTILE,
    )  # fmt: skip
    run = run_of(
        tmp_path / "run", [hostile, judgement(), judgement(target=f"javascript:{HOSTILE}")]
    )
    folder = pages.build(report(run), tmp_path / "site").parent
    visited = visit(folder).go()
    page = visited.page
    shown = page.locator(".matrix .id").all_text_contents()
    assert any("<img src=x onerror=alert(1)>" in text for text in shown)
    name = next(text for text in shown if "<img" in text)
    for view in ("claim?id=", "behaviour?measure=", "testcase?name=a.py::", "states?state="):
        visited.go(f"#/{view}{quote(name)}")
    visited.go("#/runs")
    assert page.locator("main img").count() == 0
    scripts = page.evaluate("[...document.scripts].map((one) => one.getAttribute('src'))")
    assert all(re.fullmatch(r"[a-z]+\.js|data/[\w-]+\.js", str(source)) for source in scripts)
