"""Every operator that the installed onnx package defines, in each of its versions, is known to the importer."""
import re

import onnx
import pytest
from command import call
from onnx import defs, helper

# Operators that stay out, and why; those of "not yet" are on the list of what is to come.
ABSENT = {
    "ai.onnx.preview.training::Gradient": "asks for automatic differentiation",
}
SCHEMAS = [schema for schema in defs.get_all_schemas_with_history() if not schema.deprecated]
VERSIONS = sorted({(schema.domain, schema.since_version) for schema in SCHEMAS})
UNKNOWN = r"this operation is not supported yet|is there since operator set|operations of the domain"


def full_name(schema):
    return f"{schema.domain}::{schema.name}" if schema.domain else schema.name


@pytest.mark.parametrize("domain, version", VERSIONS, ids=lambda value: str(value) or "onnx")
def test_operators_of_a_version(tmp_path, domain, version):
    """One node of each operator that this version introduced or changed. They have no operands, so nearly all are refused:
    but not for being unknown."""
    schemas = [schema for schema in SCHEMAS if (schema.domain, schema.since_version) == (domain, version)]
    nodes = [helper.make_node(schema.name, [], [f"y{i}"], name=f"n{i}", domain=domain) for i, schema in enumerate(schemas)]
    outputs = [onnx.ValueInfoProto(name=f"y{i}") for i in range(len(schemas))]
    opsets = [helper.make_opsetid(domain, version)] + ([helper.make_opsetid("", 20)] if domain else [])
    model = helper.make_model(helper.make_graph(nodes, "all", [], outputs), opset_imports=opsets, ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    said = call("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.eyr").err
    unknown = {name for name, reason in re.findall(r"^ *(\S+) \((?:opset|version) \d+\): (.*)$", said, re.M) if re.search(UNKNOWN, reason)}
    assert unknown <= set(ABSENT), said
    out = {full_name(schema) for schema in schemas} & {name for name, reason in ABSENT.items() if reason != "not yet"}
    assert out <= unknown, "no longer absent"
