"""`eyrie compile` with a compiler that crashes, fails and hangs on demand: compile_test.py EYRIE FAKE_LIBRARY."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

EYRIE, LIBRARY = map(Path, sys.argv[1:3])


class CompileTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="eyrie compile test "))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "bin").mkdir()
        (self.folder / "out").mkdir()
        shutil.copy(EYRIE, self.folder / "bin" / "eyrie")
        shutil.copy(LIBRARY, self.folder / "bin" / "libeyrie-compiler.so")
        self.output = self.folder / "out" / "m.eyr"

    def model(self, word):
        path = self.folder / "model.onnx"
        path.write_text(word)
        return path

    def start(self, *arguments, command="compile", **options):
        environment = {**os.environ, "TMPDIR": str(self.folder)}
        return subprocess.Popen([self.folder / "bin" / "eyrie", command, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=environment, **options)

    def compile(self, word, *flags, output=None):
        process = self.start(self.model(word), "-o", output or self.output, *flags)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def files(self):
        return sorted(os.listdir(self.folder / "out"))

    def test_a_good_run_writes_the_output_and_says_nothing(self):
        self.assertEqual(self.compile("good", "-O1", "--shape", "x=1x3", "--shape", "y=2"), (0, "", ""))
        self.assertEqual(self.output.read_text(), "module\nopt-level=1\nshape=x=1x3\nshape=y=2\n")
        self.assertEqual(self.files(), ["m.eyr"])

    def test_output_can_be_standard_output(self):
        self.assertEqual(self.compile("good", output="-"), (0, "module\n", ""))

    def test_warnings_are_talk(self):
        self.assertEqual(self.compile("warn"), (0, "", "warning: odd\n"))

    def test_every_error_is_a_line_and_names_the_output(self):
        code, out, err = self.compile("bad")
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(err, f"eyrie: error: node 'a': wrong\neyrie: error: node 'b': cannot write '{self.output}'\n")

    def test_a_failure_leaves_the_old_output(self):
        self.output.write_text("old")
        for word in ["bad", "crash", "abort", "killed", "silent"]:
            self.compile(word)
            self.assertEqual(self.output.read_text(), "old")
            self.assertEqual(self.files(), ["m.eyr"])

    def test_a_crash_is_one_line_with_a_reproducer(self):
        for word, said in [("crash", "crashed: Segmentation fault in the stage 'target'"),
                           ("abort", "(Assertion `x' failed.)"), ("silent", "ended unexpectedly")]:
            code, out, err = self.compile(word)
            self.assertEqual((code, out, err.count("\n")), (3, "", 1), err)
            self.assertIn(said, err)
            reproducer = Path(err.split("how to see it again is in ")[1].strip())
            self.assertIn("eyrie compile", reproducer.read_text())

    def test_a_check_that_crashes_is_one_line_with_a_reproducer(self):
        process = self.start(self.model("abort"), command="check")
        out, err = process.communicate(timeout=30)
        self.assertEqual((process.returncode, out, err.count("\n")), (3, "", 1))
        self.assertIn("Assertion `x' failed.", err)
        (reproducer,) = self.folder.glob("eyrie-crash-*.txt")
        self.assertIn("eyrie check '", reproducer.read_text())
        self.assertEqual(self.files(), [])

    def test_no_memory_is_not_a_bug(self):
        code, _, err = self.compile("killed")
        self.assertEqual(code, 1)
        self.assertIn("was killed (is there enough memory?)", err)

    def test_wrong_values_are_usage(self):
        code, _, err = self.compile("good", "--cpu=wrong")
        self.assertEqual((code, err), (2, "eyrie: error: option 'cpu' cannot be 'wrong'\n"))
        code, _, err = self.compile("good", "--cpu=abacus")
        self.assertEqual((code, err), (2, "eyrie: error: there is no processor 'abacus'\n"))

    def test_outputs_that_cannot_be(self):
        folder = self.folder / "out"
        for output, said in [(folder, "it is a directory"), ("/dev/full", "it is not a regular file"),
                             (self.folder / "none" / "m.eyr", "No such file or directory"),
                             (self.folder / "model.onnx", "it is the model itself")]:
            code, _, err = self.compile("good", output=output)
            self.assertEqual((code, err), (1, f"eyrie: error: cannot write '{output}': {said}\n"))

    def test_models_that_cannot_be(self):
        for model, said in [(self.folder, "it is a directory"), (self.folder / "none", "No such file or directory"),
                            ("/dev/null", "it is not a regular file")]:
            process = self.start(model, "-o", self.output)
            self.assertEqual(process.communicate(timeout=30)[1], f"eyrie: error: cannot read '{model}': {said}\n")
            self.assertEqual(process.returncode, 1)

    def test_signals_leave_nothing(self):
        for number in [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]:
            for delay in [0, 0.003, 0.01, 0.05]:
                process = self.start(self.model("sleep"), "-o", self.output)
                time.sleep(delay)
                process.send_signal(number)
                process.communicate(timeout=30)
                self.assertEqual(process.returncode, -number)
                # After a kill the janitor is a moment behind.
                for _ in range(100):
                    if not self.files():
                        break
                    time.sleep(0.02)
                self.assertEqual(self.files(), [])

    def test_help_lists_stages_and_examples(self):
        process = self.start("--help")
        out, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        for text in ["Examples:", "eyrie compile model.onnx -o model.eyr", "Stages:", "--cpu CPU", "-O,--opt-level"]:
            self.assertIn(text, out)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
