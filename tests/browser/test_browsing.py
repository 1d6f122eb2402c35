"""The harness itself: what it must see, it sees."""

import shutil

import browsing
import pytest

GOOD = """<!doctype html><html lang="en"><head><title>Good</title><meta name="viewport" content="width=device-width">
<style>@media (prefers-color-scheme:dark){body{background:#000;color:#fff}}
@media print{h1{display:none}} @media (prefers-reduced-motion:reduce){h1{font-size:50px}}</style></head>
<body><main><h1>Heading</h1><p>Words.</p><script>document.title = "Ran"</script></main></body></html>"""


@pytest.fixture
def page_of(tmp_path, opened):
    def page(text, **options):
        file = tmp_path / "page #1.html"  # as a user may name it
        file.write_text(text)
        return opened(file, **options)

    return page


def test_a_good_page_has_nothing_to_complain_about(page_of):
    good = page_of(GOOD)
    assert good.complaints == []
    assert good.axe() == []
    assert good.page.title() == "Ran"


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("<img src='https://example.invalid/a.png' alt='a'>", "request: https://example.invalid/a.png"),
        ("<script>fetch('http://127.0.0.1:9/x').catch(() => 0)</script>", "request: http://127.0.0.1:9/x"),
        ("<script>new WebSocket('ws://127.0.0.1:9/x')</script>", "request: ws://127.0.0.1:9/x"),
        ("<style>@import url(https://example.invalid/a.css);</style>", "request: https://example.invalid/a.css"),
        ("<script>console.error('no good')</script>", "error: no good"),
        ("<script>throw new Error('uncaught')</script>", "exception: uncaught"),
        ("<script>Promise.reject(new Error('late'))</script>", "exception: late"),
    ],
)
def test_what_a_page_does_wrong_is_seen(page_of, body, seen):
    page = page_of(GOOD.replace("<p>", body + "<p>"))
    page.page.wait_for_timeout(50)
    assert any(seen in complaint for complaint in page.complaints), page.complaints


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>", "image-alt"),
        ("<p style='color:#aaa;background:#fff'>faint</p>", "color-contrast"),
        ("<h4>too deep</h4>", "heading-order"),
        ("<button style='width:10px;height:10px;padding:0'>a</button><button style='width:10px;height:10px;padding:0'>"
         "b</button>", "target-size"),
    ],
)  # fmt: skip
def test_axe_sees_broken_rules(page_of, body, rule):
    page = page_of(GOOD.replace("<p>", body + "<p>"))
    assert any(line.startswith(rule) for line in page.axe())
    assert all(line.startswith(rule) for line in page.axe(rule))


def test_a_reader_is_pretended(page_of):
    ink = "getComputedStyle(document.body).color"
    assert page_of(GOOD).page.evaluate(ink) == "rgb(0, 0, 0)"
    assert page_of(GOOD, dark=True).page.evaluate(ink) == "rgb(255, 255, 255)"
    heading = "getComputedStyle(document.querySelector('h1'))"
    assert page_of(GOOD, printed=True).page.evaluate(heading + ".display") == "none"
    assert page_of(GOOD, reduced_motion=True).page.evaluate(heading + ".fontSize") == "50px"
    assert page_of(GOOD, javascript=False).page.title() == "Good"
    assert page_of(GOOD, width=400).page.evaluate("innerWidth") == 400


def test_without_a_browser_the_reason_is_given(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("PATHWAYS_TESTS_NEED", "ray")
    with pytest.raises(pytest.skip.Exception, match="without browser: none of chromium"):
        browsing.installed()
    monkeypatch.setenv("PATHWAYS_TESTS_NEED", "ray,browser")
    with pytest.raises(pytest.fail.Exception, match="browser must be there"):
        browsing.installed()


