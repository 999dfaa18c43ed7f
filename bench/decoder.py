"""A decoder with a cache, token by token: Eyrie, which keeps the cache as a state, and ONNX Runtime, which is handed it.

Usage: decoder.py [--layers N] [--tokens N] [--rounds N] [--cpus LIST] [--threads N] [--precision TYPE] [--write FILE]

A GPT-2 of the usual size with past inputs and present outputs, as exporters write it, generates greedily from one
token. In ONNX Runtime the outputs of a step become the inputs of the next as values of its own, without a copy through
NumPy. Both run in turns in one pinned process. With --precision bf16 or f16 Eyrie's weights are of that type, ONNX
Runtime's f32; tokens that follow different ones are not compared.
"""
import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/models"), str(ROOT / "bench"), str(ROOT / "bindings/python")]
from architectures.decoder import gpt2  # noqa: E402
from bench import add_flags, choose_cpus, processor  # noqa: E402
from command import compile_model, relative_error  # noqa: E402

PAST, PRESENT = "past_key_values", "present"
HEADER = "| side | ms per token, min | median | last 16, median | tokens per second |\n|---|--:|--:|--:|--:|"


def generate(step, tokens):
    """Calls `step(ids, mask)` for each token; returns times in ms, tokens and logits."""
    token, times, made, logits = 1, [], [], []
    for i in range(tokens):
        ids, mask = np.array([[token]]), np.ones((1, i + 1), np.int64)
        start = time.perf_counter()
        result = step(ids, mask)
        times.append((time.perf_counter() - start) * 1000)
        token = int(result[0, -1].argmax())
        made.append(token)
        logits.append(result)
    return times, made, logits


def onnx_runtime(path, threads):
    """Returns what starts a conversation: a step function."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    caches = {value.name: value.shape for value in session.get_inputs() if value.name.startswith(PAST)}
    value = onnxruntime.OrtValue.ortvalue_from_numpy

    def begin():
        past = {name: value(np.zeros((shape[0], shape[1], 0, shape[3]), np.float32)) for name, shape in caches.items()}

        def step(ids, mask):
            results = dict(zip(outputs, session.run_with_ort_values(outputs, {**past, "input_ids": value(ids), "attention_mask": value(mask)})))
            past.update((name, results[name.replace(PAST, PRESENT)]) for name in past)
            return results["logits"].numpy()
        return step
    return begin


def eyrie_states(path, threads, tokens):
    """The same of Eyrie; `begin.instance` is the last one."""
    import eyrie
    module = eyrie.Module(path, threads=threads)

    def begin():
        begin.instance = module.instance()
        for state in module.states:
            begin.instance.reserve(state.name, [tokens if size == "past" else size for size in state.shape])
        return lambda ids, mask: begin.instance({"input_ids": ids, "attention_mask": mask})["logits"]
    return begin


def line(side, rounds) -> str:
    best = min(rounds, key=sum)
    return (f"| {side} | {min(best):.2f} | {statistics.median(best):.2f} | {statistics.median(best[-16:]):.2f} | "
            f"{1000 * len(best) / sum(best):.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="f32")
    add_flags(parser, rounds=3)
    flags = parser.parse_args()
    choose_cpus(flags)
    with tempfile.TemporaryDirectory() as folder:
        model, module = Path(folder) / "gpt2.onnx", Path(folder) / "gpt2.eyr"
        onnx.save(gpt2(31, flags.layers), model)
        told = compile_model(model, module, f"--state={PAST}.*={PRESENT}.*", f"--precision={flags.precision}")
        os.sched_setaffinity(0, flags.cpus)
        sides = {"Eyrie": eyrie_states(module, flags.threads, flags.tokens), "ONNX Runtime": onnx_runtime(model, flags.threads)}
        rounds, made, logits = {side: [] for side in sides}, {}, {}
        for _ in range(flags.rounds):
            for side, begin in sides.items():
                times, made[side], logits[side] = generate(begin(), flags.tokens)
                rounds[side].append(times)
        stats = sides["Eyrie"].instance.stats
    ratio = sum(min(rounds["ONNX Runtime"], key=sum)) / sum(min(rounds["Eyrie"], key=sum))
    differs = list(map(int.__ne__, made["Eyrie"], made["ONNX Runtime"]))
    same = differs.index(True) if True in differs else flags.tokens
    error = max(map(relative_error, logits["Eyrie"][:same + 1], logits["ONNX Runtime"][:same + 1]))
    lines = [HEADER, *(line(side, rounds[side]) for side in sides), "",
             f"{ratio:.2f} times ONNX Runtime's tokens per second; the first {same} of {flags.tokens} tokens are the same, relative "
             f"error of the logits at most {error:.1e}. Of the cache {stats['moved_bytes']} bytes were copied; compiled in "
             f"{told['compile_ms'] / 1000:.1f} s."]
    print(*lines, sep="\n")
    if flags.write:
        command = "bench/decoder.py " + " ".join(sys.argv[1:])
        flags.write.write_text(f"# A decoder with a cache\n\n`build/venv/bin/python {command.strip()}` on {time.strftime('%Y-%m-%d')}, "
                               f"{processor()}, {flags.threads} thread(s): GPT-2 with {flags.layers} layers, {flags.tokens} tokens one by one, "
                               f"best of {flags.rounds} rounds in turns.\n\n" + "\n".join(lines) + "\n")
    sys.exit((flags.precision == "f32" and same != flags.tokens) or stats["moved_bytes"] != 0)


if __name__ == "__main__":
    main()
