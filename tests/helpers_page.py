"""A page as its markup is: whether it is whole, what it asks for, what it says."""

from html.parser import HTMLParser

VOID = ("meta", "link", "br", "img", "input", "hr")


class Page(HTMLParser):
    """What stands in a page; complains where an element is not closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.outside, self.open, self.words, self.headings = [], [], [], [], [], []
        self.elements, self.inside, self.aim = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.elements.append((tag, values))
        if tag not in VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        for name in ("src", "href", "xlink:href", "action", "poster", "data", "srcset"):
            value = values.get(name, "#") or "#"
            if value.startswith("#"):
                self.aim.append(value[1:])
            elif not value.startswith("data:image/png;base64,"):
                self.outside.append(value)
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        """What a reader reads, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def of(self, tag):
        """The attributes of all elements of a kind."""
        return [values for name, values in self.elements if name == tag]


def well_formed(text):
    """The page of `text`, after the checks that hold for all of ours."""
    page = Page(text)
    assert page.outside == []
    assert len(page.ids) == len(set(page.ids))
    assert {aim for aim in page.aim if aim} <= set(page.ids), "a link leads nowhere"
    assert page.tags.count("h1") == 1
    levels = [level for level in page.headings if level > 1]
    assert all(after <= before + 1 for before, after in zip([1, *levels], levels, strict=False)), levels
    assert page.of("html")[0]["lang"] == "en"
    assert page.tags.count("main") == 1
    for values in page.of("th"):
        assert values.get("scope") in ("row", "col"), values
    for values in page.of("svg"):
        assert values.get("role") != "img" or values["aria-label"].strip(), values
    named = {value for _, values in page.elements for value in values.get("aria-labelledby", "").split()}
    assert named <= set(page.ids)
    return page
