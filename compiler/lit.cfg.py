"""lit's configuration for the rooms' tests: compiler/*/test/*.mlir run through eyrie-opt and FileCheck."""
import os
import lit.formats

config.name = "eyrie"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.excludes = ["cases"]  # kernels that KernelTest.cpp reads
config.test_source_root = os.path.dirname(__file__)
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
config.test_exec_root = os.path.join(root, "build", "lit")
tools = [os.environ.get("EYRIE_BIN", os.path.join(root, "build", "release", "bin")), "/usr/lib/llvm-22/bin"]
config.environment["PATH"] = os.pathsep.join(tools + [config.environment.get("PATH", "")])
