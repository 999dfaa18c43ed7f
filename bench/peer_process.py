"""Times one model in one peer, in a process and (but for ONNX Runtime) an environment of its own. `bench.py` starts it.

Usage: peer_process.py PEER MODEL INPUTS --threads N --seconds S [--outputs FILE]

Prints smallest and median milliseconds of a call, the number of calls and the largest resident memory as JSON.
"""
import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np


def onnx_runtime(model, feed, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feed)


def openvino(model, feed, threads, precision="f32"):
    from openvino import Core, Type
    core = Core()
    program = core.read_model(model)
    # Open sizes are given, as its users are told to do where they are known.
    program.reshape({port: feed[port.get_any_name()].shape for port in program.inputs if port.partial_shape.is_dynamic})
    hint = {"f32": Type.f32, "bf16": Type.bf16}[precision]
    compiled = core.compile_model(program, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": "1",
                                                   "INFERENCE_PRECISION_HINT": hint, "ENABLE_CPU_PINNING": False})
    request = compiled.create_infer_request()
    arrays = {port.get_any_name(): feed[port.get_any_name()] for port in compiled.inputs}
    return lambda: list(request.infer(arrays, share_inputs=True, share_outputs=True).values())


def xla(model, feed, threads):
    import os
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    import jax
    import onnx
    from jaxonnxruntime.backend import Backend
    program = Backend.prepare(onnx.load(model))
    call = jax.jit(lambda arrays: program.run(arrays))
    arrays = {name: jax.numpy.asarray(array) for name, array in feed.items()}
    return lambda: [np.asarray(value) for value in jax.block_until_ready(call(arrays))]


PEERS = {"ort": onnx_runtime, "openvino": openvino, "xla": xla,
         "openvino-bf16": lambda *arguments: openvino(*arguments, precision="bf16")}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("model")
    parser.add_argument("inputs")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    flags = parser.parse_args()
    with np.load(flags.inputs) as archive:
        feed = {name: archive[name] for name in archive.files}
    call = PEERS[flags.peer](flags.model, feed, flags.threads)
    for _ in range(3):
        call()
    times, end = [], time.perf_counter() + flags.seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"min_ms": min(times), "median_ms": statistics.median(times), "runs": len(times),
                      "peak_rss_bytes": peak}))


if __name__ == "__main__":
    main()
