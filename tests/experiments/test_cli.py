"""The command line, from a small run to its errors."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers_cli import finished, written
from PIL import Image

from pathways.experiments.cli import main
from pathways.experiments.graph_views import VIEWS

CONFIG = """
name: small
root: {architecture: [{family: flatten}, {family: linear, dim: 12}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3]]}
training: {steps: 6, batch: 16}
strategy: {munet: {generations: 1, children: 2, probes: 1}}
controls: [independent, fine-tune]
"""
HEAVY = ("torch", "matplotlib", "sqlalchemy", "numpy", "yaml", "networkx")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return written(tmp_path_factory, CONFIG)


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    return finished(tmp_path_factory, config)


def said(capsys, *arguments, status=0):
    assert main([str(argument) for argument in arguments]) == status
    captured = capsys.readouterr()
    return captured.out if status in (0, 1) else captured.err


def in_child(*arguments, **more):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pathways.experiments.cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **more)


def test_help_imports_nothing_heavy():
    program = (
        "import sys\nfrom pathways.experiments.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("run", "resume", "show", "verify", "predict", "graph", "report", "dashboard", "export", "forget"):
        assert command in done.stdout


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("pathways ")


def test_a_run_prints_its_table_and_where_things_are(config, run, capsys):
    out = said(capsys, "run", config, "--out", run, "--quiet")
    for words in ("champion", "independent", "fine-tune", "forgetting 0.0", "root included", str(run / "report.html")):
        assert words in out
    assert (run / "report.html").exists()


def test_an_equal_configuration_goes_on_without_training_again(config, run, capsys):
    before = json.loads(said(capsys, "show", run, "--json"))
    after = json.loads(said(capsys, "run", config, "--out", run, "--quiet", "--json", "--workers", 1))
    assert after == before
    assert json.loads(said(capsys, "resume", run, "--quiet", "--json")) == before
    assert before["tasks"][0]["candidates"] == 3
    assert set(before["sides"]) == {"champions", "independent", "fine-tune"}


def test_another_configuration_is_refused_by_its_key(config, run, capsys):
    err = said(capsys, "run", config, "--out", run, "--set", "training.steps=7", status=2)
    assert err.startswith("pathways: error: ")
    assert "`training.steps` was 6 and is 7" in err
    assert err.count("\n") == 1


def test_a_directory_with_other_files_is_refused(config, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("precious")
    assert "'thesis.txt'" in said(capsys, "run", config, "--out", tmp_path, status=2)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_a_dry_run_says_what_it_takes_and_writes_nothing(config, tmp_path, capsys):
    out = tmp_path / "none"
    expected = json.loads(said(capsys, "run", config, "--out", out, "--dry-run", "--json"))
    assert expected["sides"]["munet"]["candidates"] == 2 * (1 + 2)
    assert expected["sides"]["independent"] == pytest.approx(expected["sides"]["fine-tune"])
    assert expected["steps"] == 6 * (6 + 2 + 2)
    assert expected["disk_peak"] > expected["disk"] > 0
    assert "10 " not in said(capsys, "run", config, "--out", out, "--dry-run").splitlines()[0]
    assert not out.exists()


def test_a_dry_run_of_pathnet_counts_its_tournaments(config, capsys):
    pathnet = "strategy={pathnet: {preset: pathnet-2017-text, generations: 7}}"
    more = ["--set", pathnet, "--set", "root=null", "--set", "controls=[random-path]"]
    expected = json.loads(said(capsys, "run", config, "--dry-run", "--json", *more))
    assert expected["sides"]["pathnet"]["candidates"] == 2 * 7 * 2, "two tasks, seven tournaments of two"
    assert expected["sides"]["pathnet"]["steps"] == 2 * 7 * 2 * 50
    assert expected["seconds"] is None, "there is no root to say what a path costs"


def test_a_dry_run_is_an_upper_bound(config, run, capsys):
    expected = json.loads(said(capsys, "run", config, "--dry-run", "--json"))
    done = json.loads(said(capsys, "show", run, "--json"))
    for side, name in (("champions", "munet"), ("independent", "independent")):
        assert done["sides"][side]["candidates"] <= expected["sides"][name]["candidates"]
    size = sum(file.stat().st_size for file in (run / "pool").rglob("*.safetensors"))
    assert size <= 4 * expected["disk"]


def test_verify_and_what_it_says_of_damage(run, tmp_path, capsys):
    import shutil

    assert "bit for bit" in said(capsys, "verify", run)
    report = json.loads(said(capsys, "verify", run, "--json"))
    assert (report["ok"], report["tasks"], report["differs"]) == (True, 2, [])
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    manifest = json.loads(next((copy / "tasks").iterdir()).read_text())
    blob = manifest["path"]["steps"]["head"]["modules"][0]["frozen"]
    [file] = (copy / "pool").rglob(f"{blob}*")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    damaged = json.loads(said(capsys, "verify", copy, "--json", status=1))
    assert not damaged["ok"]
    assert {"task": manifest["task"], "module": blob} == {k: damaged["differs"][0][k] for k in ("task", "module")}
    assert manifest["task"] in said(capsys, "verify", copy, status=1)


@pytest.mark.parametrize("format", ["svg", "png", "html", "graphml"])
def test_graph(run, capsys, format):
    assert os.path.getsize(said(capsys, "graph", run, "--format", format).strip()) > 500


@pytest.mark.parametrize("view", [name for name, view in VIEWS.items() if not view.needs])
def test_every_view_is_drawn_in_each_of_its_formats(run, capsys, tmp_path, view):
    for format in VIEWS[view].formats:
        out = tmp_path / f"{view}.{format}"
        assert said(capsys, "graph", run, "--view", view, "--format", format, "--out", out).strip() == str(out)
        assert out.stat().st_size > 500


def test_a_graph_of_some_tasks_and_modules(run, capsys, tmp_path):
    out = tmp_path / "graph.json"
    some = ("--task", "digits/2*", "--shared", "1", "--highlight", "2-3", "--format", "json", "--out", out)
    said(capsys, "graph", run, *some)
    assert json.loads(out.read_text())["tasks"] == [{"name": "digits/2-3", "place": 1}]
    nobody = said(capsys, "graph", run, "--task", "nobody", status=2)
    assert "`--task` must fit a task of the graph, found 'nobody'; its 2 tasks are digits/0-1, digits/2-3" in nobody
    assert "`--highlight` must fit" in said(capsys, "graph", run, "--highlight", "nobody", status=2)
    assert "`--shared` must be at least 1, found 0" in said(capsys, "graph", run, "--shared", "0", status=2)
    refused = said(capsys, "graph", run, "--view", "growth", "--format", "graphml", status=2)
    assert "`--format` must be one of ['svg', 'png', 'gif'] with `--view growth`, found 'graphml'" in refused


def test_report_and_dashboard(run, capsys):
    assert said(capsys, "report", run).strip() == str(run / "report.html")
    out = said(capsys, "dashboard", run)
    assert "optuna-dashboard" in out
    assert os.path.exists(out.splitlines()[0])


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Five digits 0 and 1 as stored (0 to 16), in every form that `predict` reads."""
    from pathways import data

    folder = tmp_path_factory.mktemp("samples")
    task = data.load("digits_tasks", groups=[[0, 1]])[0]
    [(name, images)] = task.splits["test"].inputs.items()
    images = images[:5]
    np.savez(folder / "five.npz", **{name: images.numpy()})
    rows = images.reshape(5, -1).numpy()
    np.savetxt(folder / "five.csv", rows, delimiter=",", header=",".join(f"p{i}" for i in range(64)), comments="")
    for i, image in enumerate(images):
        pixels = (image[0].numpy().astype(float) / 16 * 255).round().astype("uint8")
        Image.fromarray(pixels).save(folder / f"{i}.png")
        Image.fromarray(255 - pixels).save(folder / f"inverted{i}.png")
    return folder, task


def test_predict_gives_the_same_answers_for_every_form(run, samples, capsys):
    folder, task = samples
    answers = [
        json.loads(said(capsys, "predict", run, task.name, "--json", *more, "--input", *files))
        for files, more in [
            ([folder / "five.npz"], []),
            ([folder / "five.csv"], []),
            ([folder / f"{i}.png" for i in range(5)], []),
            ([folder / f"inverted{i}.png" for i in range(5)], ["--invert"]),
            ([folder / f"{i}.png" for i in range(5)], ["--white", 16]),
        ]
    ]
    for answer in answers:
        assert [a["label"] for a in answer] == [a["label"] for a in answers[0]]
        assert [a["probability"] for a in answer] == pytest.approx([a["probability"] for a in answers[0]], abs=0.02)
        assert all(0.5 <= a["probability"] <= 1 for a in answer)


def test_predict_can_show_more_classes(run, samples, capsys):
    folder, task = samples
    [first, *_] = json.loads(
        said(capsys, "predict", run, task.name, "--json", "--top", 2, "--input", folder / "five.npz")
    )
    assert sum(a["probability"] for a in first["top"]) == pytest.approx(1)
    assert len(said(capsys, "predict", run, task.name, "--input", folder / "five.npz").splitlines()) == 5


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("a.csv", "1,2\n", "row 1 must hold 64 numbers, found 2 columns"),
        ("a.csv", "x,y\n", "at least one row"),
        ("a.csv", ",".join(["1"] * 64) + "\n" + ",".join(["1"] * 63 + ["x"]), "row 2 must hold 64 numbers, found 'x'"),
        ("a.npz", "junk", "must be an .npz file"),
        ("a.png", "junk", "must be an image"),
        ("none.csv", None, "cannot be read"),
    ],
)
def test_predict_refuses_what_it_cannot_read(run, samples, tmp_path, capsys, file, content, words):
    if content is not None:
        (tmp_path / file).write_text(content)
    err = said(capsys, "predict", run, samples[1].name, "--input", tmp_path / file, status=2)
    assert words in err
    assert file in err
    assert err.count("\n") == 1


def test_predict_names_the_tasks_there_are(run, samples, capsys):
    err = said(capsys, "predict", run, "digits/9", "--input", samples[0] / "0.png", status=2)
    assert samples[1].name in err


def test_export_and_forget(run, samples, tmp_path, capsys):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    name = samples[1].name
    out = tmp_path / "alone.safetensors"
    assert said(capsys, "export", copy, name, "--format", "safetensors", "--out", out).strip() == str(out)
    assert out.stat().st_size > 0
    assert "1 tasks are left" in said(capsys, "forget", copy, name)
    assert name not in [task["name"] for task in json.loads(said(capsys, "show", copy, "--json"))["tasks"]]
    assert "bit for bit" in said(capsys, "verify", copy)
    said(capsys, "resume", copy, "--quiet")
    left = json.loads(said(capsys, "show", copy, "--json"))
    assert [task["name"] for task in left["tasks"]] == ["digits/2-3"], "what was forgotten stays forgotten"
    assert left["sides"]["independent"]["candidates"] == 1


def test_a_run_that_began_on_a_cluster_goes_on_here(config, tmp_path, capsys):
    far = "engine={kind: ray, address: auto, cpus_per_worker: 0.5, patience: 5}"
    words = ["run", config, "--out", tmp_path / "none", "--set", far, "--engine", "local", "--dry-run", "--json"]
    assert json.loads(said(capsys, *words))["steps"] > 0
    assert "`--address`" in said(capsys, *words, "--address", "auto", status=2)


BAD = [
    (["run", "none.yaml"], "none.yaml: the file cannot be read"),
    (["show", "none"], "none"),
    (["resume", "none"], "found no `system.json` in none"),
    (["run", "CONFIG", "--set", "tasks.0.groups=[[0, 99]]"], "`tasks.0`"),
    (["run", "CONFIG", "--set", "tasks=[wine, wine]"], "again"),
    (["run", "CONFIG", "--set", "tasks=[wien]"], "'wine'"),
    (["run", "CONFIG", "--set", "root={architecture: [{family: lineer}]}"], "'lineer'"),
    (["run", "CONFIG", "--engine", "cloud"], "`kind`"),
    (["run", "CONFIG", "--workers", "-2"], "-2"),
    (["run", "CONFIG", "--device", "tpu"], "`--device`"),
    (["run", "CONFIG", "--families", "no.such:Thing"], "`--families`"),
    (["run", "CONFIG", "--set", "fingerprints={other: abc}"], "'other'"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD)
def test_bad_input_is_one_sentence_and_writes_nothing(config, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    err = said(capsys, *[config if a == "CONFIG" else a for a in arguments], status=2)
    assert err.startswith("pathways: error: ")
    assert words in err
    assert err.count("\n") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "arguments", [["bogus"], [], ["run"], ["graph", "x", "--format", "bmp"], ["run", "a", "--wrokers", "2"]]
)
def test_bad_arguments_are_one_sentence(capsys, arguments):
    err = said(capsys, *arguments, status=2)
    assert err.startswith("pathways: error: ")
    assert err.count("\n") == 1


def test_changed_data_is_refused_by_the_task_that_changed(run, tmp_path, capsys):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    file = copy / "config.yaml"
    text = file.read_text()
    name = next(line for line in text.splitlines() if line.strip().startswith("digits/"))
    file.write_text(text.replace(name, f"{name.split(':')[0]}: {'0' * 64}"))
    err = said(capsys, "resume", copy, "--quiet", status=2)
    assert "changed" in err
    assert name.split(":")[0].strip() in err


def test_an_interrupted_run_says_how_to_go_on_and_does(config, run, tmp_path, capsys):
    out = tmp_path / "stopped"
    with in_child("run", config, "--out", out) as child:
        for _ in range(600):
            if (out / "ledger.db").exists():
                break
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    if child.returncode == 0:
        pytest.skip("the run was faster than the signal")
    assert child.returncode == 130
    assert f"go on with `pathways resume {out}`" in err
    resumed = json.loads(said(capsys, "resume", out, "--quiet", "--json"))
    assert resumed["fingerprint"] == json.loads(said(capsys, "show", run, "--json"))["fingerprint"]


def test_an_interrupt_inside_code_made_from_text_has_the_same_status(tmp_path):
    """As where a dataclass is being defined: CPython would end such a process by the signal, whatever it returns."""
    program = (
        "import sys\nfrom argparse import Namespace\nfrom types import SimpleNamespace\n"
        "from pathways.experiments import cli\n"
        "options = Namespace(command_function=lambda options: exec('raise KeyboardInterrupt'))\n"
        "cli.parser = lambda: SimpleNamespace(parse_args=lambda arguments: options)\n"
        "sys.exit(cli.main([]))"
    )
    (tmp_path / "interrupted.py").write_text(program)
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "\npathways: interrupted\n")


def test_a_reader_that_stops_early_is_no_error(run):
    with in_child("show", run, "--json") as child:
        child.stdout.close()
        child.stdout = None
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
