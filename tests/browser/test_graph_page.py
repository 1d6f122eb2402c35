"""The interactive path graph in a browser: what a pointer, keys, time, filters and the address do."""

from collections.abc import Iterator

import pytest
from helpers_graph import HOSTILE, stream

from pathways.graph.page import graph_page, graph_widget
from pathways.theme import theme

NAMES = tuple(f"s/task {word}" for word in ("one", "two", "three", "four", "five", "six"))
NOTES = {name: f"9{i}.0" for i, name in enumerate(NAMES)}
LINE = ".pg-task[data-task='{}'] .pg-hit"


class Looked:
    """The page, and what its reader sees of nodes and tasks."""

    def __init__(self, opened):
        self.opened, self.page = opened, opened.page
        self.heads = {}
        for i, label in enumerate(self.page.eval_on_selector_all(".pg-node", "all => all.map(n => n.ariaLabel)")):
            if "; task " in label:
                self.heads[label.split("; task ")[1].split(",")[0]] = i

    def node(self, i):
        return self.page.locator(f".pg-node[data-node='{i}']")

    def head(self, task):
        return self.node(self.heads[NAMES[task]])

    def having(self, state, what="node"):
        """Which nodes or tasks have that state, once it has been painted."""
        self.settled()
        found = self.page.eval_on_selector_all(f".pg-{what}.{state}", f"all => all.map(n => +n.dataset.{what})")
        return set(found)

    def settled(self):
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def visible(self, selector):
        return self.page.locator(selector).is_visible()

    @property
    def card(self):
        return self.page.locator(".pg-card").inner_text()

    @property
    def says(self):
        return self.page.locator(".pg-says").inner_text()

    def do(self, name):
        self.page.click(f"[data-do={name}]")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("graph") / "graph.html"
    file.write_text(graph_page(stream(NAMES), NOTES), "utf-8")
    return file


@pytest.fixture
def looked(file, opened) -> Iterator[Looked]:
    """The page of six tasks; whatever was done to it, it complained about nothing and asked for nothing."""
    page = Looked(opened(file, reduced_motion=True))
    yield page
    assert page.opened.complaints == []


def test_all_is_shown_at_first(looked):
    assert not looked.visible(".pg-card")
    assert not looked.visible(".pg-picked")
    for state in ("is-later", "is-rare", "is-new"):
        assert looked.having(state) == set()
    assert looked.page.locator(".pg-lit").count() == 0
    assert looked.says.startswith("Point at a module")
    assert looked.page.url.endswith("graph.html")


def test_hovering_a_module_shows_its_card_and_its_tasks(looked):
    graph = stream(NAMES)
    shared = next(i for i, (_, d) in enumerate(graph.nodes(data=True)) if d["frozen_by"] == NAMES[1])
    blob = list(graph.nodes.values())[shared]["id"]
    looked.node(shared).locator("rect").hover()
    assert looked.having("is-on", "task") == {1, 2}
    for words in ("conv", "38", "trained by", "task two", "2 tasks: task two, task three", blob[:16]):
        assert words in looked.card
    assert float(looked.page.locator(LINE.format(0) + "+ .pg-line").evaluate("e => getComputedStyle(e).opacity")) < 0.5
    looked.page.mouse.move(2, 2)
    looked.page.wait_for_selector(".pg-card", state="hidden")
    assert looked.page.locator(".pg-lit").count() == 0


def test_the_card_hides_neither_its_module_nor_its_own_text(looked):
    for i in range(looked.page.locator(".pg-node").count()):
        looked.node(i).locator("rect").hover()
        card, box = looked.page.locator(".pg-card").bounding_box(), looked.node(i).locator("rect").bounding_box()
        apart = (
            card["x"] >= box["x"] + box["width"] or card["x"] + card["width"] <= box["x"]
            or card["y"] >= box["y"] + box["height"] or card["y"] + card["height"] <= box["y"]
        )  # fmt: skip
        assert apart, i
        assert card["x"] >= 0
        assert card["x"] + card["width"] <= 1280


def test_hovering_a_task_shows_what_it_added(looked):
    looked.head(2).locator("rect").hover()
    assert looked.having("is-on", "task") == {2}
    for words in ("s/task three", "92.0", "3 of 6", "1 module, 27 parameters", "the root (1), task two (1)"):
        assert words in looked.card
    label = looked.page.get_by_text("task five", exact=True).first
    label.hover()
    assert looked.having("is-on", "task") == {4}
    line = looked.page.locator(LINE.format(0)).evaluate(
        "e => { const m = e.getScreenCTM(), p = e.getPointAtLength(15); return [p.x * m.a + m.e, p.y * m.d + m.f] }"
    )
    looked.page.mouse.move(*line)
    assert looked.having("is-on", "task") == {0}
    assert "s/task one" in looked.card


def test_a_click_keeps_a_module_and_escape_releases_it(looked):
    looked.node(1).locator("rect").click()
    looked.page.mouse.move(2, 2)
    looked.page.wait_for_timeout(300)
    assert looked.having("is-kept") == {1}
    assert "Escape releases it" in looked.card
    assert looked.node(1).get_attribute("aria-pressed") == "true"
    assert looked.says.startswith("Kept: conv, 20 parameters")
    looked.page.keyboard.press("Escape")
    assert looked.having("is-kept") == set()
    assert not looked.visible(".pg-card")


def test_tasks_are_picked_compared_and_released(looked):
    looked.head(1).locator("rect").click()
    assert looked.having("is-on", "task") == {1}
    assert "s/task two" in looked.page.locator(".pg-picked").inner_text()
    assert "task=s%2Ftask+two" in looked.page.url
    looked.head(2).locator("rect").click(modifiers=["Shift"])
    looked.page.mouse.move(2, 2)
    looked.page.wait_for_timeout(300)
    assert looked.having("is-on", "task") == {1, 2}
    assert looked.says == "2 tasks picked, 2 modules in common."
    assert "In common: 2 modules, 58 parameters: conv of the root, conv of task two." in (
        looked.page.locator(".pg-picked p").inner_text()
    )
    assert len(looked.having("is-common")) == 2
    assert looked.having("is-dashed", "task") == {2}
    looked.page.get_by_role("button", name="Release task two").click()
    assert looked.having("is-on", "task") == {2}
    looked.page.keyboard.press("Escape")
    assert not looked.visible(".pg-picked")
    assert "#" not in looked.page.url


def test_the_list_of_tasks_is_narrowed_and_moved_through_by_keys(looked):
    find = looked.page.get_by_role("combobox", name="Tasks")
    find.click()
    assert looked.page.get_by_role("option").count() == 6
    find.type("F")
    assert looked.page.locator("[role=option]:visible").all_inner_texts() == ["s/task four", "s/task five"]
    assert looked.says == "2 tasks found."
    find.press("ArrowDown")
    at = find.get_attribute("aria-activedescendant")
    assert looked.page.locator(f"#{at}").inner_text() == "s/task five"
    find.press("Enter")
    find.press("ArrowUp")
    find.press("Enter")
    assert looked.having("is-on", "task") == {3, 4}
    assert looked.page.locator("[role=option][aria-selected=true]").count() == 2
    find.press("Escape")
    assert (find.input_value(), find.get_attribute("aria-expanded")) == ("", "false")
    assert looked.having("is-on", "task") == {3, 4}
    find.press("Backspace")
    assert looked.having("is-on", "task") == {4}
    find.type("nothing like it")
    assert looked.says == "No task is named “nothing like it”."


def test_time_goes_task_by_task(looked):
    slider = looked.page.get_by_role("slider", name="Time")
    slider.fill("2")
    assert looked.says == "After task two: 2 new modules, 65 parameters; builds on 1 module of the root."
    assert looked.having("is-later", "task") == {2, 3, 4, 5}
    assert looked.having("is-new", "task") == {1}
    assert len(looked.having("is-new")) == 2
    assert looked.page.locator(".pg-new text").all_text_contents() == ["new", "new"]
    assert slider.get_attribute("aria-valuetext") == "after 2 of 6: task two"
    assert not looked.page.locator(LINE.format(2)).is_visible()
    looked.do("next")
    assert looked.says.startswith("After task three: only a new head")
    looked.do("back")
    looked.do("back")
    looked.do("back")
    assert looked.says == "Before the first task: 2 modules."
    assert looked.page.locator("[data-do=back]").is_disabled()
    assert "step=0" in looked.page.url
    looked.do("all")
    assert looked.having("is-later") == set()
    assert "step" not in looked.page.url


def test_play_goes_to_the_end_and_can_be_paused(looked):
    looked.do("play")
    assert looked.page.locator("[data-do=play]").inner_text() == "Pause"
    assert looked.page.locator(".pg-says").get_attribute("aria-live") == "off"
    looked.page.wait_for_selector(".pg-task.is-new[data-task='0']", state="attached")
    looked.do("play")
    assert looked.page.locator("[data-do=play]").inner_text() == "Play"
    assert looked.having("is-later", "task") == {1, 2, 3, 4, 5}


def test_a_later_task_that_is_picked_is_shown(looked):
    looked.page.get_by_role("slider", name="Time").fill("2")
    find = looked.page.get_by_role("combobox", name="Tasks")
    find.type("six")
    find.press("Enter")
    assert looked.having("is-on", "task") == {5}
    assert looked.having("is-later", "task") == set()


def test_modules_that_few_tasks_use_are_left_out(looked):
    graph = stream(NAMES)
    uses = looked.page.get_by_role("slider", name="Used by at least")
    assert uses.get_attribute("max") == "6"
    uses.fill("2")
    rare = {i for i, (_, d) in enumerate(graph.nodes(data=True)) if d["kind"] == "module" and len(d["tasks"]) < 2}
    assert looked.having("is-rare") == rare
    uses.fill("3")
    assert looked.says == "1 of 4 modules besides heads is used by 3 tasks or more."
    assert len(looked.having("is-rare")) == 3
    assert "least=3" in looked.page.url


def test_one_node_is_reached_by_tab_and_arrows_move_on(looked):
    assert looked.page.locator(".pg-node[tabindex='0']").count() == 1
    looked.page.locator(".pg-view").focus()
    looked.page.keyboard.press("Tab")
    focused = "document.activeElement.dataset.node ?? document.activeElement.className"
    assert looked.page.evaluate(focused) == "0"
    looked.page.keyboard.press("ArrowRight")
    assert looked.page.evaluate(focused) == "1"
    assert "20" in looked.card
    assert looked.having("is-on", "task") == set(range(6))
    looked.page.keyboard.press("ArrowRight")
    looked.page.keyboard.press("ArrowDown")
    looked.page.keyboard.press("Enter")
    assert len(looked.having("is-kept")) == 1
    looked.page.keyboard.press("Escape")
    looked.page.keyboard.press("End")
    looked.page.keyboard.press(" ")
    assert looked.having("is-on", "task") == {5}
    assert looked.page.locator(".pg-node[tabindex='0']").count() == 1


def test_the_picture_grows_and_shrinks(looked):
    def wide():
        return looked.page.locator(".pg-svg").bounding_box()["width"]

    fit = wide()
    looked.do("larger")
    assert wide() == pytest.approx(1.25 * fit, rel=0.01)
    looked.do("smaller")
    assert wide() == pytest.approx(fit, rel=0.01)
    looked.page.locator(".pg-view").focus()
    for _ in range(4):
        looked.page.keyboard.press("+")
    assert wide() == pytest.approx(1.25**4 * fit, rel=0.01)
    looked.page.keyboard.press("-")
    box = looked.page.locator(".pg-view").bounding_box()
    looked.page.mouse.move(box["x"] + 200, box["y"] + 100)
    before = wide()
    looked.page.keyboard.down("Control")
    looked.page.mouse.wheel(0, -120)
    looked.page.keyboard.up("Control")
    looked.page.wait_for_function(f"document.querySelector('.pg-svg').clientWidth > {before + 10}")
    view = looked.page.locator(".pg-view")
    looked.page.mouse.down()
    at = view.evaluate("v => v.scrollLeft")
    looked.page.mouse.move(box["x"] + 120, box["y"] + 100)
    looked.page.mouse.up()
    assert view.evaluate("v => v.scrollLeft") == pytest.approx(at + 80, abs=1)
    assert looked.having("is-kept") == set()
    looked.page.keyboard.press("0")
    assert wide() == pytest.approx(fit, rel=0.01)
    looked.do("whole")
    assert looked.page.locator(".pg-svg").bounding_box()["height"] < 900


def test_an_address_brings_its_view_back(file, opened, tmp_path):
    page = opened(file, reduced_motion=True)
    page.page.goto(f"{file.as_uri()}#task=s%2Ftask+two&step=4&least=3&task=gone")
    page.page.reload()
    looked = Looked(page)
    assert looked.having("is-on", "task") == {1}
    assert looked.having("is-later", "task") == {4, 5}
    assert len(looked.having("is-rare")) == 3
    page.page.evaluate("location.hash = '#step=nonsense&least=9999'")
    looked.page.wait_for_function("!document.querySelector('.pg-lit')")
    assert looked.having("is-later", "task") == set()
    assert page.complaints == []


def test_without_javascript_the_picture_and_the_tables_are_there(file, opened):
    page = opened(file, javascript=False).page
    assert page.locator(".pg-svg").is_visible()
    assert page.get_by_role("img", name="Path graph: 6 tasks").count() == 1
    assert not page.locator(".pg-bar").is_visible()
    assert page.locator("table:visible").count() == 2


def test_print_shows_all_of_it_whatever_was_done(file, opened):
    looked = Looked(opened(file, reduced_motion=True))
    looked.page.get_by_role("slider", name="Used by at least").fill("3")
    looked.page.get_by_role("slider", name="Time").fill("3")
    looked.head(1).locator("rect").click()
    looked.settled()
    looked.page.emulate_media(media="print")
    assert not any(map(looked.visible, (".pg-bar", ".pg-card", ".pg-picked")))
    hidden = """all => all.filter(e => { const s = getComputedStyle(e);
        return s.opacity !== '1' || s.display === 'none' || s.visibility !== 'visible' }).length"""
    for what in (".pg-task", ".pg-line", ".pg-node", ".pg-node text", ".pg-box"):
        assert looked.page.eval_on_selector_all(what, hidden) == 0, what
    assert looked.opened.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_keeps_the_rules_of_accessibility(file, opened, dark):
    looked = Looked(opened(file, dark=dark, reduced_motion=True))
    assert looked.opened.axe() == []
    looked.head(1).locator("rect").click()
    looked.page.get_by_role("combobox", name="Tasks").click()
    looked.settled()
    assert looked.opened.axe() == []


def test_a_narrow_window_keeps_all_within_reach(file, opened):
    looked = Looked(opened(file, width=600, reduced_motion=True))
    assert looked.page.evaluate("document.documentElement.scrollWidth") <= 600
    assert looked.opened.axe("target-size", "scrollable-region-focusable") == []


def test_odd_names_are_shown_as_they_are(tmp_path, opened):
    file = tmp_path / "odd.html"
    file.write_text(graph_page(stream(HOSTILE), {HOSTILE[0]: HOSTILE[1]}, title=HOSTILE[0]), "utf-8")
    looked = opened(file, reduced_motion=True)
    page = looked.page
    assert page.title() == HOSTILE[0]
    find = page.get_by_role("combobox", name="Tasks")
    find.click()
    assert page.eval_on_selector_all("[role=option]", "all => all.map(o => o.textContent)") == list(HOSTILE)
    find.type("<script>")
    find.press("Enter")
    assert page.locator(".pg-picked th[scope=row]").inner_text() == HOSTILE[0]
    page.reload()
    assert page.locator(".pg-picked th[scope=row]").inner_text() == HOSTILE[0]
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert looked.complaints == []


def test_several_widgets_on_one_page_do_not_know_of_each_other(tmp_path, opened):
    file = tmp_path / "two.html"
    widgets = "".join(graph_widget(stream(NAMES[:3]), name=name) for name in ("first", "second"))
    style = f"<style>{theme()}body{{background:var(--paper)}}</style>"
    file.write_text(
        f'<!doctype html><html lang="en"><head><title>Two</title>{style}</head><body><main><h1>Two</h1>{widgets}'
        "</main></body></html>",
        "utf-8",
    )
    looked = opened(file, reduced_motion=True)
    page = looked.page
    page.locator("#first").get_by_role("slider", name="Time").fill("1")
    page.wait_for_selector("#first .is-later", state="attached")
    assert page.locator("#second .is-later").count() == 0
    assert "#" not in page.url
    assert looked.complaints == []
    assert looked.axe() == []
