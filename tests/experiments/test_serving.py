"""A task's path as a service: what it takes, what it gives, and what it says of mistakes; no Ray is needed here."""

import base64
import json
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch
from helpers_tiny import TRAINING
from PIL import Image as Picture

from pathways import System, data
from pathways.evolve import Independent
from pathways.experiments.cli import main
from pathways.experiments.samples_json import joined, samples_of
from pathways.experiments.serve_plain import plain_server
from pathways.experiments.serving import Asked, Reply, Served, reply_to
from pathways.modules import Draft, Ids, Masked, ModuleSpec
from pathways.path import Path, Step
from pathways.task import Classes, Split, Task


def learned(directory, task, *chain):
    steps, last = {}, next(iter(task.inputs))
    for i, (family, config) in enumerate(chain):
        steps[f"s{i}"] = Step((Draft(f"s{i}", ModuleSpec(family, config)),), (last,))
        last = f"s{i}"
    with System.create(directory, root=Path(task.inputs, steps, last), training=TRAINING) as system:
        system.learn(task, Independent(training={"steps": 40, "lr": 0.02}))
    return Served.load(directory, task.name)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def pictures(home):
    rng = np.random.default_rng(0)
    for i in range(30):
        (home / "tones" / ("dark", "light")[i % 2]).mkdir(parents=True, exist_ok=True)
        low = 120 * (i % 2)
        Picture.fromarray(rng.integers(low, low + 130, (4, 6), dtype=np.uint8)).save(
            home / "tones" / ("dark", "light")[i % 2] / f"{i:02}.png"
        )
    task = data.from_image_folder(home / "tones", size=[4, 6], channels=1)
    return learned(home / "images", task, ("flatten", {}), ("linear", {"dim": 6}))


@pytest.fixture(scope="module")
def rows(home):
    lines = [f"{i % 60},{('Bern', 'Oslo', 'Rome')[i % 3]},{1000 + 20 * (i % 60)}" for i in range(90)]
    (home / "prices.csv").write_text("\n".join(["age,town,price", *lines]) + "\n")
    [task] = data.csv(home / "prices.csv", "price", "prices", missing="mean", allow_duplicates=True)
    return learned(home / "table", task, ("linear", {"dim": 6}))


@pytest.fixture(scope="module")
def words(home):
    """Sequences of ids of any length."""
    generator = torch.Generator().manual_seed(0)
    splits = {}
    for which in ("train", "validation", "test"):
        ids = torch.randint(0, 9, (24, 5), generator=generator)
        lengths = torch.arange(24) % 5 + 1
        splits[which] = Split({"x": Masked(ids, torch.arange(5) < lengths[:, None])}, torch.arange(24) % 2)
    task = Task("words", {"x": Ids(None, 9)}, Classes(2), splits, allow_duplicates=True)
    return learned(home / "words", task, ("embed", {"dim": 4}), ("pool", {}))


def asked(served, samples, status=200, **more):
    reply = reply_to(served, "POST", "/predict", json.dumps({"samples": samples, **more}).encode())
    assert reply.status == status, reply.data
    return reply.data if status == 200 else reply.data["error"]


def encoded(file):
    return base64.b64encode(file.read_bytes()).decode()


def test_images_come_as_files_or_as_stored_numbers(pictures, home):
    files = sorted((home / "tones").rglob("*.png"))[:20]
    stored = data.read_images(files, pictures.record.pictures["image"])
    with System.open(home / "images") as system:
        expected = system.predict("tones", stored)
    found = [
        asked(pictures, [encoded(file) for file in files], top=2),
        asked(pictures, ["data:image/png;base64," + encoded(file) for file in files], top=2),
        asked(pictures, stored.tolist(), top=2),
        asked(pictures, stored[:, 0].tolist(), top=2),
        asked(pictures, [{"image": image} for image in stored.tolist()], top=2),
    ]
    assert all(each == found[0] for each in found)
    for answer, row in zip(found[0]["answers"], expected.tolist(), strict=True):
        assert {each["label"]: each["probability"] for each in answer["top"]} == pytest.approx(
            dict(zip(("dark", "light"), row, strict=True)), abs=1e-6
        )
        assert answer["label"] == answer["top"][0]["label"]


def test_rows_come_by_column_in_the_units_of_the_table(rows, home):
    found = asked(rows, [{"age": 30, "town": "Rome", "note": "x"}, {"town": "Paris", "age": None}])
    first, second = (answer["values"]["price"] for answer in found["answers"])
    assert found["notes"] == ["sample 1 has 'Paris' in column 'town', which training did not have: "
                              "it counts as no category."]
    age = rows.record.columns["features"].columns[0].mean
    stored = asked(rows, [[30.0, 0.0, 0.0, 1.0], [age, 0.0, 0.0, 0.0]])
    assert [answer["values"]["price"] for answer in stored["answers"]] == pytest.approx([first, second], rel=1e-5)
    assert asked(rows, [{"features": [30.0, 0.0, 0.0, 1.0]}])["answers"][0]["values"]["price"] == pytest.approx(first)
    assert first > 500, "in the units of the table, not standardised"


def test_sequences_have_any_length(words, home):
    one, two = [1, 2, 3], [4]
    together = asked(words, [one, two])["answers"]
    alone = [asked(words, [each])["answers"][0] for each in (one, two)]
    assert [answer["label"] for answer in together] == [answer["label"] for answer in alone]
    assert [answer["probability"] for answer in together] == pytest.approx([a["probability"] for a in alone], abs=1e-6)


def test_requests_that_run_as_one_are_answered_as_alone(pictures, rows, words):
    cases = [
        (pictures, [[np.full((4, 6), value).tolist()] * n for value, n in ((10, 1), (200, 3), (90, 2))]),
        (rows, [[{"age": age, "town": "Bern"}] * n for age, n in ((10, 2), (50, 1))]),
        (words, [[[1, 2]], [[3, 4, 5, 6], [7]]]),
    ]
    for served, requests in cases:
        many = [served.asked(json.dumps({"samples": samples}).encode()) for samples in requests]
        outputs = served.computed(many)
        for ask, samples, output in zip(many, requests, outputs, strict=True):
            assert ask.samples == len(samples) == len(output)
            together = served.replied(ask, output).data["answers"]
            alone = asked(served, samples)["answers"]
            for one, other in zip(together, alone, strict=True):
                assert one.get("label") == other.get("label")
                values = [each.get("values", {"p": each.get("probability")}) for each in (one, other)]
                assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_the_task_describes_itself_and_its_example_is_taken(pictures, rows):
    said = reply_to(rows, "GET", "/task").data
    assert said["sample"] == {"age": pytest.approx(29.5, abs=5), "town": "Bern"}
    assert asked(rows, [said["sample"]])["answers"]
    assert (said["target"]["kind"], said["output"], said["metric"]) == ("values", "values", "r2")
    image = reply_to(pictures, "GET", "/task").data
    assert image["target"]["names"] == ["dark", "light"]
    assert image["pictures"]["image"]["fit"] == "pad"
    assert reply_to(pictures, "GET", "/healthz").data == {"ok": True, "task": "tones"}
    for served in (pictures, rows):
        json.loads(reply_to(served, "GET", "/task").body)


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/", 404), ("GET", "/nothing", 404), ("GET", "/predict", 405), ("POST", "/task", 405),
    ("GET", "/task/", 200), ("POST", "/healthz", 405),
])  # fmt: skip
def test_paths_and_methods(pictures, method, path, status):
    assert reply_to(pictures, method, path).status == status


@pytest.mark.parametrize(("body", "words"), [
    (b"", "a request must be JSON"),
    (b"\xff", "a request must be JSON"),
    (b"[" * 100_000, "a request must be JSON"),
    (b"[]", 'a request must be {"samples": [...]}'),
    (b'{"samples": 3}', 'a request must be {"samples": [...]}'),
    (b'{"samples": [], "k": 1}', 'a request must be {"samples": [...]}'),
    (b'{"samples": []}', "`samples` must hold at least one sample"),
    (b'{"samples": [[]], "top": 0}', "`top` must be a whole number of at least 1"),
    (b'{"samples": [[]], "top": true}', "`top` must be a whole number of at least 1"),
    (json.dumps({"samples": [0] * 5000}).encode(), "`samples` must be at most 4096"),
])  # fmt: skip
def test_a_request_that_is_none_is_400_and_one_sentence(pictures, body, words):
    reply = reply_to(pictures, "POST", "/predict", body)
    assert reply.status == 400
    assert words in reply.data["error"]
    assert "\n" not in reply.data["error"]


GREY = np.zeros((4, 6)).tolist()


@pytest.mark.parametrize(("samples", "words"), [
    ([GREY, [[1, 2], [3]]], "sample 1 must be nested lists of numbers of shape (1, 4, 6) for input 'image', all rows"),
    ([GREY, [1, 2]], "sample 1 must be finite numbers of shape (1, 4, 6) for 'image', found shape (2)"),
    ([[[float("nan")] * 6] * 4], "sample 0 must be finite numbers of shape (1, 4, 6) for 'image', found NaN"),
    ([GREY, "no image"], "sample 1 must be an image file in base64"),
    ([base64.b64encode(b"text").decode()], "sample 0 must be a whole image file in base64"),
    ([{"picture": GREY}], "sample 0 must have a value for each of ['image'], found ['picture']"),
    ([None], "sample 0 must be nested lists"),
])  # fmt: skip
def test_images_that_do_not_fit_are_named_by_their_place(pictures, samples, words):
    error = asked(pictures, samples, status=400)
    assert words in error
    assert "\n" not in error


def test_a_small_file_that_stands_for_a_huge_image_is_refused(pictures, tmp_path):
    Picture.new("1", (9000, 9000)).save(tmp_path / "a.png")
    assert "at most 50,000,000 pixels" in asked(pictures, [encoded(tmp_path / "a.png")], status=400)


@pytest.mark.parametrize(("samples", "words"), [
    ([{"age": 3}], "sample 0 must have 'town', found ['age']: give all of ['age', 'town'], null where"),
    ([{"age": 3, "town": "Bern"}, {"age": "old", "town": "Bern"}], "sample 1 must have a number in column 'age'"),
    ([{"age": [3], "town": "Bern"}], "sample 0 must have a number or a text in column 'age', found [3]"),
    ([{"age": 3, "town": "Bern"}, [1.0]], "sample 0 must have a value for each of ['features']"),
    (["text"], "sample 0 must be nested lists of numbers for input 'features', found a text"),
    ([[1.0, 2.0]], "sample 0 must be finite numbers of shape (4) for 'features', found shape (2)"),
])  # fmt: skip
def test_rows_that_do_not_fit_are_named_by_their_place(rows, samples, words):
    assert words in asked(rows, samples, status=400)


def test_ids_out_of_range_are_refused(words):
    assert "must hold whole ids from 0 to 8" in asked(words, [[1, 99]], status=400)
    assert "must hold whole ids from 0 to 8" in asked(words, [[1.5]], status=400)


def test_answers_that_are_no_numbers_are_refused(rows):
    wrong = Asked(samples_of(rows.record, [[0.0] * 4])[0])
    assert rows.replied(wrong, torch.tensor([[float("nan")]])).status == 400


def test_one_request_is_joined_as_it_is(rows):
    [inputs, _] = samples_of(rows.record, [[0.0] * 4])
    assert joined(rows.record, [inputs]) == inputs


# -- the server of the standard library ---------------------------------------------------------------------------


@pytest.fixture
def url(pictures):
    with plain_server(pictures, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def fetched(url, body=None):
    try:
        with urllib.request.urlopen(url, data=body, timeout=60) as reply:
            assert reply.headers["Content-Type"].startswith("application/json")
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_the_plain_server_answers(pictures, url):
    body = json.dumps({"samples": [GREY]}).encode()
    assert fetched(f"{url}/predict", body) == (200, reply_to(pictures, "POST", "/predict", body).data)
    assert fetched(f"{url}/healthz?x=1") == (200, {"ok": True, "task": "tones"})
    status, said = fetched(f"{url}/predict", b"no")
    assert (status, said["error"].startswith("a request must be JSON")) == (400, True)
    assert fetched(f"{url}/none")[0] == 404


def test_many_clients_at_once_get_their_own_answers(pictures, url):
    requests = [json.dumps({"samples": [np.full((4, 6), 8 * i).tolist()]}).encode() for i in range(16)]
    expected = [reply_to(pictures, "POST", "/predict", body).data for body in requests]
    found = [None] * 16

    def ask(i):
        found[i] = fetched(f"{url}/predict", requests[i])[1]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_too_large_a_request_is_refused_unread(url):
    request = urllib.request.Request(f"{url}/predict", data=b"x", headers={"Content-Length": "99999999999"})
    status, said = fetched(request)
    assert status == 413
    assert "at most" in said["error"]


def test_what_nobody_expected_is_status_500(pictures, url, monkeypatch):
    monkeypatch.setattr(Served, "described", lambda self: 1 / 0)
    assert fetched(f"{url}/task") == (500, {"error": "ZeroDivisionError: division by zero"})


def test_the_command_refuses_in_one_sentence(home, pictures, capsys, url, monkeypatch):
    port = url.rpartition(":")[2]
    for arguments, words in [
        (["serve", home / "images", "tones", "--port", port], "must be free to listen at"),
        (["serve", home / "images", "none"], "`task` must be one that was learned"),
        (["serve", home / "nothing", "tones"], "nothing"),
    ]:
        assert main(list(map(str, arguments))) == 2
        err = capsys.readouterr().err
        assert words in err
        assert err.count("\n") == 1
    monkeypatch.setattr("pathways.experiments.serve_ray.find_spec", lambda name: None)
    assert main(["serve", str(home / "images"), "tones", "--ray"]) == 2
    assert "needs Ray Serve" in capsys.readouterr().err


def test_the_command_serves_until_it_is_interrupted(home, pictures, capsys, monkeypatch):
    from http.server import ThreadingHTTPServer

    def interrupted(self, poll_interval=0.5):
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", interrupted)
    assert main(["serve", str(home / "images"), "tones", "--port", "0"]) == 0
    assert "serving tones at http://127.0.0.1:" in capsys.readouterr().out


def test_replies_are_json_that_all_readers_take():
    assert Reply(200, {"a": "ü"}).body == '{"a": "ü"}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        _ = Reply(200, {"a": float("nan")}).body
