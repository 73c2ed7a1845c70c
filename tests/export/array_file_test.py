"""Files of arrays, good ones and such as claim or unpack to more than there is memory for."""

import io
import pathlib
import struct
import zipfile

import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.export import array_file
from tfquarl.export import float_source
from tfquarl.export import observations_file
from tfquarl.networks import architecture as architecture_lib

_NUMBERS = np.arange(64.0).reshape(32, 2)


def _npy(shape: str, descr: str = "'<f4'", data: bytes = bytes(64)) -> bytes:
    """An .npy with any header."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def _npz(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def _unpacked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The arrays that are unpacked from now on."""
    unpack, seen = array_file._array, []
    monkeypatch.setattr(array_file, "_array", lambda member: (seen.append(member), unpack(member))[1])
    return seen


def test_the_chosen_arrays_are_read_as_float32(tmp_path: pathlib.Path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=_NUMBERS, b=np.asfortranarray(_NUMBERS), c=np.asarray([{}], object), d=np.int8([1, -1]))
    got = array_file.read(path, lambda names: [name for name in names if name != "c"])
    assert list(got) == ["a", "b", "d"] and all(array.dtype == np.float32 for array in got.values())
    np.testing.assert_array_equal(got["a"], _NUMBERS)
    np.testing.assert_array_equal(got["b"], _NUMBERS)
    np.testing.assert_array_equal(got["d"], [1, -1])


@pytest.mark.parametrize("is_npz", [False, True], ids=["npy", "npz"])
@pytest.mark.parametrize(
    ("member", "complaint"),
    [
        pytest.param(
            _npy("(4398046511104, 1)"), "takes 17592186044416 bytes, at most 1073741824 are read", id="16 TiB"
        ),
        pytest.param(_npy("(268435457,)"), "takes 1073741828 bytes, at most", id="one beyond the limit"),
        pytest.param(_npy("(268435457,)", "'|i1'"), "takes 1073741828 bytes, at most", id="bytes that become floats"),
        pytest.param(_npy("(1000, 2)"), r"array '\w*' of shape \[1000, 2\] has \d+ bytes", id="more than is there"),
        pytest.param(_npy("(-1, 2)"), r"array '\w*' is float32\[-1, 2\]", id="negative"),
        pytest.param(_npy("(2,)", "'|O'"), r"array '\w*' is object\[2\]", id="objects"),
        pytest.param(_npy("(2,)", "'<U4'"), r"array '\w*' is <U4\[2\]", id="text"),
        pytest.param(_npy("(" * 5000), "no readable .npz of numbers", id="nested header"),
        pytest.param(b"\x93NUMPY\x09\x00" + bytes(99), "header of the version", id="another version"),
        pytest.param(b"\x93NUMPY", "no readable .npz of numbers", id="cut"),
    ],
)
def test_what_a_header_claims_is_checked_before_it_takes_memory(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_npz: bool, member: bytes, complaint: str
):
    path, unpacked = tmp_path / "a.npz", _unpacked(monkeypatch)
    path.write_bytes(_npz(observations=member) if is_npz else member)
    with pytest.raises(errors.ConfigError, match=complaint) as caught:
        observations_file.read_observations(path, 2)
    assert "\n" not in str(caught.value)
    assert not unpacked


def test_a_machine_without_the_memory_is_told_in_one_line(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    def full(member: object) -> np.ndarray:
        raise MemoryError("Unable to allocate 1 GiB")

    np.save(tmp_path / "a.npy", _NUMBERS)
    monkeypatch.setattr(array_file, "_array", full)
    with pytest.raises(errors.ConfigError, match="Unable to allocate 1 GiB"):
        observations_file.read_observations(tmp_path / "a.npy", 2)


def test_a_damaged_or_encrypted_member_is_told_in_one_line(tmp_path: pathlib.Path):
    whole = bytearray(_npz(observations=_npy("(16, 1)", data=np.random.default_rng(0).bytes(64))))
    for position in range(40, len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 255
        (tmp_path / "a.npz").write_bytes(damaged)
        try:
            observations_file.read_observations(tmp_path / "a.npz", 1)
        except errors.TfquarlError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"more": np.zeros(1 << 20)}, r"variables missing: \[\], unknown: \['more'\]"),
        ({"head/bias": np.zeros(1 << 20)}, r"'head/bias' is float32\[1048576\], the network expects float32\[2\]"),
    ],
    ids=["unknown", "another shape"],
)
def test_no_weights_are_unpacked_that_the_architecture_lacks(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, arrays: dict[str, np.ndarray], complaint: str
):
    architecture = architecture_lib.PolicyArchitecture(4, (8,), 2, "q_values")
    zeros = {name: np.zeros(shape, np.float32) for name, shape in architecture.variable_shapes().items()}
    np.savez_compressed(tmp_path / "good.npz", **zeros)
    np.savez_compressed(tmp_path / "bad.npz", **{**zeros, **arrays})
    assert set(float_source.read_weights(tmp_path / "good.npz", architecture).variables) == set(zeros)
    unpacked = _unpacked(monkeypatch)
    with pytest.raises(errors.ConfigError, match=complaint):
        float_source.read_weights(tmp_path / "bad.npz", architecture)
    assert not unpacked
