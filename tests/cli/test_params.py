"""`eyrie params`: files that other libraries wrote are read, and the other way round."""
import json

import gguf
import numpy as np
import pytest
import safetensors.numpy
from command import call, fail, load_npz, save_npz, succeed


def tensors() -> dict:
    random = np.random.default_rng(3)
    return {
        "layer.0.weight": random.standard_normal((5, 7), np.float32),
        "layer.0.bias": random.standard_normal(5).astype(np.float16),
        "double": random.standard_normal((2, 3, 4)),
        "ids": np.arange(6, dtype=np.int64).reshape(3, 2),
        "bytes": np.arange(7, dtype=np.uint8),
        "small": np.arange(-3, 3, dtype=np.int8),
        "mask": np.array([True, False, True]),
        "scalar": np.array(2.5, np.float32),
        "none": np.zeros((0, 4), np.float32),
        "ä/ö \"x\"": np.array([1, 2], np.int32),
    }


def check_same(got: dict, want: dict):
    assert sorted(got) == sorted(want)
    for name, array in want.items():
        assert got[name].dtype == array.dtype and got[name].shape == array.shape, name
        assert np.array_equal(got[name], array), name


def listed(path, *flags) -> dict:
    return {row["name"]: row for row in json.loads(succeed("params", "list", path, "--json", *flags).out)["tensors"]}


@pytest.fixture
def source(tmp_path):
    safetensors.numpy.save_file(tensors(), tmp_path / "in.safetensors")
    return tmp_path / "in.safetensors"


def test_list_says_types_and_shapes(source):
    rows = listed(source)
    assert list(rows) == sorted(tensors(), key=lambda name: name.encode())
    assert rows["layer.0.weight"]["type"] == "f32" and rows["layer.0.weight"]["shape"] == [5, 7]
    assert rows["layer.0.bias"]["type"] == "f16" and rows["mask"]["type"] == "bool" and rows["scalar"]["shape"] == []
    text = succeed("params", "list", source).out
    assert "safetensors, 10 tensors" in text and "5x7xf32" in text


@pytest.mark.parametrize("chain", [["eyp"], ["npz"], ["safetensors"], ["eyp", "npz", "safetensors", "eyp", "safetensors"]])
def test_conversions_change_nothing(source, tmp_path, chain):
    path = source
    for i, extension in enumerate(chain):
        target = tmp_path / f"out{i}.{extension}"
        succeed("params", "convert", path, "-o", target)
        path = target
    if chain[-1] == "npz":
        check_same(load_npz(path), tensors())
    elif chain[-1] == "safetensors":
        check_same(safetensors.numpy.load_file(path), tensors())
    else:
        back = tmp_path / "back.safetensors"
        assert listed(path, "--verify").keys() == tensors().keys()
        succeed("params", "convert", path, "-o", back)
        check_same(safetensors.numpy.load_file(back), tensors())


def test_archives_are_the_same_bytes_and_aligned(source, tmp_path):
    for name in ["a.eyp", "b.eyp"]:
        succeed("params", "convert", source, "-o", tmp_path / name)
    data = (tmp_path / "a.eyp").read_bytes()
    assert data == (tmp_path / "b.eyp").read_bytes()
    assert data.find(tensors()["double"].tobytes()) % 64 == 0
    assert data.find(tensors()["bytes"].tobytes()) == 4096  # the first by name


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_of_numpy_in_any_order(tmp_path, save):
    arrays = {"plain": np.arange(6, dtype=np.float32).reshape(2, 3), "turned": np.arange(6.0).reshape(2, 3).T}
    save(tmp_path / "in.npz", **arrays)
    succeed("params", "convert", tmp_path / "in.npz", "-o", tmp_path / "out.safetensors")
    check_same(safetensors.numpy.load_file(tmp_path / "out.safetensors"), arrays)


def test_later_files_win(tmp_path):
    save_npz(tmp_path / "base.npz", {"a": np.ones(2, np.float32), "b": np.ones(3, np.float32)})
    save_npz(tmp_path / "over.npz", {"b": np.zeros(4, np.int64), "c": np.ones(1)})
    succeed("params", "convert", tmp_path / "base.npz", tmp_path / "over.npz", "-o", tmp_path / "out.npz")
    check_same(load_npz(tmp_path / "out.npz"),
               {"a": np.ones(2, np.float32), "b": np.zeros(4, np.int64), "c": np.ones(1)})


def test_a_file_may_be_replaced_by_its_own_conversion(source):
    succeed("params", "convert", source, source, "-o", source)
    check_same(safetensors.numpy.load_file(source), tensors())


def write_gguf(path, arrays, quantised=()):
    writer = gguf.GGUFWriter(path, "test")
    writer.add_array("tokens", ["a", "b", "c"])
    writer.add_float32("scale", 1.5)
    for name, array in arrays.items():
        writer.add_tensor(name, array)
    for name, array in quantised:
        writer.add_tensor(name, gguf.quants.quantize(array, gguf.GGMLQuantizationType.Q8_0),
                          raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_gguf_of_its_own_library(tmp_path):
    arrays = {name: array for name, array in tensors().items()
              if array.size and array.ndim and array.dtype.kind in "fi"}
    write_gguf(tmp_path / "in.gguf", arrays)
    assert listed(tmp_path / "in.gguf")["layer.0.weight"]["shape"] == [5, 7]
    succeed("params", "convert", tmp_path / "in.gguf", "-o", tmp_path / "out.safetensors")
    check_same(safetensors.numpy.load_file(tmp_path / "out.safetensors"), arrays)


def test_every_quantised_type_of_gguf_has_its_size(tmp_path):
    for kind, (elements, size) in gguf.GGML_QUANT_SIZES.items():
        writer = gguf.GGUFWriter(tmp_path / "in.gguf", "test")
        writer.add_tensor("w", np.zeros((3, size), np.uint8), raw_shape=(3, size), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        result = call("params", "list", tmp_path / "in.gguf", "--json")
        assert result.code == 0, f"{kind.name}: {result}"
        row = json.loads(result.out)["tensors"][0]
        assert row["shape"] == [3, elements] and row["type"] == kind.name.lower() and row["size_bytes"] == 3 * size


def test_quantised_blocks_are_listed_and_refused(tmp_path):
    write_gguf(tmp_path / "in.gguf", {}, [("w", np.ones((2, 64), np.float32))])
    row = listed(tmp_path / "in.gguf")["w"]
    assert row["type"] == "q8_0" and row["shape"] == [2, 64] and "quantised" in row["problem"]
    fail("params", "convert", tmp_path / "in.gguf", "-o", tmp_path / "out.eyp", says=["'w'", "q8_0", "quantised"])
    assert not (tmp_path / "out.eyp").exists()


def test_create_and_extract(tmp_path):
    np.save(tmp_path / "w.npy", tensors()["double"])
    np.save(tmp_path / "b.npy", tensors()["layer.0.bias"])
    succeed("params", "create", "-o", tmp_path / "out.eyp", f"layer.w={tmp_path}/w.npy", f"b={tmp_path}/b.npy")
    (tmp_path / "arrays").mkdir()
    succeed("params", "extract", tmp_path / "out.eyp", "layer.w", "b", "-o", tmp_path / "arrays")
    assert np.array_equal(np.load(tmp_path / "arrays/layer.w.npy"), tensors()["double"])
    assert np.array_equal(np.load(tmp_path / "arrays/b.npy"), tensors()["layer.0.bias"])
    fail("params", "extract", tmp_path / "out.eyp", "x", "-o", tmp_path, says=["no tensor 'x'", "b, layer.w"])


def test_names_do_not_leave_the_folder(tmp_path):
    save_npz(tmp_path / "in.npz", {"../evil": np.ones(1)})
    succeed("params", "convert", tmp_path / "in.npz", "-o", tmp_path / "in.eyp")
    (tmp_path / "folder").mkdir()
    fail("params", "extract", tmp_path / "in.eyp", "../evil", "-o", tmp_path / "folder", says=["../evil", "'/'"])
    assert not (tmp_path / "evil.npy").exists()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("prefix", ["", "base_model.model."])
def test_lora_is_merged_when_asked(tmp_path, dtype, prefix):
    random = np.random.default_rng(1)
    w, a, b = (random.standard_normal(shape).astype(dtype) for shape in [(6, 5), (2, 5), (6, 2)])
    safetensors.numpy.save_file({"l.weight": w, "l.bias": w[0]}, tmp_path / "base.safetensors")
    safetensors.numpy.save_file({f"{prefix}l.lora_A.weight": a, f"{prefix}l.lora_B.weight": b}, tmp_path / "lora.safetensors")
    inputs = [tmp_path / "base.safetensors", tmp_path / "lora.safetensors"]
    succeed("params", "convert", *inputs, "--merge-lora", "--lora-scale", "0.5", "-o", tmp_path / "out.safetensors")
    got = safetensors.numpy.load_file(tmp_path / "out.safetensors")
    want = w.astype(np.float64) + 0.5 * (b.astype(np.float64) @ a.astype(np.float64))
    assert sorted(got) == ["l.bias", "l.weight"] and got["l.weight"].dtype == dtype
    assert np.allclose(got["l.weight"], want, rtol=1e-3 if dtype == np.float16 else 1e-6)
    succeed("params", "convert", *inputs, "-o", tmp_path / "plain.safetensors")
    assert len(safetensors.numpy.load_file(tmp_path / "plain.safetensors")) == 4


def test_lora_that_does_not_fit(tmp_path):
    one = lambda *shape: np.ones(shape, np.float32)
    merge = lambda: ["params", "convert", tmp_path / "in.npz", "--merge-lora", "-o", tmp_path / "out.eyp"]
    for arrays, says in [({"l.weight": one(6, 5)}, "lora_A"),
                         ({"l.lora_A.weight": one(2, 5)}, "l.lora_B.weight"),
                         ({"l.lora_A.weight": one(2, 5), "l.lora_B.weight": one(6, 2)}, "no tensor 'l.weight'"),
                         ({"l.lora_A.weight": one(2, 5), "l.lora_B.weight": one(6, 2), "l.weight": one(5, 6)}, "5x6xf32"),
                         ({"l.lora_A.weight": one(3, 5), "l.lora_B.weight": one(6, 2), "l.weight": one(6, 5)}, "6x2xf32")]:
        save_npz(tmp_path / "in.npz", arrays)
        fail(*merge(), says=[says])
    assert not (tmp_path / "out.eyp").exists()


@pytest.mark.parametrize("arguments, says", [
    ([], "no action"), (["nonsense"], "there is no action 'nonsense'"), (["list"], "FILE"),
    (["convert", "x", "-o", "y.txt"], "y.txt"), (["convert", "x"], "--output"), (["create", "-o", "x.eyp", "ab"], "NAME=FILE.npy"),
    (["create", "-o", "x.eyp", "=b.npy"], "NAME=FILE.npy"), (["list", "x", "--nonsense"], "--nonsense")])
def test_wrong_command_lines(arguments, says):
    fail("params", *arguments, code=2, says=says)


def test_help_shows_the_actions():
    text = succeed("params", "--help").out
    for action in ["list", "convert", "create", "extract"]:
        assert action in text
        assert "Examples" in succeed("params", action, "--help").out
