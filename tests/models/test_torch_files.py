"""The reader of PyTorch's old file format, on files that are written here without PyTorch."""

import collections
import io
import pickle
import types

import numpy as np
import pytest

from kerasal.models.torch_files import read_state_dict


class _Storage:
    """What the pickler replaces by a persistent id."""

    def __init__(self, key, values):
        self.key, self.values = key, values


class _Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        import torch._utils  # pyright: ignore[reportMissingImports]

        return torch._utils._rebuild_tensor_v2, self.arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        import torch  # pyright: ignore[reportMissingImports]

        return ("storage", torch.FloatStorage, obj.key, "cpu", len(obj.values), None) if type(obj) is _Storage else None


@pytest.fixture
def write(monkeypatch, tmp_path):
    """A function that writes an object and its storages as torch.save did, with stand-ins for the torch module."""

    def _rebuild_tensor_v2():
        raise AssertionError("the reader must not call torch")

    utils = types.ModuleType("torch._utils")
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    torch = types.ModuleType("torch")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch", "__qualname__": "FloatStorage"})
    torch._utils = utils
    monkeypatch.setitem(__import__("sys").modules, "torch", torch)
    monkeypatch.setitem(__import__("sys").modules, "torch._utils", utils)

    def write(obj, storages, magic=0x1950A86A20F9469CFC6C, little=True, tail=b""):
        file = io.BytesIO()
        for part in (magic, 1001, {"protocol_version": 1001, "little_endian": little, "type_sizes": {}}):
            pickle.dump(part, file, protocol=2)
        _Pickler(file, protocol=2).dump(obj)
        pickle.dump([storage.key for storage in storages], file, protocol=2)
        for storage in storages:
            file.write(len(storage.values).to_bytes(8, "little") + storage.values.astype("<f4").tobytes())
        path = tmp_path / "weights.pth"
        path.write_bytes(file.getvalue() + tail)
        return path

    return write


def test_arrays_have_their_names_order_strides_and_offsets(write):
    values = np.arange(24, dtype=np.float32)
    first, second = _Storage("7", values), _Storage("3", -values[:4])
    path = write(
        collections.OrderedDict(
            whole=_Tensor(first, 0, (2, 3, 4), (12, 4, 1)),
            channels_last=_Tensor(first, 0, (2, 4, 3), (12, 1, 4)),
            part=_Tensor(first, 20, (4,), (1,)),
            scalar=_Tensor(second, 3, (), ()),
        ),
        [first, second],
    )
    arrays = read_state_dict(path)
    assert list(arrays) == ["whole", "channels_last", "part", "scalar"]
    whole = values.reshape(2, 3, 4)
    np.testing.assert_array_equal(arrays["whole"], whole)
    np.testing.assert_array_equal(arrays["channels_last"], whole.transpose(0, 2, 1))
    np.testing.assert_array_equal(arrays["part"], values[20:])
    assert arrays["scalar"].shape == () and arrays["scalar"] == -3


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (5,), (1,)), (1, (4,), (1,)), (0, (2,), (4,)), (3, (2,), (-1,)), (-1, (1,), (1,)), (0, (2, 2), (1,))],
)
def test_a_tensor_outside_its_storage_is_refused(write, offset, shape, strides):
    storage = _Storage("0", np.arange(4.0))
    path = write({"bias": _Tensor(storage, offset, shape, strides)}, [storage])
    with pytest.raises(ValueError, match=r"must be a state_dict .*No code in it was executed\. Download"):
        read_state_dict(path)


class _Attack:
    def __reduce__(self):
        return print, ("code of the file",)


def test_code_is_neither_imported_nor_executed(write, capsys):
    with pytest.raises(ValueError, match=r"it tries to import (builtins|__builtin__)\.print\. No code"):
        read_state_dict(write({"weight": _Attack()}, []))
    assert capsys.readouterr().out == ""


def test_other_contents_are_refused(write):
    storage = _Storage("0", np.arange(4.0))
    tensor = _Tensor(storage, 0, (4,), (1,))
    for obj, options, reason in [
        ({"epoch": 3}, {}, "objects other than named arrays"),
        ([tensor], {}, "objects other than named arrays"),
        ({"a": tensor}, {"magic": 5}, "magic number"),
        ({"a": tensor}, {"little": False}, "not little-endian"),
        ({"a": tensor}, {"tail": b"123"}, r"\+3 bytes follow"),
    ]:
        with pytest.raises(ValueError, match=reason):
            read_state_dict(write(obj, [storage], **options))


def test_truncated_and_newer_files_are_refused(write, tmp_path):
    storage = _Storage("0", np.arange(4.0))
    path = write({"a": _Tensor(storage, 0, (4,), (1,))}, [storage])
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match="must be a state_dict in the format of PyTorch"):
            read_state_dict(path)
    path.write_bytes(b"PK\x03\x04" + data)  # a zip archive, as PyTorch writes it since 1.6
    with pytest.raises(ValueError, match=r"before 1\.6"):
        read_state_dict(path)
    with pytest.raises(FileNotFoundError):
        read_state_dict(tmp_path / "missing.pth")
