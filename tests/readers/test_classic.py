"""The classic netCDF format, read here from bytes, against the netCDF library."""

from __future__ import annotations

import struct

import netCDF4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdeepda.errors import InputError
from xdeepda.observations.readers.classic import open_classic

FORMATS = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA")
TYPES = ("i1", "S1", "i2", "i4", "f4", "f8")


def write(path, fmt, variables, records):
    """File of variables (name, type, dimensions); the dimension r is unlimited."""
    rng = np.random.default_rng(3)
    with netCDF4.Dataset(path, "w", format=fmt) as file:
        file.title, file.numbers, file.single = "a title", np.array([1, 2, 3], "i4"), np.float32(2)
        file.createDimension("r", None)
        for name, size in (("x", 3), ("y", 1), ("z", 5)):
            file.createDimension(name, size)
        for name, kind, dims in variables:
            made = file.createVariable(name, kind, dims)
            made.units, made.scale_factor = "degC", np.float64(0.5)
            made.set_auto_maskandscale(False)
            shape = [records if d == "r" else len(file.dimensions[d]) for d in dims]
            values = rng.integers(65, 90, shape)
            if 0 not in shape:
                made[...] = values.astype("u1").view("S1") if kind == "S1" else values.astype(kind)


@given(
    fmt=st.sampled_from(FORMATS),
    records=st.integers(0, 4),
    shapes=st.lists(
        st.tuples(
            st.sampled_from(TYPES),
            st.sampled_from([(), ("x",), ("r",), ("r", "x"), ("r", "x", "y"), ("z", "x"), ("y",)]),
        ),
        max_size=6,
    ),
)
def test_every_layout_is_read_as_by_the_library(tmp_path_factory, fmt, records, shapes):
    path = tmp_path_factory.mktemp("classic") / "a.nc"
    variables = [(f"v{n}", kind, dims) for n, (kind, dims) in enumerate(shapes)]
    write(path, fmt, variables, records)
    ds = open_classic(path.read_bytes())
    with netCDF4.Dataset(path) as file:
        assert set(ds.variables) == set(file.variables)
        assert ds.attrs["title"] == "a title"
        assert list(ds.attrs["numbers"]) == [1, 2, 3]
        assert ds.attrs["single"] == 2
        for name, variable in file.variables.items():
            variable.set_auto_maskandscale(False)
            mine = ds[name]
            assert mine.dims == variable.dimensions
            assert mine.attrs["units"] == "degC"
            if mine.size:
                assert mine.dtype.newbyteorder("=") == variable.dtype
                np.testing.assert_array_equal(mine.values, variable[...])


def test_real_files_are_read_as_by_the_library(data_folder):
    count = 0
    for path in sorted((data_folder / "observations").rglob("*.nc")):
        if path.stat().st_size > 500_000 or path.read_bytes()[:3] != b"CDF":
            continue
        ds = open_classic(path.read_bytes())
        count += 1
        with netCDF4.Dataset(path) as file:
            lost = {n for n, v in file.variables.items() if not v.ndim and n in file.dimensions}
            assert set(ds.variables) == set(file.variables) - lost
            for name in ds.variables:
                file[name].set_auto_maskandscale(False)
                file[name].set_auto_chartostring(False)
                np.testing.assert_array_equal(ds[name].values, file[name][...], err_msg=name)
                assert list(ds[name].attrs) == file[name].ncattrs()
    assert count > 30


@pytest.fixture
def raw(tmp_path) -> bytes:
    """A small file with fixed variables and records."""
    write(
        tmp_path / "a.nc", "NETCDF3_CLASSIC",
        [("t", "f8", ("r",)), ("v", "f4", ("r", "x")), ("w", "i2", ("x",)), ("c", "S1", ("z",))], 3,
    )  # fmt: skip
    return (tmp_path / "a.nc").read_bytes()


def test_every_truncation_is_told(raw):
    # the padding after the last value belongs to nothing
    for size in range(4, len(raw) - 3):
        with pytest.raises(InputError, match=r"truncated|damaged"):
            open_classic(raw[:size])


def test_an_open_number_of_records_follows_from_the_size(raw):
    streaming = raw[:4] + struct.pack(">i", -1) + raw[8:]
    assert open_classic(streaming).sizes["r"] == 3


def test_claims_are_never_allocated(raw):
    at = raw.index(b"\x00\x00\x00\x01z\x00\x00\x00") + 8
    for claim in (2**31 - 1, 2**30, 100):
        with pytest.raises(InputError, match=r"truncated|damaged"):
            open_classic(raw[:at] + struct.pack(">i", claim) + raw[at + 4 :])
    with pytest.raises(InputError, match=r"truncated|damaged"):
        open_classic(raw[:4] + struct.pack(">i", 2**31 - 1) + raw[8:])


@given(data=st.data())
def test_a_damaged_header_gives_an_error_or_views_of_the_bytes(raw, data):
    mutated = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(4, len(raw) - 5))
        mutated[at : at + 4] = data.draw(
            st.sampled_from(
                [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"\x00\x00\x00\x0b"]
            )
            | st.binary(min_size=4, max_size=4)
        )
    try:
        ds = open_classic(bytes(mutated))
    except (InputError, ValueError):
        return
    assert sum(v.nbytes for v in ds.variables.values()) <= len(ds.variables) * len(raw)
