"""A GPU that is too small: told with the number of members that fit (simulated)."""

from __future__ import annotations

import pytest
import torch

import xdeepda
from xdeepda.bridge import conductor
from xdeepda.core.increment import IncrementArchitecture
from xdeepda.errors import DeviceMemoryError


def full(self, *_):
    raise torch.OutOfMemoryError("CUDA out of memory.")


def test_the_members_that_fit(ocean, cells, tiny_model, monkeypatch):
    monkeypatch.setattr(IncrementArchitecture, "analyse", full)
    # 50 always, 100 a member; 1000 are free, and what the members hold now besides
    monkeypatch.setattr(
        conductor.Conductor, "_peak", lambda self, _, n: 50_000_000 + n * 100_000_000
    )
    monkeypatch.setattr(conductor, "_room", lambda _: 1_000_000_000)
    with pytest.raises(DeviceMemoryError, match=r"8 members do not fit .* members=7, or"):
        xdeepda.assimilate(ocean, cells, model=tiny_model, members=8)
    monkeypatch.setattr(conductor, "_room", lambda _: 400_000_000)
    with pytest.raises(DeviceMemoryError, match=r"8 members do not fit .* members=3, or"):
        xdeepda.assimilate(ocean, cells, model=tiny_model, members=8)
    monkeypatch.setattr(conductor, "_room", lambda _: 100_000_000)
    with pytest.raises(DeviceMemoryError, match="members=1, or device='cpu'"):
        xdeepda.assimilate(ocean, cells, model=tiny_model, members=8)


def test_not_even_one(ocean, cells, tiny_model, monkeypatch):
    monkeypatch.setattr(IncrementArchitecture, "analyse", full)
    monkeypatch.setattr(conductor.Conductor, "_peak", full)
    with pytest.raises(DeviceMemoryError, match="device='cpu', or a coarser grid"):
        xdeepda.assimilate(ocean, cells, model=tiny_model, members=2)
    with pytest.raises(DeviceMemoryError, match="1 members do not fit"):
        xdeepda.assimilate(ocean, cells, model=tiny_model)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_that_is_really_full(ocean, cells, tiny_model):
    torch.cuda.set_per_process_memory_fraction(1e-3)
    try:
        with pytest.raises(DeviceMemoryError, match="members do not fit"):
            xdeepda.assimilate(ocean.isel(time=50), cells, model=tiny_model, members=20_000)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
