#include "compiler/import/onnx/HostSignature.h"
#include "abi/element_types.h"
#include "abi/module_format.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using llvm::StringRef;

namespace eyrie::import::onnx {

static StringRef symbolOf(HostSize::Kind kind) {
  switch (kind) {
  case HostSize::Kind::Add:
    return " + ";
  case HostSize::Kind::Subtract:
    return " - ";
  case HostSize::Kind::Multiply:
    return " * ";
  default:
    return " / ";
  }
}

std::string HostSize::str() const {
  switch (kind) {
  case Kind::Number:
    return std::to_string(number);
  case Kind::Name:
    return name;
  case Kind::Unknown:
    return "?";
  case Kind::Rest:
    return "...";
  default:
    return "(" + operands[0].str() + symbolOf(kind).str() + operands[1].str() + ")";
  }
}

std::string HostTensor::str() const {
  std::string text = type + "[";
  for (const HostSize &size : sizes)
    text += (&size == sizes.data() ? "" : ", ") + size.str();
  return text + "]";
}

namespace {

/// Reads from left to right. After the first error everything reads as nothing.
class Parser {
public:
  explicit Parser(StringRef text) : text(text), rest(text) {}

  llvm::Expected<HostOp> parse() {
    HostOp op;
    op.text = text.trim().str();
    parseName(op);
    if (expect("("))
      parseTensors(op.inputs, /*isInput=*/true);
    expect(")");
    expect("->");
    bool isWrapped = accept("(");
    parseTensors(op.outputs, /*isInput=*/false);
    if (isWrapped)
      expect(")");
    skipSpace();
    if (!rest.empty())
      fail("the end");
    check(op);
    if (!error.empty())
      return llvm::createStringError(error);
    return op;
  }

private:
  void skipSpace() { rest = rest.ltrim(); }
  bool accept(StringRef token) {
    skipSpace();
    return error.empty() && rest.consume_front(token);
  }
  bool expect(StringRef token) {
    if (accept(token))
      return true;
    fail("'" + token.str() + "'");
    return false;
  }
  void fail(const std::string &expected) {
    if (!error.empty())
      return;
    std::string found = rest.empty() ? "the end" : "'" + rest.substr(0, 20).str() + "'";
    error =
        "expected " + expected + ", found " + found + " at character " + std::to_string(rest.data() - text.data() + 1);
  }
  void refuse(const std::string &reason) {
    if (error.empty())
      error = reason;
  }

  StringRef word() {
    skipSpace();
    StringRef found = rest.take_while([](char c) { return llvm::isAlnum(c) || c == '_'; });
    return error.empty() ? found : StringRef();
  }

  void parseName(HostOp &op) {
    skipSpace();
    StringRef full = rest.take_until([](char c) { return c == '(' || llvm::isSpace(c); });
    auto [domain, name] = full.rsplit("::");
    if (domain.empty() || name.empty())
      return fail("a domain and a name, as in my.domain::Op");
    op.domain = domain.str();
    op.name = name.str();
    rest = rest.drop_front(full.size());
  }

  void parseTensors(std::vector<HostTensor> &tensors, bool isInput) {
    skipSpace();
    if (isInput && rest.starts_with(")"))
      return;
    do {
      HostTensor &tensor = tensors.emplace_back();
      parseType(tensor);
      if (expect("["))
        parseSizes(tensor);
      expect("]");
    } while (accept(","));
  }

  void parseType(HostTensor &tensor) {
    StringRef type = word();
    tensor.type = type.empty() ? "?" : type.str();
    if (type == "string")
      return refuse("strings are not supported in functions of the caller");
    if (type.starts_with("complex"))
      return refuse("complex numbers are not supported in functions of the caller");
    bool isKnown = llvm::any_of(abi::kElementTypes, [&](const auto &info) { return type == info.name; });
    if (isKnown || (!type.empty() && tensor.isAnyType()))
      rest = rest.drop_front(type.size());
    else
      fail("an element type, as in f32, or a name for any in upper case, as in T");
  }

  void parseSizes(HostTensor &tensor) {
    skipSpace();
    if (rest.starts_with("]"))
      return;
    do {
      HostSize &size = tensor.sizes.emplace_back();
      if (accept("..."))
        size.kind = HostSize::Kind::Rest;
      else if (accept("?"))
        size.kind = HostSize::Kind::Unknown;
      else
        size = parseSum(0);
    } while (accept(","));
  }

  HostSize binary(HostSize::Kind kind, HostSize a, HostSize b) {
    HostSize size;
    size.kind = kind;
    size.operands = {std::move(a), std::move(b)};
    return size;
  }

  HostSize parseSum(unsigned depth) {
    HostSize sum = parseProduct(depth);
    for (;;) {
      skipSpace();
      if (accept("+"))
        sum = binary(HostSize::Kind::Add, std::move(sum), parseProduct(depth));
      else if (!rest.starts_with("->") && accept("-"))
        sum = binary(HostSize::Kind::Subtract, std::move(sum), parseProduct(depth));
      else
        return sum;
    }
  }

  HostSize parseProduct(unsigned depth) {
    HostSize product = parseAtom(depth);
    for (;;) {
      if (accept("*")) {
        product = binary(HostSize::Kind::Multiply, std::move(product), parseAtom(depth));
      } else if (accept("/")) {
        skipSpace();
        HostSize divisor = parseAtom(depth);
        if (divisor.kind != HostSize::Kind::Number || divisor.number < 1)
          refuse("a size can be divided by a positive number only, found '" + divisor.str() + "'");
        product = binary(HostSize::Kind::Divide, std::move(product), std::move(divisor));
      } else {
        return product;
      }
    }
  }

  HostSize parseAtom(unsigned depth) {
    constexpr unsigned kMaxDepth = 32, kMaxTerms = 256;
    HostSize size;
    if (depth > kMaxDepth || ++terms > kMaxTerms)
      return refuse("its sizes are too complicated"), size;
    if (accept("(")) {
      size = parseSum(depth + 1);
      expect(")");
      return size;
    }
    StringRef found = word();
    if (found.empty()) {
      fail("a size: a number, a name, ? or ...");
    } else if (!llvm::isDigit(found.front())) {
      size.kind = HostSize::Kind::Name;
      size.name = found.str();
    } else if (found.getAsInteger(10, size.number) || size.number > (int64_t(1) << 40)) {
      fail("a number up to 2^40");
    }
    if (error.empty())
      rest = rest.drop_front(found.size());
    return size;
  }

  //===- the whole: names are known where they are needed ---------------------------------------------------------===

  void checkNames(const HostSize &size, const llvm::StringSet<> &known) {
    if (size.kind == HostSize::Kind::Name && !known.contains(size.name))
      refuse("the size '" + size.name + "' stands for itself in no input");
    for (const HostSize &operand : size.operands)
      checkNames(operand, known);
  }

  void check(const HostOp &op) {
    llvm::StringSet<> names, types;
    bool hasRest = false;
    for (const HostTensor &tensor : op.inputs) {
      types.insert(tensor.type);
      for (const HostSize &size : tensor.sizes) {
        hasRest |= size.kind == HostSize::Kind::Rest;
        if (size.kind == HostSize::Kind::Name)
          names.insert(size.name);
      }
    }
    for (const auto *tensors : {&op.inputs, &op.outputs})
      for (const HostTensor &tensor : *tensors) {
        auto isRest = [](const HostSize &size) { return size.kind == HostSize::Kind::Rest; };
        if (llvm::count_if(tensor.sizes, isRest) > 1)
          refuse("'...' stands twice in " + tensor.str());
        if (llvm::any_of(tensor.sizes, isRest) && !hasRest)
          refuse("'...' stands in no input");
        if (tensor.isAnyType() && !types.contains(tensor.type))
          refuse("the type '" + tensor.type + "' stands in no input");
        for (const HostSize &size : tensor.sizes)
          checkNames(size, names);
      }
    if (op.inputs.size() + op.outputs.size() > abi::kMaxHostTensors)
      refuse("it has more than " + std::to_string(abi::kMaxHostTensors) + " tensors");
  }

  StringRef text, rest;
  std::string error;
  unsigned terms = 0;
};

} // namespace

llvm::Expected<HostOp> parseHostOp(StringRef text) { return Parser(text).parse(); }

} // namespace eyrie::import::onnx
