// Regular expressions to automata: a parser by recursive descent, which makes a tree, and Thompson's construction,
// which makes steps of it from the end to the begin. Sets of characters become sequences of byte ranges of UTF-8.
#include "compiler/ops/Pattern.h"
#include "abi/letter_case.h"
#include "abi/pattern.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <memory>
#include <optional>

namespace abi = eyrie::abi;
using abi::PatternOp;
using llvm::StringRef;

namespace {

constexpr uint32_t kLast = 0x10ffff; // code point
constexpr int kMostRepeats = 1000;   // as in RE2
constexpr unsigned kMostDepth = 200; // of groups

/// Ranges of code points.
using Set = std::vector<std::pair<uint32_t, uint32_t>>;

/// Ascending ranges that do not touch.
Set normalize(Set set) {
  llvm::sort(set);
  Set result;
  for (auto [low, high] : set) {
    if (!result.empty() && low <= result.back().second + 1)
      result.back().second = std::max(result.back().second, high);
    else
      result.emplace_back(low, high);
  }
  return result;
}

Set complement(const Set &set) {
  Set result;
  uint32_t next = 0;
  for (auto [low, high] : normalize(set)) {
    if (low > next)
      result.emplace_back(next, low - 1);
    next = high + 1;
  }
  if (next <= kLast)
    result.emplace_back(next, kLast);
  return result;
}

/// With the other cases of its letters.
Set withBothCases(Set set) {
  set = normalize(set);
  Set result = set;
  auto holds = [&](uint32_t c) {
    auto behind = llvm::upper_bound(set, std::make_pair(c, kLast + 1));
    return behind != set.begin() && std::prev(behind)->second >= c;
  };
  for (uint32_t c = 0; c < 0x1ffff; ++c) {
    if (c == 0x130) // becomes "i" in lower case, but Unicode does not take it for one where case is ignored
      continue;
    uint32_t lower = abi::ChangeCase(c, false), upper = abi::ChangeCase(c, true);
    if ((lower != c && holds(lower)) || (upper != c && holds(upper)) ||
        (upper != c && holds(abi::ChangeCase(upper, false))))
      result.emplace_back(c, c);
  }
  return normalize(result);
}

struct Node {
  enum Kind { Empty, Chars, Bytes, Concat, Either, Repeat, Assert } kind = Empty;
  Set set; // Chars; Bytes: of bytes
  std::vector<std::unique_ptr<Node>> children;
  int least = 0, most = -1; // Repeat; -1: any number
  PatternOp assertion = PatternOp::kBegin;
};
using NodePtr = std::unique_ptr<Node>;

NodePtr make(Node::Kind kind) {
  auto node = std::make_unique<Node>();
  node->kind = kind;
  return node;
}

NodePtr makeChars(Set set) {
  NodePtr node = make(Node::Chars);
  node->set = normalize(std::move(set));
  return node;
}

NodePtr makeAssert(PatternOp op) {
  NodePtr node = make(Node::Assert);
  node->assertion = op;
  return node;
}

const Set kDigit = {{'0', '9'}}, kSpace = {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}},
          kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};

std::optional<Set> findPosixClass(StringRef name) {
  static const std::pair<StringRef, Set> classes[] = {
      {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
      {"alpha", {{'A', 'Z'}, {'a', 'z'}}},
      {"ascii", {{0, 0x7f}}},
      {"blank", {{'\t', '\t'}, {' ', ' '}}},
      {"cntrl", {{0, 0x1f}, {0x7f, 0x7f}}},
      {"digit", kDigit},
      {"graph", {{'!', '~'}}},
      {"lower", {{'a', 'z'}}},
      {"print", {{' ', '~'}}},
      {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
      {"space", {{'\t', '\r'}, {' ', ' '}}},
      {"upper", {{'A', 'Z'}}},
      {"word", kWord},
      {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
  };
  for (auto &[known, set] : classes)
    if (known == name)
      return set;
  return std::nullopt;
}

class Parser {
public:
  explicit Parser(StringRef pattern) : pattern(pattern), rest(pattern) {}

  llvm::Expected<NodePtr> run() {
    NodePtr node = parseEither(0);
    if (error.empty() && !rest.empty())
      fail("')' without '('"); // all else is taken
    if (!error.empty())
      return llvm::createStringError(
          llvm::formatv("the regular expression '{0}' cannot be used: {1}, at byte {2}", pattern, error, place).str());
    return std::move(node);
  }

private:
  struct Flags {
    bool ignoreCase = false, dotTakesLines = false, manyLines = false;
  };

  void fail(const llvm::Twine &text) {
    if (!error.empty())
      return;
    error = text.str();
    place = pattern.size() - rest.size();
  }
  bool isGood() const { return error.empty(); }

  NodePtr parseEither(unsigned depth) {
    NodePtr either = make(Node::Either);
    if (depth > kMostDepth) {
      fail("groups are nested too deep");
      return either;
    }
    do
      either->children.push_back(parseConcat(depth));
    while (isGood() && rest.consume_front("|"));
    return either;
  }

  NodePtr parseConcat(unsigned depth) {
    NodePtr concat = make(Node::Concat);
    while (isGood() && !rest.empty() && rest[0] != '|' && rest[0] != ')') {
      if (rest.consume_front("\\Q")) {
        size_t end = rest.find("\\E");
        StringRef literal = rest.substr(0, end);
        rest = rest.drop_front(std::min(rest.size(), end == StringRef::npos ? end : end + 2));
        while (isGood() && !literal.empty())
          concat->children.push_back(makeOne(takeChar(literal)));
        continue;
      }
      if (NodePtr atom = parseAtom(depth))
        concat->children.push_back(parseRepeats(std::move(atom)));
    }
    return concat;
  }

  NodePtr parseRepeats(NodePtr atom) {
    bool isRepeated = false;
    while (isGood() && !rest.empty()) {
      StringRef before = rest;
      int least = 0, most = -1;
      if (rest.consume_front("*")) {
      } else if (rest.consume_front("+")) {
        least = 1;
      } else if (rest.consume_front("?")) {
        most = 1;
      } else if (!parseCount(least, most)) {
        return atom;
      }
      if (isRepeated) {
        rest = before;
        fail("a repetition of a repetition");
        return atom;
      }
      if (least > kMostRepeats || most > kMostRepeats || (most >= 0 && most < least)) {
        rest = before;
        fail("repetitions must be 0 to 1000, in order");
      }
      rest.consume_front("?"); // whether it takes few or many, it matches the same texts
      isRepeated = true;
      NodePtr repeat = make(Node::Repeat);
      repeat->least = least;
      repeat->most = most;
      repeat->children.push_back(std::move(atom));
      atom = std::move(repeat);
    }
    return atom;
  }

  /// {n}, {n,} or {n,m}; anything else that begins with a brace is text.
  bool parseCount(int &least, int &most) {
    StringRef at = rest;
    auto number = [&](int &value) {
      StringRef digits = at.take_while(llvm::isDigit);
      at = at.drop_front(digits.size());
      if (digits.empty())
        return false;
      if (digits.getAsInteger(10, value))
        value = kMostRepeats + 1;
      return true;
    };
    if (!at.consume_front("{") || !number(least))
      return false;
    if (at.consume_front(",")) {
      if (!number(most))
        most = -1;
    } else {
      most = least;
    }
    if (!at.consume_front("}"))
      return false;
    rest = at;
    return true;
  }

  NodePtr makeOne(uint32_t c) {
    Set one = {{c, c}};
    return makeChars(flags.ignoreCase ? withBothCases(one) : one);
  }

  NodePtr parseAtom(unsigned depth) {
    switch (rest[0]) {
    case '(':
      return parseGroup(depth);
    case '[':
      return parseClass();
    case '\\':
      return parseEscape();
    case '*':
    case '+':
    case '?':
      fail("nothing to repeat");
      return nullptr;
    default:
      break;
    }
    if (rest.consume_front("."))
      return makeChars(flags.dotTakesLines ? Set{{0, kLast}} : complement({{'\n', '\n'}}));
    if (rest.consume_front("^"))
      return makeAssert(flags.manyLines ? PatternOp::kLineBegin : PatternOp::kBegin);
    if (rest.consume_front("$"))
      return makeAssert(flags.manyLines ? PatternOp::kLineEnd : PatternOp::kEnd);
    return makeOne(takeChar(rest));
  }

  uint32_t takeChar(StringRef &text) {
    uint32_t length;
    uint32_t c = abi::DecodeUtf8(text.data(), text.size(), &length);
    if (!length)
      fail("it is not UTF-8");
    text = text.drop_front(std::max(length, 1u));
    return c;
  }

  NodePtr parseGroup(unsigned depth) {
    StringRef begin = rest;
    rest = rest.drop_front();
    Flags outer = flags;
    if (rest.consume_front("?")) {
      if (rest.consume_front("P<") ||
          (rest.starts_with("<") && !rest.starts_with("<=") && !rest.starts_with("<!") && rest.consume_front("<"))) {
        StringRef name = rest.take_until([](char c) { return c == '>'; });
        if (name.empty() || name.size() == rest.size() ||
            !llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; }))
          return fail("a group has a bad name"), nullptr;
        rest = rest.drop_front(name.size() + 1);
      } else if (!parseFlags(outer)) {
        return nullptr;
      } else if (flagsAlone) {
        return make(Node::Empty); // they hold to the end of the group around
      }
    }
    NodePtr inner = parseEither(depth + 1);
    flags = outer;
    if (isGood() && !rest.consume_front(")")) {
      rest = begin;
      fail("'(' without ')'");
    }
    return inner;
  }

  /// Behind "(?": flags, then ':' or ')'.
  bool parseFlags(const Flags &outer) {
    bool value = true, hasFlag = false;
    Flags changed = outer;
    for (;; rest = rest.drop_front()) {
      if (rest.empty() || StringRef("=!<").contains(rest[0]))
        return fail(rest.empty() ? "'(?' without ')'" : "looking ahead or back is not possible in linear time"), false;
      char c = rest[0];
      if (c == 'i')
        changed.ignoreCase = value;
      else if (c == 's')
        changed.dotTakesLines = value;
      else if (c == 'm')
        changed.manyLines = value;
      else if (c == '-' && value) {
        value = hasFlag = false;
        continue;
      } else if (c != 'U')
        break;
      hasFlag = true;
    }
    flagsAlone = rest[0] == ')';
    if ((rest[0] != ':' && !flagsAlone) || (!value && !hasFlag) || (flagsAlone && !hasFlag))
      return fail("an unknown flag or kind of group"), false;
    rest = rest.drop_front();
    flags = changed;
    return true;
  }

  /// \d, \D and the like, behind the backslash.
  std::optional<Set> takeClass() {
    static const std::pair<char, const Set *> classes[] = {{'d', &kDigit}, {'s', &kSpace}, {'w', &kWord}};
    for (auto [letter, set] : classes) {
      if (rest.consume_front(StringRef(&letter, 1)))
        return *set;
      char negated = llvm::toUpper(letter);
      if (rest.consume_front(StringRef(&negated, 1)))
        return complement(*set);
    }
    return std::nullopt;
  }

  NodePtr parseEscape() {
    StringRef begin = rest;
    rest = rest.drop_front();
    if (rest.consume_front("A"))
      return makeAssert(PatternOp::kBegin);
    if (rest.consume_front("z"))
      return makeAssert(PatternOp::kEnd);
    if (rest.consume_front("b"))
      return makeAssert(PatternOp::kWordBorder);
    if (rest.consume_front("B"))
      return makeAssert(PatternOp::kNoWordBorder);
    if (rest.consume_front("C")) {
      NodePtr bytes = make(Node::Bytes);
      bytes->set = {{0, 255}};
      return bytes;
    }
    if (auto set = takeClass())
      return makeChars(*set);
    rest = begin;
    return makeOne(takeEscapedChar());
  }

  /// A character behind a backslash.
  uint32_t takeEscapedChar() {
    StringRef begin = rest;
    auto refuse = [&](const llvm::Twine &text) {
      rest = begin;
      fail(text);
      return 0u;
    };
    rest = rest.drop_front();
    if (rest.empty())
      return refuse("a backslash at the end");
    char c = rest[0];
    static const std::pair<char, char> controls[] = {{'a', '\a'}, {'f', '\f'}, {'n', '\n'},
                                                     {'r', '\r'}, {'t', '\t'}, {'v', '\v'}};
    for (auto [letter, control] : controls)
      if (c == letter)
        return rest = rest.drop_front(), control;
    if (c == 'p' || c == 'P')
      return refuse("classes of Unicode (\\p) are not supported");
    if (c == 'x')
      return takeHex();
    // Octal: \0, or more than one digit; one alone would be a reference to a group.
    if (c == '0' || (c >= '1' && c <= '7' && rest.size() > 1 && rest[1] >= '0' && rest[1] <= '7')) {
      uint32_t value = 0;
      for (int i = 0; i < 3 && !rest.empty() && rest[0] >= '0' && rest[0] <= '7'; ++i, rest = rest.drop_front())
        value = value * 8 + (rest[0] - '0');
      return value;
    }
    if (llvm::isDigit(c))
      return refuse("references to groups are not possible in linear time");
    if (llvm::isAlpha(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80)
      return refuse("an unknown escape");
    rest = rest.drop_front();
    return c;
  }

  uint32_t takeHex() {
    rest = rest.drop_front();
    StringRef digits;
    if (rest.consume_front("{")) {
      digits = rest.take_until([](char c) { return c == '}'; });
      rest = rest.drop_front(std::min(rest.size(), digits.size() + 1));
    } else {
      digits = rest.take_front(2);
      rest = rest.drop_front(digits.size());
      if (digits.size() < 2)
        digits = "";
    }
    uint32_t value = 0;
    if (digits.empty() || !llvm::all_of(digits, llvm::isHexDigit) || digits.getAsInteger(16, value) || value > kLast)
      fail("\\x is followed by two hexadecimal digits, or by a code point in braces");
    return value;
  }

  NodePtr parseClass() {
    StringRef begin = rest;
    rest = rest.drop_front();
    bool isNegated = rest.consume_front("^");
    Set set;
    for (bool isFirst = true; isGood(); isFirst = false) {
      if (rest.empty()) {
        rest = begin;
        fail("'[' without ']'");
        break;
      }
      if (!isFirst && rest.consume_front("]"))
        break;
      parseClassItem(set, isFirst);
    }
    if (flags.ignoreCase)
      set = withBothCases(set);
    return makeChars(isNegated ? complement(set) : set);
  }

  void parseClassItem(Set &set, bool isFirst) {
    StringRef begin = rest;
    if (rest.starts_with("[:")) {
      size_t end = rest.find(":]");
      if (end != StringRef::npos) {
        StringRef name = rest.slice(2, end);
        bool isNegated = name.consume_front("^");
        auto known = findPosixClass(name);
        if (!known)
          return fail("an unknown class of characters");
        rest = rest.drop_front(end + 2);
        llvm::append_range(set, isNegated ? complement(*known) : *known);
        return;
      }
    }
    if (rest.starts_with("\\") && rest.size() > 1) {
      rest = rest.drop_front();
      if (auto known = takeClass()) {
        llvm::append_range(set, *known);
        return;
      }
      rest = begin;
    }
    // A hyphen is itself at the begin and the end; RE2 refuses it elsewhere.
    if (rest[0] == '-' && !isFirst && rest.size() > 1 && rest[1] != ']')
      return fail("a range without a begin");
    uint32_t low = takeClassChar(), high = low;
    if (rest.size() > 1 && rest[0] == '-' && rest[1] != ']') {
      rest = rest.drop_front();
      high = takeClassChar();
      if (isGood() && high < low) {
        rest = begin;
        return fail("a range whose end lies before its begin");
      }
    }
    set.emplace_back(low, high);
  }

  uint32_t takeClassChar() { return rest.starts_with("\\") ? takeEscapedChar() : takeChar(rest); }

  StringRef pattern, rest;
  Flags flags;
  bool flagsAlone = false;
  std::string error;
  size_t place = 0;
};

/// Steps from the last to the first.
class Emitter {
public:
  llvm::Expected<std::vector<int64_t>> run(const Node &root) {
    steps.push_back({PatternOp::kSplit, 0, 0, 0, 0});
    uint32_t begin = emit(root, add({PatternOp::kMatch, 0, 0, 0, 0}));
    if (steps.size() > abi::kMaxPattern)
      return llvm::createStringError("the regular expression is too large");
    steps[0].next = steps[0].other = begin;
    std::vector<int64_t> program;
    for (const abi::PatternStep &step : steps)
      program.push_back(abi::EncodeStep(step));
    return program;
  }

private:
  /// Behind the limit nothing is added any more; the program is refused in the end.
  uint32_t add(abi::PatternStep step) {
    if (steps.size() <= abi::kMaxPattern)
      steps.push_back(step);
    return steps.size() - 1;
  }
  bool isFull() const { return steps.size() > abi::kMaxPattern; }
  uint32_t addSplit(uint32_t a, uint32_t c) { return add({PatternOp::kSplit, 0, 0, a, c}); }
  uint32_t addBytes(uint32_t low, uint32_t high, uint32_t next) {
    return add({PatternOp::kByte, uint8_t(low), uint8_t(high), next, 0});
  }

  uint32_t emit(const Node &node, uint32_t next) {
    if (isFull())
      return next;
    switch (node.kind) {
    case Node::Empty:
      return next;
    case Node::Assert:
      return add({node.assertion, 0, 0, next, 0});
    case Node::Bytes:
      return addBytes(node.set[0].first, node.set[0].second, next);
    case Node::Chars:
      return emitChars(node.set, next);
    case Node::Concat:
      for (const NodePtr &child : llvm::reverse(node.children))
        next = emit(*child, next);
      return next;
    case Node::Either: {
      uint32_t begin = emit(*node.children.back(), next);
      for (const NodePtr &child : llvm::drop_begin(llvm::reverse(node.children)))
        begin = addSplit(emit(*child, next), begin);
      return begin;
    }
    case Node::Repeat:
      return emitRepeat(node, next);
    }
    llvm_unreachable("covered switch");
  }

  uint32_t emitRepeat(const Node &node, uint32_t next) {
    const Node &child = *node.children[0];
    if (node.most < 0) {
      uint32_t loop = addSplit(next, next);
      uint32_t body = emit(child, loop);
      steps[loop].next = body;
      next = loop;
    } else {
      uint32_t end = next;
      for (int i = node.least; i < node.most && !isFull(); ++i)
        next = addSplit(emit(child, next), end);
    }
    for (int i = 0; i < node.least && !isFull(); ++i)
      next = emit(child, next);
    return next;
  }

  /// A set without elements matches nothing.
  uint32_t emitChars(const Set &set, uint32_t next) {
    std::optional<uint32_t> begin;
    auto either = [&](uint32_t step) { begin = begin ? addSplit(step, *begin) : step; };
    for (auto [low, high] : set)
      for (auto [first, last] :
           {std::pair(0u, 0x7fu), {0x80u, 0x7ffu}, {0x800u, 0xd7ffu}, {0xe000u, 0xffffu}, {0x10000u, kLast}})
        if (uint32_t from = std::max(low, first), to = std::min(high, last); from <= to)
          emitRange(from, to, next, either);
    return begin ? *begin : addBytes(1, 0, next);
  }

  /// Code points whose UTF-8 has the same number of bytes: sequences of ranges of bytes.
  void emitRange(uint32_t low, uint32_t high, uint32_t next, llvm::function_ref<void(uint32_t)> either) {
    char from[4], to[4];
    uint32_t size = abi::EncodeUtf8(low, from);
    abi::EncodeUtf8(high, to);
    // All bytes behind the first that differs must range from 0x80 to 0xbf.
    for (uint32_t tail = 1; tail < size; ++tail) {
      uint32_t mask = (1u << (6 * tail)) - 1;
      if ((low & ~mask) == (high & ~mask))
        break;
      if (low & mask) {
        emitRange(low, low | mask, next, either);
        return emitRange((low | mask) + 1, high, next, either);
      }
      if ((high & mask) != mask) {
        emitRange(low, (high & ~mask) - 1, next, either);
        return emitRange(high & ~mask, high, next, either);
      }
    }
    for (uint32_t i = size; i-- > 0;)
      next = addBytes(uint8_t(from[i]), uint8_t(to[i]), next);
    either(next);
  }

  std::vector<abi::PatternStep> steps;
};

} // namespace

llvm::Expected<std::vector<int64_t>> eyrie::ops::compilePattern(StringRef pattern) {
  auto tree = Parser(pattern).run();
  if (!tree)
    return tree.takeError();
  return Emitter().run(**tree);
}
