"""What the help of the commands shows beside their options: which belong together, and examples that can be typed."""

from __future__ import annotations

from collections.abc import Mapping

GROUPS: Mapping[str, tuple[str, ...]] = {
    "the main job": ("run", "resume"),
    "look at a run": ("show", "verify", "report", "graph", "trace", "compare", "dashboard", "cite"),
    "use what it has learned": ("predict", "export", "serve", "forget"),
    "which tasks help each other": ("affinity", "group"),
    "set up": ("init", "doctor", "completion"),
}
"""The commands of the top help, in its order. One that stands in none of them comes last, under "more"."""

EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "run": (
        ("pathways run letters.yaml --dry-run", "what it would take: candidates, time and disk; nothing is written"),
        ("pathways run letters.yaml --workers 2 --set strategy.munet.children=4", "with a setting of its own"),
    ),
    "resume": (
        ("pathways resume runs/letters", "after an interruption, a kill or a crash"),
        ("pathways resume runs/letters --workers 4", "with more workers, to the same champions"),
    ),
    "show": (
        ("pathways show runs/letters", "the table of tasks, champions and controls"),
        ("pathways show runs/letters --json", "the same for scripts, and more"),
    ),
    "verify": (("pathways verify runs/letters", "exit status 1 where anything differs, and the names of what does"),),
    "report": (("pathways report runs/letters", "writes report.html; names the file"),),
    "graph": (
        ("pathways graph runs/letters", "writes figures/graph.svg in the run directory"),
        ("pathways graph runs/letters --format png --out letters.png", "a picture for a talk"),
    ),
    "trace": (("pathways trace runs/letters", "what took the time, and the file that ui.perfetto.dev opens"),),
    "dashboard": (("pathways dashboard runs/letters", "writes an Optuna study and names the command that serves it"),),
    "compare": (
        ("pathways compare runs/quickstart:independent runs/quickstart", "champions against a control of their run"),
        (
            "pathways compare plain=runs/a-0,runs/a-1 tuned=runs/b-0,runs/b-1 --out tuned.html",
            "two ways to learn, each with two seeds, and a page of it",
        ),
    ),
    "cite": (
        ("pathways cite runs/letters", "BibTeX of what the run used, ready for a .bib file"),
        ("pathways cite runs/letters --json", "the same as data, with what each entry stands for"),
    ),
    "predict": (
        ("pathways predict runs/letters omniglot/Greek --input a.png b.png", "a label and its probability for each"),
        ("pathways predict runs/wine wine --input new.csv --json", "a table, with the columns the task was made of"),
    ),
    "export": (
        ("pathways export runs/letters omniglot/Greek --format pt2 --out greek.pt2", "a program for torch.export.load"),
        ("pathways export runs/letters omniglot/Greek --format onnx", "writes omniglot-Greek.onnx here"),
    ),
    "serve": (
        ("pathways serve runs/letters omniglot/Greek --port 8000", "then POST JSON to http://127.0.0.1:8000"),
        ("pathways serve runs/letters omniglot/Greek --ray --replicas 2", "several processes, behind Ray Serve"),
    ),
    "forget": (("pathways forget runs/letters omniglot/Greek", "`verify` proves that all others stay as they were"),),
    "affinity": (
        ("pathways affinity study.yaml --out runs/study --set affinity.seeds=5", "measure, choose, verify, report"),
    ),
    "group": (
        ("pathways group losses.csv --budget 3", "the best networks that cost at most 3 together"),
        ("pathways group pairs.csv --budget 4 --rule tag --json", "from a matrix of pairs, for scripts"),
    ),
    "init": (
        ("pathways init letters.yaml", "a configuration for the Omniglot data that ships, each key explained"),
        ("pathways init wine.yaml --from csv wine.csv", "one for a table of your own"),
    ),
    "doctor": (
        ("pathways doctor", "exit status 1 where something that is needed is broken"),
        ("pathways doctor runs/letters", "and whether that run directory can be used"),
    ),
    "completion": (
        ('eval "$(pathways completion bash)"', "in this shell; in ~/.bashrc for all"),
        ("pathways completion zsh", "or zsh, fish, tcsh"),
    ),
}
"""Of each command, lines that can be typed, each with what it gives."""

STATUSES = (
    ("0", "done"),
    ("1", "the answer is no: `verify` found what differs, `doctor` what is broken"),
    ("2", "bad input, or something that cannot be worked with; standard error has one sentence"),
    ("70", "a fault of this program: the sentence names the file with the traceback"),
    ("130", "interrupted; `resume` goes on"),
)
"""The exit statuses, which stay as they are."""


def examples_text(name: str) -> str:
    """The examples of a command as its help shows them; nothing where it has none."""
    lines = [f"  {line}\n      {what}" for line, what in EXAMPLES.get(name, ())]
    return "\n".join(["examples:", *lines]) if lines else ""


def statuses_text() -> str:
    """The exit statuses as the top help shows them."""
    return "\n".join(["exit status:", *(f"  {status:<4} {what}" for status, what in STATUSES)])
