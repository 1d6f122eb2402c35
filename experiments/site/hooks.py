"""What `mkdocs.yml` calls while it builds the site: pages from code, links to files outside `docs`, figures inlined.

What is made from code (tables of the command line and of configurations) is made anew by every build and never stale.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changes.md"}
"""Documents at the top level that are pages of the site too."""

WIDE = ("index.md", "gallery.md")
"""Pages that are all of their tab, and take the room of its list."""

INLINED = re.compile(r'<img alt="([^"]*)" src="((?:\.\./)*figures/(?!families/)[\w./-]+\.svg)"[^>]*/?>')
_PIECES: dict[str, list[str]] = {}  # of the build under way: by page, what notebooks' cells gave
_LINK = re.compile(r"(\]\()((?:\.\./)+|)([\w./-]+)(#[\w-]*)?(?=[)\s])")


def on_config(config: Any) -> Any:
    """List the notebooks that there are under their heading."""
    for entry in config.nav:
        if "Notebooks" in entry:
            entry["Notebooks"] = [{title_of(file): f"notebooks/{file.stem}.md"} for file in notebooks()]
    return config


def on_files(files: Any, *, config: Any) -> Any:
    """Add the documents at the top level, the notebooks, and the colours of light and dark."""
    from mkdocs.structure.files import File

    from pathways.experiments.site import notebook

    for name, text in outside_pages().items():
        files.append(File.generated(config, name, content=text))
    files.append(File.generated(config, "assets/theme.css", content=theme_css()))
    for name, file in sources(config.docs_dir).items():
        files.append(File.generated(config, name, abs_src_path=str(file)))
    for file in notebooks():
        place = f"notebooks/{file.stem}.md"
        text, _PIECES[place] = notebook.page_of(json.loads(file.read_text(encoding="utf-8")), file.name)
        files.append(File.generated(config, place, content=text))
        files.append(File.generated(config, f"notebooks/{file.name}", abs_src_path=str(file)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Fill in what is made from code, and send links that leave `docs` to where their targets stand in the site."""
    from pathways.experiments.site import reference

    if page.file.src_uri in WIDE:
        page.meta["hide"] = ["navigation"]
    elif page.file.src_uri.startswith("notebooks/"):
        page.meta["hide"] = ["toc"]  # figures take its room
    return redirected(reference.filled(markdown), page.file.src_uri)


def on_page_content(html: str, *, page: Any, config: Any, files: Any) -> str:
    """Put SVG figures into the page itself, so that their colours follow light and dark."""
    from pathways.experiments.site.notebook import filled

    html = filled(html, _PIECES.get(page.file.src_uri, []))
    return with_figures(html, Path(config.docs_dir) / Path(page.file.src_uri).parent)


# -- what they are made of ----------------------------------------------------------------------------------


def outside_pages() -> dict[str, str]:
    """By place in the site, documents of the top level, their links as seen from `docs`."""
    found = {}
    for name, place in PAGES.items():
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        found[place] = re.sub(r"\]\(docs/", "](", text)
    return found


def notebooks() -> Iterator[Path]:
    """Each notebook: the copy that was run, in build/notebooks, where there is one, else as it is in git."""
    for file in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        run = REPOSITORY / "build" / "notebooks" / file.name
        yield run if run.exists() else file


def title_of(notebook: Path) -> str:
    """The first heading of a notebook, or its name."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        found = re.search(r"^# (.+)", "".join(cell["source"]), re.M) if cell["cell_type"] == "markdown" else None
        if found:
            return found.group(1)
    return notebook.stem


def outside(markdown: str, page: str) -> Iterator[tuple[str, Path]]:
    """The links of a page that leave `docs`, each with the file it leads to."""
    for _, up, rest, _ in _LINK.findall(markdown):
        if up.count("../") > page.count("/"):
            yield up + rest, REPOSITORY / rest


def sources(docs: str | Path) -> dict[str, Path]:
    """By place in the site, the files outside `docs` that its pages link, other than pages."""
    found = {}
    for file in sorted(Path(docs).rglob("*.md")):
        for _, target in outside(file.read_text(encoding="utf-8"), file.relative_to(docs).as_posix()):
            name = target.relative_to(REPOSITORY).as_posix()
            if name not in PAGES and not name.endswith(".ipynb"):
                found[f"files/{name}"] = target
    return found


def redirected(markdown: str, page: str) -> str:
    """The page with links that leave `docs` to where the site has their targets.

    >>> redirected("[how](../CONTRIBUTING.md#habits), [what](../experiments/quickstart.yaml)", "systems.md")
    '[how](contributing.md#habits), [what](files/experiments/quickstart.yaml)'
    >>> redirected("[how](../../CONTRIBUTING.md)", "how-to/own-task.md")
    '[how](../contributing.md)'
    """
    depth = page.count("/")

    def moved(match: re.Match[str]) -> str:
        before, up, rest, anchor = match.groups()
        if up.count("../") <= depth:
            return match.group()
        place = PAGES.get(rest, re.sub(r"ipynb$", "md", rest) if rest.startswith("notebooks/") else f"files/{rest}")
        return f"{before}{'../' * depth}{place}{anchor or ''}"

    return _LINK.sub(moved, markdown)


def with_figures(html: str, folder: Path) -> str:
    """A page whose SVG figures, other than those of families, stand in it with the page's colours."""
    from pathways.canvas import inline

    def figure(match: re.Match[str]) -> str:
        label, source = match.groups()
        if not (folder / source).is_file():  # of which the build warns
            return match.group()
        name = re.sub(r"\W+", "-", Path(source).stem)
        svg = inline((folder / source).read_bytes(), name)
        tag, rest = svg.split(">", 1)
        tag = re.sub(r"""\s(?:role|aria-label)=("[^"]*"|'[^']*')""", "", tag)
        label = escape(label, quote=True).replace("&amp;", "&")
        tag = tag.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
        return f'<span class="figure" data-search-exclude>{tag}>{rest}</span>'

    return INLINED.sub(figure, html)


def theme_css() -> str:
    """The variables of `pathways.theme` for the site's two schemes."""
    from pathways.theme import DARK, LIGHT

    def block(scheme: str, colours: Mapping[str, str]) -> str:
        variables = ";".join(f"--{name}:{colour}" for name, colour in colours.items())
        return f"[data-md-color-scheme={scheme}]{{{variables}}}\n"

    return block("default", LIGHT) + block("slate", DARK) + "@media print{" + block("slate", LIGHT).strip() + "}\n"
