"""What the command line prints, reads and writes, and with which exit code it ends."""
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from command import call, compile_model, fail, load_npz, run_module, save_npz, succeed
from reference import Reference
from small import adder, adder_inputs, network, network_inputs

COMMANDS = ["compile", "run", "bench", "inspect", "params"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    for name, model in ("adder", adder()), ("network", network()):
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
        compile_model(folder / f"{name}.onnx", folder / f"{name}.eyr")
    return folder


def arguments(tmp_path, inputs):
    save_npz(tmp_path / "in.npz", inputs)
    return ["--input", f"@{tmp_path / 'in.npz'}"]


def test_help():
    text = succeed("--help").out
    assert all(command in text for command in COMMANDS) and "Examples" in text
    assert succeed("-h").out == text
    for command in COMMANDS:
        text = succeed(command, "--help").out
        assert "eyrie " + command in text and "xamples" in text and "--json" in text


def test_version():
    assert succeed("--version").out.startswith("eyrie ")


@pytest.mark.parametrize("command", [[], ["nonsense"], ["--nonsense"], *([c] for c in COMMANDS),
                                     *([c, "x", "--nonsense"] for c in COMMANDS), ["compile", "x"], ["compile", "-o", "y"],
                                     ["run", "x", "--rtol", "much"], ["run", "x", "--threads", "many"],
                                     ["compile", "x", "-o", "y", "-O9"], ["compile", "x", "-o", "y", "--jobs", "-3"],
                                     ["compile", "x", "-o", "y", "--cpu=abacus"], ["compile", "x", "-o", "y", "--shape", "x"],
                                     ["compile", "x", "-o", "y", "--stop-after", "lunch"]])
def test_wrong_usage(command):
    result = fail(*command, code=2)
    assert not result.out


def test_compile_json(folder, tmp_path):
    told = compile_model(folder / "network.onnx", tmp_path / "model.eyr")
    assert told["size_bytes"] == (tmp_path / "model.eyr").stat().st_size
    assert told["compile_ms"] > 0 and told["peak_rss_bytes"] > 1e6


def test_compile_is_silent(folder, tmp_path):
    result = succeed("compile", folder / "network.onnx", "-o", tmp_path / "model.eyr")
    assert result.out == "" and result.err == ""
    assert (tmp_path / "model.eyr").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    import os
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_compile_to_standard_output(folder, tmp_path):
    with open(tmp_path / "model.eyr", "wb") as out:
        assert (result := call("compile", folder / "network.onnx", "-o", "-", stdout=out)).code == 0, result
    assert (tmp_path / "model.eyr").read_bytes() == (folder / "network.eyr").read_bytes()


def test_time_prints_a_table(folder, tmp_path):
    text = succeed("compile", folder / "network.onnx", "-o", tmp_path / "model.eyr", "--time").out
    assert "import" in text and "graph" in text and "ms" in text


def test_dumps_and_stops(folder, tmp_path):
    succeed("compile", folder / "network.onnx", "-o", tmp_path / "model.eyr", "--dump-dir", tmp_path / "dump")
    dumps = sorted(path.name for path in (tmp_path / "dump").iterdir())
    assert "1-import.mlir" in dumps and "2-graph.mlir" in dumps, dumps
    succeed("compile", folder / "network.onnx", "-o", tmp_path / "stopped.mlir", "--stop-after", "import")
    assert "linalg" in (tmp_path / "stopped.mlir").read_text(errors="replace")


def test_jobs_do_not_change_the_module(folder, tmp_path):
    for jobs in 1, 2, 5:
        compile_model(folder / "network.onnx", tmp_path / "model.eyr", "--jobs", jobs)
        assert (tmp_path / "model.eyr").read_bytes() == (folder / "network.eyr").read_bytes()


def test_npz_round_trip(folder, tmp_path):
    got = run_module(folder / "adder.eyr", adder_inputs(), tmp_path)
    assert got["sum"].dtype == np.float32 and got["sum"].tolist() == [[0.5, 2.5, 4.5], [6.5, 8.5, 10.5]]
    assert got["twice"].dtype == np.int64 and got["twice"].shape == () and got["twice"] == 42


def test_compressed_npz(folder, tmp_path):
    np.savez_compressed(tmp_path / "in.npz", **adder_inputs())
    succeed("run", folder / "adder.eyr", "--input", f"@{tmp_path / 'in.npz'}", "--output", f"@{tmp_path / 'out.npz'}")
    assert load_npz(tmp_path / "out.npz")["twice"] == 42


@pytest.mark.parametrize("layout", ["C", "F", ">"])
def test_npy_round_trip(folder, tmp_path, layout):
    for name, array in adder_inputs().items():
        array = np.asarray(array, order="F") if layout == "F" else array
        np.save(tmp_path / f"{name}.npy", array.astype(array.dtype.newbyteorder(">")) if layout == ">" else array)
    given = [flag for name in adder_inputs() for flag in ("--input", f"{name}=@{tmp_path / name}.npy")]
    result = call("run", folder / "adder.eyr", *given, "--output", f"sum=@{tmp_path / 'sum.npy'}",
                  "--output", f"twice=@{tmp_path / 'twice.npy'}")
    if layout == ">" and result.code == 1:
        assert "order" in result.err or ">" in result.err, result
        return
    assert result.code == 0, result
    assert np.load(tmp_path / "sum.npy").tolist() == [[0.5, 2.5, 4.5], [6.5, 8.5, 10.5]]
    assert np.load(tmp_path / "twice.npy") == 42


def test_made_up_inputs_and_print(folder):
    text = succeed("run", folder / "adder.eyr", "--input", "a=2x3xf32=0.5", "--input", "b=2x3xf32=1,2,3,4,5,6", "--input",
                   "count=i64=-4").out
    assert "sum" in text and "2x3xf32" in text and "6.5" in text and "-8" in text


def test_named_input_replaces_that_of_the_archive(folder, tmp_path):
    text = succeed("run", folder / "adder.eyr", *arguments(tmp_path, adder_inputs()), "--input", "count=i64=50", "--json").out
    outputs = {output["name"]: output for output in json.loads(text)["outputs"]}
    assert outputs["twice"]["data"] == [100] and outputs["twice"]["type"] == "i64" and outputs["twice"]["shape"] == []
    assert outputs["sum"]["shape"] == [2, 3] and outputs["sum"]["data"][:2] == [0.5, 2.5]


@pytest.mark.parametrize("text", ["a", "a=", "a=2x3xf32", "a=2x3xq9=1", "a=2xzxf32=1", "a=2x3xf32=1,2", "a=2x3xf32=word",
                                  "a=-2x3xf32=1"])
def test_made_up_inputs_that_are_wrong(folder, text):
    fail("run", folder / "adder.eyr", "--input", text, code=2)


def test_expect(folder, tmp_path):
    given = arguments(tmp_path, adder_inputs())
    want = run_module(folder / "adder.eyr", adder_inputs(), tmp_path)
    given = arguments(tmp_path, adder_inputs())
    save_npz(tmp_path / "want.npz", want)
    assert "sum" in succeed("run", folder / "adder.eyr", *given, "--expect", f"@{tmp_path / 'want.npz'}").out

    save_npz(tmp_path / "far.npz", {**want, "sum": want["sum"] + np.float32(0.01)})
    result = fail("run", folder / "adder.eyr", *given, "--expect", f"@{tmp_path / 'far.npz'}")
    assert "sum" in result.out and "FAILED" in result.out
    succeed("run", folder / "adder.eyr", *given, "--expect", f"@{tmp_path / 'far.npz'}", "--atol", "0.02")
    told = call("run", folder / "adder.eyr", *given, "--expect", f"@{tmp_path / 'far.npz'}", "--json")
    rows = {row["name"]: row for row in json.loads(told.out)["expect"]}
    assert told.code == 1 and rows["twice"]["ok"] and not rows["sum"]["ok"] and abs(rows["sum"]["max_abs_error"] - 0.01) < 1e-4

    for name, array in ("sum", want["sum"][:1]), ("sum", want["sum"].astype(np.float64)), ("twice", np.array(43)):
        save_npz(tmp_path / "other.npz", {**want, name: array})
        assert name in fail("run", folder / "adder.eyr", *given, "--expect", f"@{tmp_path / 'other.npz'}").out


def test_dynamic_batch(folder, tmp_path):
    reference = Reference(folder / "network.onnx")
    for batch in 1, 2, 5, 64:
        inputs = network_inputs(batch)
        got = run_module(folder / "network.eyr", inputs, tmp_path)
        assert got["scores"].shape == (batch, 5)
        np.testing.assert_allclose(got["scores"], reference(inputs)["scores"], rtol=1e-5, atol=1e-6)


def test_function_flag(folder, tmp_path):
    given = arguments(tmp_path, adder_inputs())
    succeed("run", folder / "adder.eyr", *given, "--function", "main")
    assert call("run", folder / "adder.eyr", *given, "--function", "nobody").code in (1, 2)


@pytest.mark.parametrize("threads", [1, 2])
def test_bench_json(folder, tmp_path, threads):
    given = arguments(tmp_path, network_inputs())
    told = json.loads(succeed("bench", folder / "network.eyr", *given, "--threads", threads, "--min-time", "0.05", "--json").out)
    assert {"min_ms", "median_ms", "p95_ms", "runs", "threads", "peak_rss_bytes", "arena_bytes"} <= set(told)
    assert 0 < told["min_ms"] <= told["median_ms"] <= told["p95_ms"] and told["threads"] == threads and told["runs"] > 1


def test_bench_makes_its_inputs(folder):
    text = succeed("bench", folder / "network.eyr", "--shape", "image=3x1x6x6", "--min-time", "0.05").out
    assert "ms" in text
    succeed("bench", folder / "network.eyr", "--shape", "batch=3", "--min-time", "0.05")
    fail("bench", folder / "network.eyr", "--min-time", "0.05", says=["image", "--shape batch=8"])


def test_bench_per_dispatch(folder):
    """Operations are known where sizes are: the product of 3 x 36 by 36 x 5, and what is added."""
    compile_model(folder / "network.onnx", folder / "fixed.eyr", "--shape", "image=3x1x6x6")
    told = json.loads(succeed("bench", folder / "fixed.eyr", "--min-time", "0.05", "--per-dispatch", "--json").out)
    rows = {row["name"]: row for row in told["profile"]}
    rows = {name: row for name, row in rows.items() if "gflops" in row}  # those that only move data have none
    operations = {name: row["gflops"] * row["ms"] * 1e6 for name, row in rows.items()}
    assert operations["matmul"] == pytest.approx(3 * 36 * 5 * 2 + 3 * 5)
    assert operations["conv_0"] == pytest.approx(3 * 4 * 36 * (2 * 9 + 2))  # bias, relu
    for row in rows.values():
        assert row["percent_of_peak"] == pytest.approx(100 * row["gflops"] / told["peak_gflops"])
    assert 0 < told["peak_gflops"] < 100000
    text = succeed("bench", folder / "network.eyr", "--shape", "image=3x1x6x6", "--min-time", "0.05", "--per-dispatch").out
    assert "GFLOPS" in text and "peak:" in text
    open_rows = [line for line in text.splitlines() if " matmul (" in line]
    assert len(open_rows) == 1 and open_rows[0].split()[3:5] == ["-", "-"]


def test_inspect(folder):
    text = succeed("inspect", folder / "network.eyr").out
    for part in "image", "scores", "batch", "f32":
        assert part in text, text
    assert len(succeed("inspect", folder / "network.eyr", "--vm").out) > len(text)
    told = json.loads(succeed("inspect", folder / "network.eyr", "--json").out)
    assert "image" in json.dumps(told) and "scores" in json.dumps(told)


def test_the_picture_of_a_memory_plan(folder, tmp_path):
    open_sizes = fail("inspect", folder / "network.eyr", "--memory", tmp_path / "open.svg", says=["main", "--shape"])
    assert "run time" in open_sizes.err and not (tmp_path / "open.svg").exists()
    batch = ",".join(map(str, network_inputs(4)["image"].shape)).replace(",", "x")
    compile_model(folder / "network.onnx", tmp_path / "fixed.eyr", "--shape", f"image={batch}")
    plan = json.loads(succeed("inspect", tmp_path / "fixed.eyr", "--json").out)["functions"][0]
    assert 0 < plan["lower_bound"] <= plan["arena_bytes"] <= plan["total_bytes"]
    succeed("inspect", tmp_path / "fixed.eyr", "--memory", tmp_path / "plan.svg")
    picture = ElementTree.parse(tmp_path / "plan.svg").getroot()
    tag = "{http://www.w3.org/2000/svg}"
    boxes = [{key: float(group.find(tag + "rect").get(key)) for key in ("x", "y", "width", "height")}
             for group in picture.iter(tag + "g")]
    titles = [group.find(tag + "title").text for group in picture.iter(tag + "g")]
    drawn = [row for row in plan["transients"] if row["size"]]
    assert len(boxes) == len(drawn) and all(row["name"] in title for row, title in zip(drawn, titles))
    apart = lambda a, b, at, size: a[at] + a[size] <= b[at] + 0.02 or b[at] + b[size] <= a[at] + 0.02
    for i, a in enumerate(boxes):
        assert all(apart(a, b, "x", "width") or apart(a, b, "y", "height") for b in boxes[:i]), titles[i]
    fail("inspect", tmp_path / "fixed.eyr", "--memory", tmp_path / "none" / "plan.svg", says="none")
