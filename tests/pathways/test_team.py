from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from team_cases import A, B, cases, joint, odd, trainer_in
from tiny import candidate, chain, head, linear

from pathways.candidate import Candidate, Result
from pathways.engine import Dispatch
from pathways.errors import ConfigError, TeamError
from pathways.modules import Vector
from pathways.recording import Record
from pathways.stack_plan import plan
from pathways.trainer.divided import Divided
from pathways.trainer.rank import free_address, train_rank
from pathways.trainer.team import Team, share_of
from pathways.trainer.team_link import interface_to

HERE = FilePath(__file__).parent
MLP = chain(Vector(4), linear("body", 16), head())


def settled(result: Result) -> Result:
    """What of a result does not depend on the clock."""
    return replace(result, seconds=0.0, cpu_seconds=0.0)


@contextmanager
def ranks(numbers: list[int], folder: FilePath, *arguments: str, program: str = "team_cases.py") -> Iterator[Any]:
    """Processes that are the other ranks; all must end well, and what they say is shown."""
    started = [
        subprocess.Popen([sys.executable, "-W", "error", str(HERE / program), str(n), str(folder / str(n)), *arguments],
                         cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for n in numbers
    ]  # fmt: skip
    try:
        yield started
    except BaseException:
        for process in started:
            process.kill()
            print(process.communicate()[0])
        raise
    for process in started:
        said, _ = process.communicate(timeout=90)
        assert process.returncode == 0, said


# -- the parts of a batch -----------------------------------------------------------------------------------


@given(st.integers(0, 300), st.integers(1, 40))
def test_parts_cover_a_batch_in_order_and_differ_by_one_at_most(n: int, size: int) -> None:
    cuts = [share_of(n, size, part) for part in range(size)]
    assert [i for cut in cuts for i in range(n)[cut]] == list(range(n))
    lengths = [cut.stop - cut.start for cut in cuts]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] - lengths[-1] <= 1


@settings(deadline=None)
@given(st.integers(1, 17), st.integers(2, 5))
def test_gradients_of_the_parts_add_up_to_that_of_the_batch(n: int, size: int) -> None:
    model = torch.nn.Linear(3, 2)
    x, y = torch.randn(n, 3, generator=torch.Generator().manual_seed(n)), torch.arange(n) % 2
    wanted = replace(candidate(MLP, A, batch=n), workers=size)
    divided = Divided(wanted, Team.alone(size), {"m": model}, model.parameters(), 1)  # type: ignore[dict-item]

    def forward(cut: slice, noise: torch.Generator) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return torch.nn.functional.cross_entropy(model(x[cut]), y[cut]), [torch.tensor(len(x[cut]))]

    value, counts = divided.backward(forward)
    found = [p.grad.clone() for p in model.parameters()]  # type: ignore[union-attr]
    loss, _ = forward(slice(None), torch.Generator())
    model.zero_grad()
    loss.backward()
    assert value == pytest.approx(loss.item(), rel=1e-5)
    assert counts == [n]
    for mine, parameter in zip(found, model.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter.grad, rtol=1e-4, atol=1e-6)


# -- one process or many ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[int | str, Any]:
    """By number of workers, what one process gives, what so many give, and the trainers' pools.

    Under `other` stands what is said where rank 1 trains something else.
    """
    folder, found = tmp_path_factory.mktemp("team"), dict[int | str, Any]()
    teams = {size: free_address() for size in (2, 3)}
    other = free_address()
    with ranks([1, 2], folder, *(f"{size}={address}" for size, address in teams.items()), f"other={other}"):
        mine, alone = trainer_in(folder / "0"), trainer_in(folder / "alone")
        for size, address in teams.items():
            wanted = cases(size)
            together = train_rank(mine, list(wanted.values()), 0, size, address, 90.0)
            assert together is not None
            taken = alone.run(list(wanted.values()))
            found[size] = (dict(zip(wanted, taken, strict=True)), dict(zip(wanted, together, strict=True)),
                           (alone.pool.directory, mine.pool.directory, folder))
        with pytest.raises(TeamError) as raised:
            train_rank(mine, [cases(2)["sgd"]], 0, 2, other, 90.0)
        found["other"] = str(raised.value)
    return found


@pytest.mark.parametrize("name", cases(2))
@pytest.mark.parametrize("size", [2, 3])
def test_one_process_and_real_ranks_give_the_same_bits(both: Any, name: str, size: int) -> None:
    alone, together, _ = both[size]
    assert settled(together[name]) == settled(alone[name])


@pytest.mark.parametrize("size", [2, 3])
def test_what_the_cases_are_for_happens(both: Any, size: int) -> None:
    alone, _, _ = both[size]
    failed = {name for name, result in alone.items() if result.failure}
    assert failed == {"diverges", "cannot-be-measured", "a-part-fails"}
    assert alone["cannot-be-measured"].failure == "ValueError: it cannot be measured"
    assert alone["diverges"].failure.startswith("FloatingPointError: the loss became")
    assert "such samples" in alone["a-part-fails"].failure
    assert alone["raced"].stopped == 6
    assert alone["sgd"].optimizers
    assert len(alone["adamw"].curve) > 2


def test_only_rank_0_stores(both: Any) -> None:
    *_, (alone, mine, folder) = both[3]
    assert {f.name for f in mine.rglob("*.safetensors")} == {f.name for f in alone.rglob("*.safetensors")} != set()
    assert not [f for rank in (1, 2) for f in (folder / str(rank)).rglob("*.safetensors")]


def test_a_rank_that_dies_ends_the_others_with_a_sentence(tmp_path: FilePath) -> None:
    address = free_address()
    code = (
        "import sys, team_cases; from dataclasses import replace; from pathlib import Path; from tiny import candidate;"
        "team_cases.RANK = 1; a, b = team_cases.A, team_cases.B;"
        f"team_cases.train_rank(team_cases.trainer_in(Path({str(tmp_path / '1')!r})),"
        f" [replace(candidate(team_cases.odd('death'), a, b), workers=2)], 1, 2, {address!r}, 20.0)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=HERE)
    try:
        with pytest.raises(TeamError, match="rank 0 of 2 must hear from the others within 20 s, and one of them has"):
            train_rank(trainer_in(tmp_path), [replace(candidate(odd("death"), A, B), workers=2)], 0, 2, address, 20.0)
    finally:
        assert process.wait(90) == 9
    assert not torch.distributed.is_initialized()


def test_ranks_that_do_not_come_are_not_waited_for_for_ever(tmp_path: FilePath) -> None:
    with pytest.raises(TeamError, match=r"rank 1 of 2 must hear from the others within 0\.3 s"):
        train_rank(trainer_in(tmp_path), [], 1, 2, free_address(), 0.3)
    for address, rank in (("nowhere", 0), ("127.0.0.1:99", 2)):
        with pytest.raises(TeamError, match="`address` must be `host:port` and `rank` one of 2"):
            train_rank(trainer_in(tmp_path), [], rank, 2, address)


def test_ranks_talk_on_the_interface_on_which_the_first_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for _, name in socket.if_nameindex()]
    loop = interface_to("127.0.0.1")
    assert loop in names
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return  # nothing but loopback here
        own = probe.getsockname()[0]
    assert interface_to(own) in set(names) - {loop}
    assert interface_to("no such host") is None


def test_ranks_that_were_given_different_work_say_so(both: Any) -> None:
    assert "the 2 ranks of a team must train the same candidate from the same weights, found others" in both["other"]


def test_a_team_is_as_large_as_its_candidates_ask_for(tmp_path: FilePath) -> None:
    with pytest.raises(TeamError, match=r"a team of 2 ranks must be given candidates of `workers: 2`, found 3"):
        trainer_in(tmp_path).run([replace(candidate(MLP, A), workers=3)], team=Team.alone(2))


# -- what it means ------------------------------------------------------------------------------------------


def test_without_batch_statistics_and_noise_parts_train_as_one_to_rounding(tmp_path: FilePath) -> None:
    wanted = candidate(joint(A, B), A, B, optimizer="sgd", batch=9, clip=0.5)
    one, three = trainer_in(tmp_path).run([wanted, replace(wanted, workers=3)])
    trainer = trainer_in(tmp_path)
    assert one.blobs != three.blobs
    for name in one.blobs:
        for key, tensor in trainer.pool.get(one.blobs[name]).items():
            torch.testing.assert_close(tensor, trainer.pool.get(three.blobs[name])[key], rtol=1e-3, atol=1e-5)


def test_the_number_of_workers_is_part_of_the_hash_and_of_the_data() -> None:
    one = candidate(MLP, A)
    two = replace(one, workers=2)
    assert replace(one, workers=1).hash == one.hash != two.hash != replace(one, workers=3).hash
    assert "workers" not in one.to_json()
    again = Candidate.from_json(json.loads(json.dumps(two.to_json())))
    assert (again, again.hash) == (two, two.hash)
    still = replace(one, training=replace(one.training, steps=0))
    assert still.hash == replace(still, workers=2).hash  # nothing is trained


@pytest.mark.parametrize("workers", [0, -1, 1.0, True, "2"])
def test_workers_must_be_a_whole_number(workers: Any) -> None:
    with pytest.raises(ConfigError, match="`workers` must be a whole number of at least 1"):
        replace(candidate(MLP, A), workers=workers)


def test_affinity_is_not_recorded_on_divided_batches() -> None:
    wanted = candidate(joint(A, B), A, B)
    with pytest.raises(ConfigError, match="`workers` must be 1 where affinity is recorded"):
        replace(wanted, workers=2, record=Record("lookahead"))
    assert replace(wanted, workers=2, record=Record("logme")).workers == 2


def test_it_trains_alone_and_a_dispatch_says_for_how_many() -> None:
    one, two = candidate(MLP, A), replace(candidate(MLP, A), workers=2)
    found = plan([one, two], 8, trainer_in(HERE).families)
    assert [why for _, why in found.alone] == ["it trains data-parallel"]
    assert [group.candidates for group in found.stacks] == [(one,)]
    assert [Dispatch(0, chosen).workers for chosen in [(one,), (one, two), ()]] == [1, 2, 1]
