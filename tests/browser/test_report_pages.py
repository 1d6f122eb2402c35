"""Pages that the package writes, as readers have them: in light and dark, by keyboard, on paper, without scripts."""

import pytest
from reading import cut_off, focusable, lands_in_main, shown_text, small_words, tab_stops, unnamed, wide
from runs import QUICKSTART, STUDY

from pathways.experiments.benchmarks.page_run import FIFTY
from pathways.experiments.cli import main

PAGES = ("quickstart", "fifty", "study", "graph")
TASKS = {
    kind: ["-".join(map(str, group)) for group in config["tasks"][0]["groups"]]
    for kind, config in {"quickstart": QUICKSTART, "fifty": FIFTY, "study": STUDY, "graph": QUICKSTART}.items()
}


@pytest.fixture(params=PAGES)
def kind(request):
    return request.param


@pytest.fixture
def file(kind, request, tmp_path):
    """The page of that kind."""
    if kind == "graph":
        run, out = request.getfixturevalue("quickstart_run"), tmp_path / "graph.html"
        assert main(["graph", str(run), "--format", "html", "--out", str(out)]) == 0
        return out
    return request.getfixturevalue(f"{kind}_run") / "report.html"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_works_by_itself_and_breaks_no_rule_of_accessibility(file, opened, dark):
    page = opened(file, dark=dark)
    assert page.axe(*["color-contrast"] * dark) == []  # of what is dark only colours are other ones
    assert page.complaints == []


def test_it_works_for_whoever_wants_no_motion_and_on_paper(file, opened):
    assert opened(file, reduced_motion=True).complaints == []
    page = opened(file, printed=True, width=718)  # A4 without margins of 10 mm, at 96 pixels an inch
    assert page.complaints == []
    assert wide(page.page) == []
    assert cut_off(page.page) == []


def test_all_can_be_reached_by_keyboard_and_is_seen_when_it_is(file, opened, kind):
    page = opened(file).page
    stops = tab_stops(page, 400)
    assert [stop["name"] for stop in stops if not stop["seen"]] == []
    assert set(focusable(page)) - {stop["id"] for stop in stops} == set()


@pytest.mark.parametrize("kind", sorted({*PAGES} - {"graph"}), indirect=True)  # where all that there is comes first
def test_the_first_stop_skips_to_what_matters(file, opened):
    page = opened(file).page
    page.keyboard.press("Tab")
    assert page.evaluate("(document.activeElement.getAttribute('href') || '').startsWith('#')")
    page.keyboard.press("Enter")
    assert lands_in_main(page)


def test_without_scripts_words_tables_and_pictures_are_there(file, opened, kind):
    with_scripts, without = opened(file).page, opened(file, javascript=False).page
    assert without.locator("h1").inner_text().strip()
    assert without.locator("svg").count() >= 1
    missing = [task for task in TASKS[kind] if task not in shown_text(without)]
    assert missing == []
    count = "document.querySelectorAll('main table').length"
    assert without.evaluate(count) >= with_scripts.evaluate(count)
    if kind != "graph":
        assert without.locator("table:visible").count() >= 1


def test_it_fits_a_narrow_window(file, opened):
    """WCAG 2.2, 1.4.10: at 320 pixels nothing but tables and pictures in frames of their own scrolls sideways."""
    assert wide(opened(file, width=320, height=640).page) == []


def test_words_are_large_enough_to_be_read(file, opened):
    assert small_words(opened(file).page, 12) == []


def test_pictures_and_tables_say_what_they_are(file, opened):
    assert unnamed(opened(file).page) == []
