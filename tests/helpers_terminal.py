"""What the tests of progress share: a stream that says it is a terminal, and a clock that is set."""

import io


class Terminal(io.StringIO):
    """A terminal, as far as who writes to it can tell."""

    def isatty(self):
        return True


class Clock:
    """Seconds that go on when a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now
