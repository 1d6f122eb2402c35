"""The report of a study of affinity: `write_report(findings, directory)` makes one self-contained HTML page.

Each figure is one file that is named after it, a function from `Findings`; `answer.py` is the paragraph at the top.
"""

from .answer import answer
from .page import write_report

__all__ = ["answer", "write_report"]
