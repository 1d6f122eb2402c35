"""What a page is to somebody who reads it: what can be reached, what is cut off, which words are too small."""

from __future__ import annotations

from typing import Any

# Whatever takes part in the order of tabs; of radio buttons with one name the keyboard reaches one.
_FOCUSABLE = """() => {
  const all = [...document.querySelectorAll(
    "a[href],button,input,select,textarea,summary,[tabindex],[contenteditable=true],iframe")];
  const shown = e => e.checkVisibility({visibilityProperty: true, opacityProperty: false,
                                        contentVisibilityAuto: false});
  const stops = all.filter(e => e.tabIndex >= 0 && !e.disabled && !e.closest("[inert]") && shown(e)
    && !(e.type === "radio" && !e.checked && document.querySelector(`input[name="${CSS.escape(e.name)}"]:checked`)));
  return stops.map(e => { e.dataset.stop ??= `${all.indexOf(e)} ${e.outerHTML.slice(0, 60)}`; return e.dataset.stop; });
}"""

# Seen is a focus where an outline, a shadow, a border or a colour, of the element or in it, is another than without it.
_FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const looks = () => [e, ...[...e.querySelectorAll("*")].slice(0, 20)].flatMap(one => {
    const s = getComputedStyle(one);
    return [s.outlineStyle, s.outlineWidth, s.outlineColor, s.boxShadow, s.borderColor, s.borderWidth,
            s.backgroundColor, s.stroke, s.strokeWidth, s.textDecorationLine]; });
  const on = looks();
  const outlined = on[0] !== "none" && parseFloat(on[1]) > 0;
  const box = e.getBoundingClientRect();
  const inside = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth
    && box.width * box.height > 0;
  let differs = outlined;
  if (!differs) { e.blur(); const off = looks(); differs = on.some((v, i) => v !== off[i]);
                  e.focus({preventScroll: true}); }
  return {id: e.dataset.stop, name: e.outerHTML.slice(0, 100), seen: differs && inside};
}"""


def focusable(page: Any) -> list[str]:
    """Marks of all elements that the keyboard must reach."""
    return list(page.evaluate(_FOCUSABLE))


def tab_stops(page: Any, most: int) -> list[dict[str, Any]]:
    """Where the tab key leads from the beginning to the end: each stop's mark, and whether its focus is seen."""
    focusable(page)
    stops: list[dict[str, Any]] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate(_FOCUSED)
        if stop is None or (stops and stop["id"] == stops[0]["id"]):
            break
        if stop["id"] is None:  # came to be after the page was opened
            focusable(page)
            stop = page.evaluate(_FOCUSED)
        stops.append(stop)
    return stops


def lands_in_main(page: Any) -> bool:
    """Whether a skip link led to the main part: it, or something in it, is the target."""
    return bool(
        page.evaluate(
            "(() => { const t = document.querySelector(':target') || document.activeElement;"
            " return !!t && (t.matches('main') || !!t.closest('main') || !!t.querySelector('main')); })()"
        )
    )


def wide(page: Any) -> list[str]:
    """What reaches beyond the right edge of the page, in the whole document and in no frame that scrolls."""
    return list(
        page.evaluate(
            """() => {
  const edge = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= edge + 1) return [];
  const framed = e => { for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
    if (getComputedStyle(p).overflowX !== "visible") return true; return false; };
  return [...document.body.querySelectorAll("*")].filter(e => !e.closest("svg svg, svg *")
    && e.getBoundingClientRect().right > edge + 1 && !framed(e)).map(e => e.outerHTML.slice(0, 80));
}"""
        )
    )


def cut_off(page: Any) -> list[str]:
    """Elements whose content does not fit and cannot be seen in print, where nothing scrolls."""
    return list(
        page.evaluate(
            """() => [...document.body.querySelectorAll("*")].filter(e => {
  const s = getComputedStyle(e);
  if (e.closest("svg") || !e.checkVisibility() || e.clientWidth <= 1 || e.clientHeight <= 1) return false;
  return (s.overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1)
      || (s.overflowY !== "visible" && e.scrollHeight > e.clientHeight + 1);
}).map(e => `${e.scrollWidth}x${e.scrollHeight} in ${e.clientWidth}x${e.clientHeight}: ${e.outerHTML.slice(0, 80)}`)"""
        )
    )


def shown_text(page: Any) -> str:
    """The words that are on the page, those of pictures too; closed details count, a reader can open them."""
    return str(page.evaluate("document.body.textContent"))


def small_words(page: Any, least: float) -> list[str]:
    """Words outside of pictures whose letters are smaller than `least` pixels."""
    return list(
        page.evaluate(
            """least => {
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), small = [];
  for (let n; (n = words.nextNode());) {
    const e = n.parentElement;
    if (!n.data.trim() || e.closest("svg,script,style") || !e.checkVisibility()) continue;
    const size = parseFloat(getComputedStyle(e).fontSize);
    if (size < least - 0.01) small.push(`${size}px: ${n.data.trim().slice(0, 60)}`);
  }
  return small;
}""",
            least,
        )
    )


def unnamed(page: Any) -> list[str]:
    """Pictures without a name for a screen reader, and tables without headers that say what they head."""
    return list(
        page.evaluate(
            """() => [
  ...[...document.querySelectorAll("svg")].filter(e => !e.parentElement.closest("svg")
    && !e.closest("[aria-hidden=true]") && !e.closest("button,a")
    && !e.closest("[role=img],[role=application],[role=group],[role=figure]")?.getAttribute("aria-label")
    && !e.closest("[aria-labelledby]") && !e.querySelector(":scope > title")),
  ...[...document.querySelectorAll("table")].filter(e => !e.querySelector("th")),
  ...[...document.querySelectorAll("th")].filter(e => e.textContent.trim() && !e.scope),
].map(e => e.outerHTML.slice(0, 80))"""
        )
    )
