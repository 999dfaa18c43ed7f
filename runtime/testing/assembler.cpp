#include "runtime/testing/assembler.h"

#include <algorithm>
#include <cstring>

#include "abi/element_types.h"
#include "abi/vm_encoding.h"

namespace eyrie::rt::testing {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameLetter(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("_.$/=-", c));
}
int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// A line, read from left to right. What is read fails with what was expected and what stands there.
class Line {
 public:
  Line(std::string_view text, uint32_t number) : rest_(text), number_(number) {}

  Status Wrong(const std::string& expected) {
    SkipSpaces();
    std::string found = AtEnd() ? "the end of the line" : "'" + std::string(rest_.substr(0, 40)) + "'";
    return Error(EYRIE_INVALID_ARGUMENT, "line %u: expected %s, found %s", number_, expected.c_str(), found.c_str());
  }
  Status Bad(const std::string& problem) {
    return Error(EYRIE_INVALID_ARGUMENT, "line %u: %s", number_, problem.c_str());
  }
  void SkipSpaces() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == '\r')) rest_.remove_prefix(1);
  }
  bool AtEnd() {
    SkipSpaces();
    return rest_.empty() || rest_[0] == ';';
  }
  bool Next(std::string_view wanted) const { return rest_.starts_with(wanted); }
  bool Take(std::string_view wanted) {
    SkipSpaces();
    if (!Next(wanted)) return false;
    rest_.remove_prefix(wanted.size());
    return true;
  }
  Status Expect(const char* wanted) { return Take(wanted) ? Status() : Wrong("'" + std::string(wanted) + "'"); }
  Status End() { return AtEnd() ? Status() : Wrong("the end of the line"); }

  std::string_view TakeWord() {
    SkipSpaces();
    size_t length = 0;
    while (length < rest_.size() && IsNameLetter(rest_[length])) ++length;
    std::string_view word = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return word;
  }
  // After `prefix`, without a space between them.
  Status Number(const char* prefix, uint32_t* value) {
    if (!Take(prefix)) return Wrong(std::string("'") + prefix + "' and a number");
    return Digits(value);
  }
  Status Digits(uint32_t* value) {
    SkipSpaces();
    if (rest_.empty() || !IsDigit(rest_[0])) return Wrong("a number");
    uint64_t sum = 0;
    for (; !rest_.empty() && IsDigit(rest_[0]); rest_.remove_prefix(1)) {
      sum = sum * 10 + static_cast<uint64_t>(rest_[0] - '0');
      if (sum > UINT32_MAX) return Bad("a number is larger than 4294967295");
    }
    *value = static_cast<uint32_t>(sum);
    return {};
  }
  Status Integer(int64_t* value) {
    bool is_negative = Take("-");
    SkipSpaces();
    if (rest_.empty() || !IsDigit(rest_[0])) return Wrong("an integer of 64 bits");
    uint64_t sum = 0, limit = is_negative ? uint64_t{1} << 63 : INT64_MAX;
    for (; !rest_.empty() && IsDigit(rest_[0]); rest_.remove_prefix(1)) {
      auto digit = static_cast<uint64_t>(rest_[0] - '0');
      if (sum > (limit - digit) / 10) return Bad("an integer does not fit in 64 bits");
      sum = sum * 10 + digit;
    }
    *value = static_cast<int64_t>(is_negative ? 0 - sum : sum);
    return {};
  }
  // Letters, or anything in quotes.
  Status Name(std::string* name) {
    if (!Take("\"")) {
      *name = TakeWord();
      return name->empty() ? Wrong("a name") : Status();
    }
    while (!rest_.empty() && rest_[0] != '"') {
      size_t length = 1;
      char c = rest_[0];
      if (c == '\\') {
        bool is_hex = rest_.size() >= 4 && rest_[1] == 'x' && HexDigit(rest_[2]) >= 0 && HexDigit(rest_[3]) >= 0;
        if (!is_hex && !(rest_.size() >= 2 && (rest_[1] == '"' || rest_[1] == '\\')))
          return Wrong("\\\", \\\\ or \\xHH with two of 0-9a-f after a backslash");
        length = is_hex ? 4 : 2;
        c = is_hex ? static_cast<char>(HexDigit(rest_[2]) * 16 + HexDigit(rest_[3])) : rest_[1];
      }
      *name += c;
      rest_.remove_prefix(length);
    }
    return Expect("\"");
  }

 private:
  std::string_view rest_;
  uint32_t number_;
};

class Assembler {
 public:
  Assembler(Tables& tables, std::vector<Function>& functions) : tables_(tables), functions_(functions) {}

  Status Run(std::string_view text) {
    EYRIE_RETURN_IF_ERROR(ForEachLine(text, [&](Line& line) { return ReadHeaderName(line); }));
    EYRIE_RETURN_IF_ERROR(ForEachLine(text, [&](Line& line) { return ReadLine(line); }));
    if (functions_.empty()) return Error(EYRIE_INVALID_ARGUMENT, "the text has no function");
    return {};
  }

 private:
  template <typename Read>
  static Status ForEachLine(std::string_view text, Read read) {
    for (uint32_t number = 1; !text.empty(); ++number) {
      size_t end = std::min(text.find('\n'), text.size());
      Line line(text.substr(0, end), number);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (!line.AtEnd()) EYRIE_RETURN_IF_ERROR(read(line));
    }
    return {};
  }

  // The names come first, so that a function may call one that stands behind it.
  Status ReadHeaderName(Line& line) {
    if (!line.Take("function ")) return {};
    std::string name;
    EYRIE_RETURN_IF_ERROR(line.Name(&name));
    auto number = static_cast<uint32_t>(names_.size());
    if (line.Next("#")) EYRIE_RETURN_IF_ERROR(line.Number("#", &number));
    for (const auto& [other, index] : names_)
      if (index == number) return line.Bad("function '" + name + "' has the number of '" + other + "'");
    names_.push_back({name, number});
    return {};
  }

  Status ReadLine(Line& line) {
    if (line.Take("function ")) return ReadHeader(line);
    if (functions_.empty()) return line.Wrong("'function NAME: ...'");
    Function& function = functions_.back();
    if (line.Take("block")) {
      uint32_t number = 0;
      EYRIE_RETURN_IF_ERROR(line.Digits(&number));
      if (number != function.blocks.size())
        return line.Bad("block" + std::to_string(number) + " stands where block" +
                        std::to_string(function.blocks.size()) + " is expected");
      function.Block();
      EYRIE_RETURN_IF_ERROR(line.Expect(":"));
      return line.End();
    }
    if (function.blocks.empty()) return line.Wrong("'block0:'");
    return ReadInstruction(line, function);
  }

  Status ReadHeader(Line& line) {
    Function function;
    function.name.clear();
    function.blocks.clear();
    EYRIE_RETURN_IF_ERROR(line.Name(&function.name));
    uint32_t number = 0;
    if (line.Next("#")) EYRIE_RETURN_IF_ERROR(line.Number("#", &number));
    const std::pair<uint32_t*, const char*> banks[] = {{&function.int_registers, "integer registers"},
                                                       {&function.buffer_registers, "buffer registers"},
                                                       {&function.list_registers, "list registers"}};
    const char* sign = ":";
    for (const auto& [count, what] : banks) {
      EYRIE_RETURN_IF_ERROR(line.Expect(sign));
      EYRIE_RETURN_IF_ERROR(line.Number("", count));
      EYRIE_RETURN_IF_ERROR(line.Expect(what));
      sign = ",";
    }
    if (!line.AtEnd()) {
      function.internal = true;
      function.callee.resize(6);
      for (uint32_t i = 0; i < 6; ++i) {
        EYRIE_RETURN_IF_ERROR(line.Expect(","));
        if (i % 3 == 0) EYRIE_RETURN_IF_ERROR(line.Expect(i ? "gives" : "takes"));
        EYRIE_RETURN_IF_ERROR(line.Number("", &function.callee[i]));
      }
    }
    functions_.push_back(std::move(function));
    return line.End();
  }

  Status ReadInstruction(Line& line, Function& function) {
    std::string_view word = line.TakeWord();
    if (!word.empty() && std::all_of(word.begin(), word.end(), IsDigit)) word = line.TakeWord();
    const auto* info = std::find_if(std::begin(abi::kVmOps), std::end(abi::kVmOps),
                                    [&](const abi::VmOpInfo& row) { return row.name == word; });
    if (word.empty()) return line.Wrong("an instruction");
    if (info == std::end(abi::kVmOps)) return line.Bad("there is no instruction '" + std::string(word) + "'");
    words_.clear();
    for (const char* kind = info->operands; *kind; ++kind) {
      if (kind != info->operands) EYRIE_RETURN_IF_ERROR(line.Expect(","));
      EYRIE_RETURN_IF_ERROR(ReadOperand(line, *kind));
    }
    if (words_.size() >= abi::kMaxVmInstructionWords)
      return line.Bad("the instruction has " + std::to_string(words_.size() + 1) + " words, limit " +
                      std::to_string(abi::kMaxVmInstructionWords));
    function.code.push_back(abi::MakeVmHeader(info->op, static_cast<uint32_t>(words_.size()) + 1));
    function.code.insert(function.code.end(), words_.begin(), words_.end());
    return line.End();
  }

  Status ReadOperand(Line& line, char kind) {
    switch (kind) {
      case 'd':
      case 's':
        return ReadNumber(line, "r");
      case 'b':
      case 'B':
        return ReadNumber(line, "b");
      case 'l':
      case 'L':
        return ReadNumber(line, "l");
      case 'k':
        return ReadNumber(line, "block");
      case 'a':
        return ReadNumber(line, "arg");
      case 'o':
        return ReadNumber(line, "res");
      case 'i':
        return ReadNumber(line, "");
      case 'I':
        return ReadImmediate(line);
      case 'e':
        return ReadElementType(line);
      case 't':
      case 'x':
      case 'g':
      case 'h':
      case 'c':
      case 'f':
        return ReadReference(line, kind);
      case 'R':
      case 'W':
        return ReadBanks(line);
      case 'S':
        return ReadList(line, "[", "]", [&] { return ReadNumber(line, "r"); });
      case 'P':
        return ReadList(line, "{", "}",
                        [&] { return ReadItem(line, {{"", "r"}, {"->", "r"}, {"in", ""}, {"..", ""}}); });
      case 'G':
        return ReadList(line, "{", "}", [&]() -> Status {
          EYRIE_RETURN_IF_ERROR(ReadItem(line, {{"", "b"}, {"[", "r"}, {",", "r"}}));
          return line.Expect("]");
        });
      default:
        return line.Bad(std::string("the assembler does not know operands of the letter ") + kind);
    }
  }

  Status ReadNumber(Line& line, const char* prefix) {
    uint32_t value = 0;
    EYRIE_RETURN_IF_ERROR(line.Number(prefix, &value));
    words_.push_back(value);
    return {};
  }

  // Parts of a sign and a number, with the letter of a register before it.
  Status ReadItem(Line& line, std::initializer_list<std::pair<const char*, const char*>> parts) {
    for (const auto& [sign, letter] : parts) {
      EYRIE_RETURN_IF_ERROR(line.Expect(sign));
      EYRIE_RETURN_IF_ERROR(ReadNumber(line, letter));
    }
    return {};
  }

  // `read` reads one item.
  template <typename Read>
  Status ReadList(Line& line, const char* open, const char* close, Read read) {
    EYRIE_RETURN_IF_ERROR(line.Expect(open));
    size_t at = words_.size();
    words_.push_back(0);
    while (!line.Take(close)) {
      if (words_[at]) EYRIE_RETURN_IF_ERROR(line.Expect(","));
      line.SkipSpaces();
      EYRIE_RETURN_IF_ERROR(read());
      ++words_[at];
    }
    return {};
  }

  // Integers, buffers, lists, in this order.
  Status ReadBanks(Line& line) {
    const char* letters[] = {"r", "b", "l"};
    std::vector<uint32_t> banks[3];
    size_t bank = 0;
    EYRIE_RETURN_IF_ERROR(line.Expect("("));
    for (bool is_first = true; !line.Take(")"); is_first = false) {
      if (!is_first) EYRIE_RETURN_IF_ERROR(line.Expect(","));
      line.SkipSpaces();
      while (bank < 3 && !line.Next(letters[bank])) ++bank;
      if (bank == 3) return line.Wrong("a register: first r, then b, then l");
      banks[bank].push_back(0);
      EYRIE_RETURN_IF_ERROR(line.Number(letters[bank], &banks[bank].back()));
    }
    for (const std::vector<uint32_t>& registers : banks) {
      words_.push_back(static_cast<uint32_t>(registers.size()));
      words_.insert(words_.end(), registers.begin(), registers.end());
    }
    return {};
  }

  Status ReadImmediate(Line& line) {
    int64_t value = 0;
    EYRIE_RETURN_IF_ERROR(line.Integer(&value));
    words_.push_back(static_cast<uint32_t>(value));
    words_.push_back(static_cast<uint32_t>(static_cast<uint64_t>(value) >> 32));
    return {};
  }

  Status ReadElementType(Line& line) {
    std::string_view name = line.TakeWord();
    for (const abi::ElementTypeInfo& info : abi::kElementTypes) {
      if (info.name != name) continue;
      words_.push_back(static_cast<uint32_t>(info.type));
      return {};
    }
    if (name.empty()) return line.Wrong("an element type");
    return line.Bad("there is no element type '" + std::string(name) + "'");
  }

  // A name and its number.
  Status ReadReference(Line& line, char kind) {
    bool is_function = kind == 'c' || kind == 'f';
    if (is_function) EYRIE_RETURN_IF_ERROR(line.Expect("@"));
    std::string name;
    line.SkipSpaces();
    if (kind == 't' && !line.Next("\"")) return line.Wrong("a string in quotes");
    EYRIE_RETURN_IF_ERROR(line.Name(&name));
    if (line.Next("#")) return ReadNumber(line, "#");
    if (is_function) {
      auto has_name = [&](const auto& pair) { return pair.first == name; };
      auto found = std::find_if(names_.begin(), names_.end(), has_name);
      auto count = std::count_if(names_.begin(), names_.end(), has_name);
      if (count > 1)
        return line.Bad("there are " + std::to_string(count) + " functions '" + name + "'; say the number: @" + name +
                        "#" + std::to_string(found->second));
      if (count) {
        words_.push_back(found->second);
        return {};
      }
      return line.Bad("there is no function '" + name + "' in the text; say its number: @" + name + "#0");
    }
    if (kind == 'h') return line.Bad("a host function needs its number: " + name + "#0");
    std::vector<std::string>& table = kind == 't' ? tables_.strings : kind == 'x' ? tables_.exports : tables_.globals;
    auto found = std::find(table.begin(), table.end(), name);
    if (found == table.end() && kind != 't')
      return line.Bad(std::string("there is no ") + (kind == 'x' ? "export" : "global") + " '" + name +
                      "'; say its number: " + name + "#0");
    words_.push_back(static_cast<uint32_t>(found - table.begin()));
    if (found == table.end()) table.push_back(name);
    return {};
  }

  Tables& tables_;
  std::vector<Function>& functions_;
  std::vector<std::pair<std::string, uint32_t>> names_;  // of functions
  std::vector<uint32_t> words_;                          // of an instruction, without the first
};

}  // namespace

Status Assemble(std::string_view text, Tables& tables, std::vector<Function>* functions) {
  functions->clear();
  return Assembler(tables, *functions).Run(text);
}

}  // namespace eyrie::rt::testing
