"""Compiles models into modules, in this process."""
import json
import os
import tempfile
import warnings
from pathlib import Path

from . import _compiler as native
from . import expansion


class CompileError(RuntimeError):
    """The compiler refused: the text is its message. `is_usage`: an option, not the model, is wrong."""

    def __init__(self, message, is_usage=False):
        super().__init__(message)
        self.is_usage = is_usage


class CompileWarning(UserWarning):
    """The compiler's warnings."""


def compile(model, output=None, *, functions=(), expansions=None, progress=None, options=None, **named):
    """Compiles a model and returns the path of the module, or its bytes if no `output` is given.

    `model`       a path, bytes or an onnx.ModelProto; or a dict of them: the module's functions by name
    `functions`   of operators that neither the model nor the compiler defines: paths, FunctionProto, ModelProto,
                  onnxscript functions, bytes
    `expansions`  callbacks by operator, as ("my.domain", "Op") or "my.domain::Op": fn(node), with an
                  `eyrie.expansion.Node`, returns a FunctionProto, an onnxscript function, or a list of NodeProto that
                  read and make what the node does, by its names; or None, and the node is taken as without the callback
    `progress`    called with the name, the number and the count of stages as each begins
    Options are those of `eyrie compile`, by name in `options` or with _ for - as further arguments: opt_level=2,
    shape={"x": (1, 3, 224, 224), "batch": "1..8"}, state={"past": "present"}, strip=True, override=["my.domain::Op"].
    Raises CompileError; warnings are CompileWarning.
    """
    with _Job(functions, expansions, progress, {**(options or {}), **named}) as job:
        path = job.folder / "module.eyr" if output is None else Path(output)
        job.run(model, lambda handle, file: job.library.compile_run(handle, file, os.fsencode(path)))
        return path.read_bytes() if output is None else path


def check(model, *, functions=(), expansions=None, options=None, **named) -> dict:
    """What `eyrie check --json` says: whether the model can be compiled (CompileError if not) and what it will cost.

    Arguments are those of `compile`.
    """
    with _Job(functions, expansions, None, {**(options or {}), **named}) as job:
        job.run(model, job.library.compile_estimate)
        return json.loads(job.library.compile_report(job.handle))


def compiler_version() -> str:
    return native.load().compiler_version().decode()


class _Job:
    """One compile job, and the folder for what is given as bytes."""

    def __init__(self, functions, expansions, progress, options):
        self.library = native.load()
        self._errors = []  # of expansions: the compiler's message tells whether they count
        self._fatal = []   # what is raised whatever the compiler says
        self._kept = []    # callbacks, which the compiler holds as pointers
        self._folder = tempfile.TemporaryDirectory(prefix="eyrie-")
        self.folder = Path(self._folder.name)
        self.handle = self.library.compile_create()
        if not self.handle:
            raise MemoryError("no memory for a compile job")
        try:
            self._configure(functions, expansions or {}, progress, options)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.compile_destroy(self.handle)
        self._folder.cleanup()

    def _configure(self, functions, expansions, progress, options):
        kinds = self.library.options()
        for name, value in options.items():
            name = name.replace("_", "-")
            for text in _texts(value, kinds[name].kind if name in kinds else None):
                self._check(self.library.compile_set(self.handle, name.encode(), text.encode()))
        for i, function in enumerate([functions] if isinstance(functions, (str, os.PathLike)) else functions):
            path = self._file(function, f"functions-{i}.onnx", expansion.library_bytes)
            self._check(self.library.compile_set(self.handle, b"functions", os.fsencode(path)))
        for operator, expand in expansions.items():
            domain, name = operator if isinstance(operator, tuple) else operator.rpartition("::")[::2]
            callback = native.Expand(lambda _, node, answer, expand=expand: self._expand(expand, node, answer))
            self._kept.append(callback)
            self._check(self.library.compile_add_expansion(self.handle, domain.encode(), name.encode(), callback, None))
        if progress:
            report = native.Progress(lambda _, stage, index, count: self._progress(progress, stage.decode(), index, count))
            self._kept.append(report)
            self.library.compile_on_progress(self.handle, report, None)

    def run(self, model, step):
        if isinstance(model, dict):
            for i, (name, each) in enumerate(model.items()):
                path = self._file(each, f"model-{i}.onnx", expansion.model_bytes)
                self._check(self.library.compile_add(self.handle, os.fsencode(path), name.encode()))
            path = None
        else:
            path = os.fsencode(self._file(model, "model.onnx", expansion.model_bytes))
        result = step(self.handle, path)
        for error in self._fatal:
            raise error
        self._check(result)
        for line in self._message().splitlines():
            warnings.warn(line.removeprefix("warning: "), CompileWarning, stacklevel=3)

    def _file(self, given, name, to_bytes):
        """A path for what is given as a path, as bytes or as a message."""
        if isinstance(given, (str, os.PathLike)):
            return Path(given)
        path = self.folder / name
        path.write_bytes(to_bytes(given))
        return path

    def _message(self):
        text = self.library.compile_message(self.handle).decode(errors="replace")
        return text.replace(str(self.folder) + os.sep, "")

    def _check(self, result):
        if result != native.OK:
            message = self._message()
            cause = next((error for error in self._errors if str(error) in message), None)
            raise CompileError(message, result == native.USAGE) from cause

    # Exceptions of callbacks wait until the compiler has returned.

    def _progress(self, progress, *arguments):
        try:
            progress(*arguments)
        except BaseException as error:
            self._fatal.append(error)

    def _expand(self, expand, node, answer):
        try:
            asked = expansion.Node(node.contents)
            made = expansion.answer_bytes(expand(asked), asked)
            if made is not None:
                self.library.expansion_give(answer, made, len(made))
        except BaseException as error:
            (self._errors if isinstance(error, Exception) else self._fatal).append(error)
            self.library.expansion_fail(answer, f"{type(error).__name__}: {error}".encode(errors="replace"))


def _texts(value, kind):
    """A value of an option as the compiler reads it, or several."""
    if isinstance(value, dict):
        return [f"{name}={_sizes(sizes)}" for name, sizes in value.items()]
    if kind in (native.SHAPE, native.PAIR, native.LIST) and isinstance(value, (list, tuple)):
        return [str(each) for each in value]
    if isinstance(value, bool):
        return [str(value).lower()]
    return [os.fspath(value) if isinstance(value, os.PathLike) else str(value)]


def _sizes(sizes):
    return "x".join(map(str, sizes)) if isinstance(sizes, (list, tuple)) else str(sizes)
