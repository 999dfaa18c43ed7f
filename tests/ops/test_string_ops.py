"""Operations that compute with strings, against ONNX Runtime, which is compared with where it keeps to ONNX."""
import random

import numpy as np
import onnx
import pytest
from graphs import BOOL, DOUBLE, FLOAT, INT64, STRING, check, node, refuse, refuse_call
from small import model_of

BOTH = (1, 2)  # numbers of threads
WORDS = np.array(["", "a", "Monday", "größer ÄÖÜß", "日本語", "🦅 x", "  two  words ", "a-b--c", "-", "tab\tand\nline", "ĲΣЖ", "a" * 300])


def one(op, inputs, outputs, opset=20, **attributes):
    """A model of one operation; inputs and outputs are (element type, shape)."""
    names = [f"x{i}" for i in range(len(inputs))], [f"y{i}" for i in range(len(outputs))]
    return model_of([node(op, *names, name="the_node", **attributes)], [(n, *i) for n, i in zip(names[0], inputs)],
                    [(n, *o) for n, o in zip(names[1], outputs)], opset=opset)


def feed(*arrays):
    return {f"x{i}": np.asarray(array) for i, array in enumerate(arrays)}


def give(*arrays):
    return {f"y{i}": np.asarray(array) for i, array in enumerate(arrays)}


def test_concat(tmp_path):
    model = one("StringConcat", [(STRING, ["n", 1]), (STRING, ["m"])], [(STRING, None)])
    check(tmp_path, model, *(feed(WORDS[:n].reshape(n, 1), WORDS[:m]) for n, m in ((3, 5), (12, 12), (1, 1), (0, 4), (2, 0))), threads=BOTH)


def test_concat_of_results_of_branches_and_constants(tmp_path):
    nodes = [node("StringConcat", ["w", "x"], ["a"]), node("StringConcat", ["a", "a"], ["b"]), node("StringConcat", ["w", "w"], ["c"]),
             node("Equal", ["a", "b"], ["same"]), node("Where", ["same", "c", "b"], ["y"])]
    model = model_of(nodes, [("x", STRING, ["n"])], [("y", STRING, None), ("same", BOOL, None), ("c", STRING, None)], [("w", np.array(""))], opset=20)
    check(tmp_path, model, {"x": WORDS}, {"x": WORDS[:1]}, {"x": WORDS[:0]}, threads=BOTH)


def test_chained_calls_and_many_strings(tmp_path):
    nodes = [node("StringConcat", ["x", "x"], ["a"]), node("StringConcat", ["a", "x"], ["b"]), node("StringNormalizer", ["b"], ["y"], case_change_action="UPPER")]
    model = model_of(nodes, [("x", STRING, ["n"])], [("y", STRING, None)], opset=20)
    many = np.array([f"w{k}" for k in range(5000)])
    check(tmp_path, model, {"x": many}, want={"y": np.array([text.upper() * 3 for text in many])})


@pytest.mark.parametrize("delimiter, most", [(None, None), ("", 1), ("-", None), ("-", 1), ("--", None), ("-", 0), (None, 0)])
def test_split(tmp_path, delimiter, most):
    attributes = {k: v for k, v in {"delimiter": delimiter, "maxsplit": most}.items() if v is not None}
    model = one("StringSplit", [(STRING, ["n"])], [(STRING, None), (INT64, None)], **attributes)

    def want(model, given):
        # An empty string has no parts, as in ONNX Runtime.
        parts = [text.split(delimiter or None, -1 if most is None else most) if text else [] for text in given["x0"]]
        width = max(map(len, parts), default=0)
        table = np.array([row + [""] * (width - len(row)) for row in parts], dtype=object).reshape(len(parts), width)
        return give(table.astype(str) if table.size else np.empty(table.shape, "U1"), np.array([len(row) for row in parts], np.int64))

    check(tmp_path, model, feed(WORDS), feed(WORDS[:1]), feed(WORDS[:0]), feed(WORDS[6:8]), threads=BOTH, want=want)


def test_parts_of_a_split_are_used(tmp_path):
    nodes = [node("StringSplit", ["x"], ["parts", "count"], delimiter="-"), node("Shape", ["parts"], ["shape"]), node("StringConcat", ["parts", "w"], ["y"])]
    model = model_of(nodes, [("x", STRING, ["n", 2])], [("y", STRING, None), ("shape", INT64, None)], [("w", np.array("!"))], opset=20)
    check(tmp_path, model, {"x": np.array([["a-b", "c"], ["d-e-f", "g-"]])}, {"x": np.array([["a", "b"]])}, threads=BOTH)


STOPS = ["monday", "Tuesday", "größer äöüß"]
DAYS = np.array(["Monday", "monday", "TUESDAY", "Tuesday", "wednesday", "größer äöüß", "Größer ÄÖÜß", "ĲΣЖ ÿ"])


@pytest.mark.parametrize("stops", [None, STOPS])
@pytest.mark.parametrize("action", ["NONE", "LOWER", "UPPER"])
@pytest.mark.parametrize("sensitive", [0, 1])
def test_normalizer(tmp_path, stops, action, sensitive):
    attributes = {"case_change_action": action, "is_case_sensitive": sensitive, **({"stopwords": stops} if stops else {})}
    change = {"NONE": str, "LOWER": str.lower, "UPPER": lambda text: text.upper().replace("SS", "ß")}[action]

    def want(model, given):
        key = str if sensitive else str.lower
        x = given["x0"]
        left = [change(text) for text in x.reshape(-1) if key(text) not in map(key, stops or [])] or [""]
        return give(np.array(left).reshape((1, -1) if x.ndim == 2 else -1))

    check(tmp_path, one("StringNormalizer", [(STRING, ["n"])], [(STRING, None)], **attributes), feed(DAYS), feed(DAYS[:1]), feed(DAYS[:0]), want=want)
    check(tmp_path, one("StringNormalizer", [(STRING, [1, "n"])], [(STRING, None)], **attributes), feed(DAYS[None]), threads=BOTH, want=want)


@pytest.mark.parametrize("action,text,want", [("LOWER", "İᾈẞ", "iᾀß"), ("UPPER", "ᾀᾳß", "ᾈᾼß")])
def test_case_is_that_of_single_letters(tmp_path, action, text, want):
    model = one("StringNormalizer", [(STRING, [1])], [(STRING, None)], case_change_action=action)
    check(tmp_path, model, feed([text]), want=give([want]))


def test_normalizer_refuses(tmp_path):
    refuse(tmp_path, one("StringNormalizer", [(STRING, [2, 3])], [(STRING, None)]), "the_node", "[C] or [1, C]", "string[2, 3]")
    turkish = one("StringNormalizer", [(STRING, [3])], [(STRING, None)], locale="tr_TR", case_change_action="LOWER")
    refuse(tmp_path, turkish, "the_node", "letters of the locale 'tr_TR' are not supported")


# ---- Regular expressions

PATTERNS = [r"", r"a*", r".", r".*", r"(?s).*", r"a|b|", r"(ab)+c?", r"[^a-c]+", r"\d{2,4}", r"\w+@\w+\.(com|org)", r"x{0}y", r"(a|ab)(c|bcd)*",
            r"[[:alpha:]]+", r"[\d\-_]+", r"(?i)straße|ÄB", r"[äöü]+", r"日.語", r"\x41\x{1F985}", r"^a$", r"\Aa\z", r"(?m)a$\n^b", r"a\b.*", r"\Bab", r"\Q.*\E",
            r"a+?", r"a??b", r"(?:x|y){2,}", r"(?P<name>a)b", r"(?-i)A", r"[]a]+", r"[^]a]", r"a{,2}", r"{", r"a{1", r"[[:^digit:]]", r"\C+", r"(a*)*b",
            r"((a|b)*c)*", r"\n", r"[\x00-\x{10FFFF}]", r"(?U)a*", r"\141", r"(|a)+", r"^*", r"(?i)i", r"(?i)ᾀ", r"(?i)k", r"(?i)İ"]
TEXTS = ["", "a", "b", "ab", "abab", "ababc", "abc", "abcd", "12", "1234", "12345", "me@x.org", "me@xxorg", "y", "xyx", "-_3", "STRASSE", "Straße", "STRAßE", "äb",
         "Äb", "äöü", "日本語", "日\n語", "A🦅", "a\nb", "a b", "a.b", ".*", "aaaa", "aab", "]", "]a", "a{,2}", "{", "a{1", "acac", "acb", "\n", "A", "ü", "\U0010ffff", "i", "İ", "ᾈ", "ᾀ", "\u212a"]


def match_all(tmp_path, patterns, texts, want):
    """One model with a node for each pattern."""
    nodes = [node("RegexFullMatch", ["x"], [f"y{i}"], pattern=pattern) for i, pattern in enumerate(patterns)]
    model = model_of(nodes, [("x", STRING, ["n"])], [(f"y{i}", BOOL, None) for i in range(len(patterns))], opset=20)
    check(tmp_path, model, {"x": np.array(texts)}, want=want)


def by_onnx_runtime(patterns, texts):
    """Which texts each pattern matches; None for a pattern that RE2 refuses."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    found = []
    for pattern in patterns:
        model = one("RegexFullMatch", [(STRING, ["n"])], [(BOOL, ["n"])], pattern=pattern)
        try:
            session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception:  # noqa: BLE001 - it has one type for everything
            found.append(None)
            continue
        found.append(session.run(None, {"x0": np.array(texts, dtype=object)})[0])
    return found


def test_patterns(tmp_path):
    matches = by_onnx_runtime(PATTERNS, TEXTS)
    assert all(m is not None for m in matches), [p for p, m in zip(PATTERNS, matches) if m is None]
    match_all(tmp_path, PATTERNS, TEXTS, {f"y{i}": m for i, m in enumerate(matches)})


def random_pattern(choose, depth=3):
    if depth == 0:
        return choose.choice(["a", "b", "c", "é", ".", "[ab]", "[^a]", r"\w", r"\W", r"\d", "[a-cé]", r"\b", "^", "$", ""])
    inner = lambda: random_pattern(choose, depth - 1)
    kind = choose.randrange(4)
    if kind == 0:
        return inner() + inner()
    if kind == 1:
        return f"({inner()}|{inner()})"
    if kind == 2:
        return f"(?:{inner()}){choose.choice(['*', '+', '?', '{2}', '{1,3}', '{2,}', '*?'])}"
    return choose.choice(["(?i:", "(?s:", "("]) + inner() + ")"


def test_random_patterns(tmp_path):
    choose = random.Random(7)
    patterns = [random_pattern(choose) for _ in range(150)]
    texts = ["".join(choose.choice("abcé1 \nA") for _ in range(choose.randrange(7))) for _ in range(60)]
    matches = by_onnx_runtime(patterns, texts)
    good = [i for i, m in enumerate(matches) if m is not None]
    assert len(good) > 100
    match_all(tmp_path, [patterns[i] for i in good], texts, {f"y{k}": matches[i] for k, i in enumerate(good)})


def test_time_is_linear(tmp_path):
    match_all(tmp_path, ["(a*)*b", "(a|aa)+$"], ["a" * 20000], {"y0": np.array([False]), "y1": np.array([True])})


@pytest.mark.parametrize("pattern, says", [
    ("(a", "'(' without ')', at byte 0"), ("a)", "')' without '(', at byte 1"), ("[a", "'[' without ']', at byte 0"), ("*a", "nothing to repeat, at byte 0"),
    ("a**", "a repetition of a repetition, at byte 2"), ("a{3,2}", "repetitions must be 0 to 1000, in order, at byte 1"), ("a{1001}", "repetitions must be"),
    (r"(a)\1", "references to groups are not possible in linear time, at byte 3"), ("a(?=b)", "looking ahead or back is not possible"),
    (r"\pL", "classes of Unicode (\\p) are not supported"), (r"\y", "an unknown escape"), ("a\\", "a backslash at the end"), ("[b-a]", "a range whose end lies before"),
    ("[[:nope:]]", "an unknown class of characters"), ("(?x)a", "an unknown flag or kind of group"), ("(?P<1-2>a)", "a group has a bad name"), (r"\xg", "hexadecimal"),
    ("((a{100}){100}){100}", "the regular expression is too large"), ("(" * 300 + ")" * 300, "nested too deep"), ("[a-b-c]", "a range without a begin"),
])
def test_patterns_that_cannot_be_used(tmp_path, pattern, says):
    refuse(tmp_path, one("RegexFullMatch", [(STRING, ["n"])], [(BOOL, None)], pattern=pattern), "the_node", says)


# ---- Numbers

def cast_to(kind):
    return onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
def test_integers(tmp_path, kind):
    limits = np.iinfo(kind)
    numbers = np.array([0, 1, limits.min, limits.max, 42], kind)
    check(tmp_path, one("Cast", [(cast_to(kind), ["n"])], [(STRING, None)], to=STRING), feed(numbers), feed(numbers[:0]), want=lambda m, f: give(f["x0"].astype(str) if len(f["x0"]) else np.empty(0, "U1")))
    texts = [*map(str, numbers), " 7 ", "+3", "3.7", "1e1"]
    check(tmp_path, one("Cast", [(STRING, ["n"])], [(cast_to(kind), None)], to=cast_to(kind)), feed(np.array(texts)), want=give(np.array([*numbers, 7, 3, 3, 10], kind)))
    model = one("Cast", [(STRING, ["n"])], [(cast_to(kind), None)], to=cast_to(kind))
    for bad in ("", "x", "1x", "NaN", "0x10", str(int(limits.max) + 1), str(int(limits.min) - 1)):
        refuse_call(tmp_path, model, feed(np.array(["1", bad])), "the_node", f"element 1, '{bad}', is not an integer of {limits.bits} bits")


@pytest.mark.parametrize("kind, scale", [("f4", 40), ("f8", 300)])
def test_floats_come_back(tmp_path, kind, scale):
    choose = np.random.default_rng(3)
    numbers = np.concatenate([[0, -0.0, 1, 0.1, 1 / 3, 1e-5, 123456789, np.finfo(kind).max, np.finfo(kind).tiny, np.finfo(kind).smallest_subnormal, np.nan, np.inf, -np.inf],
                              choose.standard_normal(500) * 10.0 ** choose.integers(-scale + 4, scale - 4, 500)]).astype(kind)
    nodes = [node("Cast", ["x"], ["text"], to=STRING), node("Cast", ["text"], ["y"], to=cast_to(kind))]
    model = model_of(nodes, [("x", cast_to(kind), ["n"])], [("y", cast_to(kind), None)], opset=20)
    check(tmp_path, model, {"x": numbers}, want={"y": numbers})


def test_how_floats_are_written(tmp_path):
    numbers = np.array([0.1, 1, 1e10, 0.5, -0.0, np.nan, np.inf, -np.inf, 0.33333334, 3.1415927, 1e-5])
    texts = ["0.1", "1", "1e+10", "0.5", "-0", "NaN", "INF", "-INF", "0.33333334", "3.1415927", "1e-05"]
    for kind in (FLOAT, DOUBLE):
        x = numbers.astype("f4" if kind == FLOAT else "f8")
        # A number of many digits has an exponent once they are not enough to write it.
        texts[2] = "1e+10" if kind == FLOAT else "10000000000"
        check(tmp_path, one("Cast", [(kind, ["n"])], [(STRING, None)], to=STRING), feed(x), want=give(np.array(texts)))
    check(tmp_path, one("Cast", [(BOOL, ["n"])], [(STRING, None)], to=STRING), feed(np.array([True, False])))
    half = onnx.TensorProto.FLOAT16
    check(tmp_path, one("Cast", [(half, ["n"])], [(STRING, None)], to=STRING), feed(np.array([0.1, 1, 1000], np.float16)))


def test_how_floats_are_read(tmp_path):
    texts = ["1", "-3.5", "NaN", "nan", "INF", "-inf", "+Infinity", "1e3", " 4 ", ".5", "5.", "1E-3"]
    values = np.array([1, -3.5, np.nan, np.nan, np.inf, -np.inf, np.inf, 1000, 4, 0.5, 5, 1e-3])
    for kind in ("f4", "f8", "f2"):
        model = one("Cast", [(STRING, ["n"])], [(cast_to(kind), None)], to=cast_to(kind))
        check(tmp_path, model, feed(np.array(texts)), want=give(values.astype(kind)))
        for bad in ("", "x", "1,5", "0x10", "1 2", "nan(1)"):
            refuse_call(tmp_path, model, feed(np.array([bad])), "the_node", f"element 0, '{bad}', is not a number")
    check(tmp_path, one("Cast", [(STRING, ["n"])], [(BOOL, None)], to=BOOL), feed(np.array(["0", "1", "-2"])), want=give([False, True, True]))


def test_cast_like(tmp_path):
    check(tmp_path, one("CastLike", [(FLOAT, ["n"]), (STRING, [1])], [(STRING, None)]), feed(np.array([1.5], np.float32), ["s"]), want=give(np.array(["1.5"])))
    check(tmp_path, one("CastLike", [(STRING, ["n"]), (FLOAT, [1])], [(FLOAT, None)]), feed(["1.5"], np.array([0], np.float32)), want=give(np.array([1.5], np.float32)))
    check(tmp_path, one("CastLike", [(STRING, ["n"]), (STRING, [1])], [(STRING, None)]), feed(["1.5"], ["s"]), want=give(np.array(["1.5"])))


def test_vectorizer(tmp_path):
    attributes = {"mode": "TF", "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 1, "ngram_counts": [0, 3], "ngram_indexes": [0, 1, 2, 3],
                  "pool_strings": ["a", "größer", "Monday", "a", "größer"]}
    model = one("TfIdfVectorizer", [(STRING, ["n"])], [(FLOAT, None)], **attributes)
    check(tmp_path, model, feed(["a", "größer", "b", "a", "x", "größer", "Monday"]), feed(["b"]), threads=BOTH)


def test_numbers_are_no_strings(tmp_path):
    refuse(tmp_path, one("StringConcat", [(FLOAT, [2]), (FLOAT, [2])], [(STRING, None)]), "the_node", "expected strings, found f32[2]")
    refuse(tmp_path, one("StringConcat", [(FLOAT, [2]), (STRING, [2])], [(STRING, None)]), "the_node", "expected strings like the other inputs")
    refuse(tmp_path, one("StringSplit", [(INT64, [2])], [(STRING, None), (INT64, None)]), "the_node", "expected strings, found i64[2]")
    refuse(tmp_path, one("RegexFullMatch", [(INT64, [2])], [(BOOL, None)], pattern="a"), "the_node", "expected strings, found i64[2]")
