"""The onnx package's own cases of sequences, strings and optional values, with the numbers that come with them."""
from pathlib import Path

import onnx
import pytest
from command import check_equal, compile_model, run_module
from onnx import numpy_helper
from reference import plain

DATA = Path(onnx.__file__).parent / "backend/test/data"
PATTERNS = ["node/test_sequence_*", "node/test_identity_sequence", "node/test_if_seq", "node/test_loop13_seq", "node/test_split_to_sequence_*",
            "node/test_equal_string*", "simple/test_sequence_model*", "node/test_optional_get_element_[st]*",
            "node/test_optional_has_element_empty_no_input*"]
CASES = sorted({path for pattern in PATTERNS for path in DATA.glob(pattern)})


def test_the_package_has_its_cases():
    assert len(CASES) > 20, f"{DATA} has only {len(CASES)} cases"


def read(path, declared):
    data = path.read_bytes()
    if declared.type.HasField("sequence_type"):
        return plain(numpy_helper.to_list(onnx.SequenceProto.FromString(data)))
    return plain(numpy_helper.to_array(onnx.TensorProto.FromString(data)))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name.removeprefix("test_"))
def test_case(tmp_path, case):
    model = onnx.load(case / "model.onnx")
    compile_model(case / "model.onnx", tmp_path / "model.eyr")
    kept = {tensor.name for tensor in model.graph.initializer}
    given = [row for row in model.graph.input if row.name not in kept]
    for data in sorted(case.glob("test_data_set_*")):
        inputs, outputs = ({row.name: read(data / f"{kind}_{i}.pb", row) for i, row in enumerate(rows)}
                           for kind, rows in (("input", given), ("output", model.graph.output)))
        check_equal(run_module(tmp_path / "model.eyr", inputs, tmp_path), outputs, 1e-5)
