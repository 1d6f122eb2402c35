from pathlib import Path

import torch

from pathways.modules import group_norm
from pathways.modules.group_norm import GroupNorm


def test_it_is_torch_s_and_learns_from_images_whose_channels_stand_last():
    generator = torch.Generator().manual_seed(0)
    x, gradient = (torch.randn(3, 4, 5, 5, generator=generator) for _ in range(2))
    ours, theirs = GroupNorm(2, 4), torch.nn.GroupNorm(2, 4)
    for norm, value in ((theirs, x), (ours, x.contiguous(memory_format=torch.channels_last))):
        norm(value).backward(gradient)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_families_use_it_and_not_torch_s_own():
    home = Path(group_norm.__file__).parent
    assert [file.name for file in home.rglob("*.py") if "nn.GroupNorm(" in file.read_text()] == []
