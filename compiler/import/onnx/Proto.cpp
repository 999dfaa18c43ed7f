// The only file of the room that knows protobuf. protozero throws on malformed input; the exceptions end here.
// LLVM's headers come without the precompiled header because that is built without exceptions.
#include "compiler/import/onnx/Proto.h"
#include <cassert>

#define protozero_assert(x) assert(x)
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

namespace eyrie::import::onnx {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

struct ParseError {
  std::string text;
};

/// A message with a name for the error text.
struct Reader {
  pbf_reader pbf;
  const char *message;

  [[noreturn]] void fail(const std::string &text) const {
    throw ParseError{std::string("field ") + std::to_string(pbf.tag()) + " of " + message + ": " + text};
  }
  void expect(pbf_wire_type type) const {
    if (pbf.wire_type() != type)
      fail("has the wrong wire type " + std::to_string(static_cast<int>(pbf.wire_type())));
  }
  int64_t integer() {
    expect(pbf_wire_type::varint);
    return pbf.get_int64();
  }
  int32_t enumeration() {
    int64_t value = integer();
    return value < INT32_MIN || value > INT32_MAX ? -1 : static_cast<int32_t>(value);
  }
  float number() {
    expect(pbf_wire_type::fixed32);
    return pbf.get_float();
  }
  StringRef bytes() {
    expect(pbf_wire_type::length_delimited);
    protozero::data_view view = pbf.get_view();
    return StringRef(view.data(), view.size());
  }
  Reader submessage(const char *name) {
    StringRef view = bytes();
    return {pbf_reader(view.data(), view.size()), name};
  }
  void integers(std::vector<int64_t> &out) {
    if (pbf.wire_type() != pbf_wire_type::length_delimited) {
      out.push_back(integer());
      return;
    }
    for (int64_t value : pbf.get_packed_int64())
      out.push_back(value);
  }
  void numbers(std::vector<float> &out) {
    if (pbf.wire_type() != pbf_wire_type::length_delimited) {
      out.push_back(number());
      return;
    }
    for (float value : pbf.get_packed_float())
      out.push_back(value);
  }
};

void parseGraph(Reader r, Graph &graph, unsigned depth);

void parseTensor(StringRef bytes, TensorProto &tensor) {
  tensor.message = bytes;
  Reader r{pbf_reader(bytes.data(), bytes.size()), "TensorProto"};
  while (r.pbf.next()) {
    switch (r.pbf.tag()) {
    case 1:
      r.integers(tensor.dims);
      break;
    case 2:
      tensor.type = static_cast<DataType>(r.enumeration());
      break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 10:
    case 11:
      tensor.hasTypedData |= r.pbf.wire_type() != pbf_wire_type::length_delimited || !r.bytes().empty();
      if (r.pbf.wire_type() != pbf_wire_type::length_delimited)
        r.pbf.skip();
      break;
    case 8:
      tensor.name = r.bytes();
      break;
    case 9:
      tensor.raw = r.bytes();
      break;
    case 13: {
      Reader entry = r.submessage("StringStringEntryProto");
      std::pair<StringRef, StringRef> pair;
      while (entry.pbf.next()) {
        if (entry.pbf.tag() == 1)
          pair.first = entry.bytes();
        else if (entry.pbf.tag() == 2)
          pair.second = entry.bytes();
        else
          entry.pbf.skip();
      }
      tensor.external.push_back(pair);
      break;
    }
    case 14:
      tensor.isExternal = r.integer() == 1;
      break;
    default:
      r.pbf.skip();
    }
  }
}

void parseSparseTensor(Reader r, SparseTensorProto &sparse) {
  while (r.pbf.next()) {
    switch (r.pbf.tag()) {
    case 1:
      parseTensor(r.bytes(), sparse.values);
      break;
    case 2:
      parseTensor(r.bytes(), sparse.indices);
      break;
    case 3:
      r.integers(sparse.dims);
      break;
    default:
      r.pbf.skip();
    }
  }
}

void parseShape(Reader r, ValueInfo &info) {
  info.hasShape = true;
  while (r.pbf.next()) {
    if (r.pbf.tag() != 1) {
      r.pbf.skip();
      continue;
    }
    Reader d = r.submessage("Dimension");
    Dimension dim;
    while (d.pbf.next()) {
      if (d.pbf.tag() == 1)
        dim.value = d.integer();
      else if (d.pbf.tag() == 2)
        dim.name = d.bytes();
      else
        d.pbf.skip();
    }
    info.dims.push_back(dim);
  }
}

/// Types inside types may nest this deep.
constexpr unsigned kMaxTypeDepth = 16;

void parseType(Reader r, ValueInfo &info, unsigned depth = 0) {
  using Kind = ValueInfo::Kind;
  while (r.pbf.next()) {
    switch (r.pbf.tag()) {
    case 1: {
      info.kind = Kind::Tensor;
      Reader t = r.submessage("TypeProto.Tensor");
      while (t.pbf.next()) {
        if (t.pbf.tag() == 1)
          info.type = static_cast<DataType>(t.enumeration());
        else if (t.pbf.tag() == 2)
          parseShape(t.submessage("TensorShapeProto"), info);
        else
          t.pbf.skip();
      }
      break;
    }
    case 4: {
      Reader sequence = r.submessage("TypeProto.Sequence");
      ValueInfo element;
      while (sequence.pbf.next()) {
        if (sequence.pbf.tag() == 1 && depth < kMaxTypeDepth)
          parseType(sequence.submessage("TypeProto"), element, depth + 1);
        else
          sequence.pbf.skip();
      }
      info.kind = Kind::Sequence;
      if (element.kind == Kind::Tensor) {
        info.type = element.type;
        info.hasShape = element.hasShape;
        info.dims = std::move(element.dims);
      }
      break;
    }
    case 5: {
      Reader map = r.submessage("TypeProto.Map");
      ValueInfo value;
      while (map.pbf.next()) {
        if (map.pbf.tag() == 1)
          info.keyType = static_cast<DataType>(map.enumeration());
        else if (map.pbf.tag() == 2 && depth < kMaxTypeDepth)
          parseType(map.submessage("TypeProto"), value, depth + 1);
        else
          map.pbf.skip();
      }
      info.kind = Kind::Map;
      if (value.kind == Kind::Tensor)
        info.type = value.type;
      break;
    }
    case 7:
      info.kind = Kind::Opaque;
      r.pbf.skip();
      break;
    case 8:
      info.kind = Kind::SparseTensor;
      r.pbf.skip();
      break;
    case 9: {
      Reader optional = r.submessage("TypeProto.Optional");
      ValueInfo element;
      while (optional.pbf.next()) {
        if (optional.pbf.tag() == 1 && depth < kMaxTypeDepth)
          parseType(optional.submessage("TypeProto"), element, depth + 1);
        else
          optional.pbf.skip();
      }
      info.kind = Kind::Optional;
      if ((element.kind == Kind::Tensor || element.kind == Kind::Sequence) && !element.isOptional) {
        StringRef name = info.name;
        info = std::move(element);
        info.name = name;
        info.isOptional = true;
      }
      break;
    }
    default:
      r.pbf.skip();
    }
  }
}

ValueInfo parseValueInfo(Reader r) {
  ValueInfo info;
  while (r.pbf.next()) {
    if (r.pbf.tag() == 1)
      info.name = r.bytes();
    else if (r.pbf.tag() == 2)
      parseType(r.submessage("TypeProto"), info);
    else
      r.pbf.skip();
  }
  if (info.kind == ValueInfo::Kind::Map) {
    info.hasShape = true;
    info.dims = {{std::nullopt, info.name}};
  }
  return info;
}

/// Files of IR version 1 leave the type out; the field that is there tells.
void inferAttributeType(Attribute &attribute, bool sawInteger, bool sawNumber, bool sawString) {
  using Type = Attribute::Type;
  if (attribute.type != Type::Undefined)
    return;
  attribute.type = attribute.graph               ? Type::Graph
                   : attribute.tensor            ? Type::Tensor
                   : attribute.sparseTensor      ? Type::SparseTensor
                   : !attribute.integers.empty() ? Type::Ints
                   : !attribute.numbers.empty()  ? Type::Floats
                   : !attribute.strings.empty()  ? Type::Strings
                   : sawInteger                  ? Type::Int
                   : sawNumber                   ? Type::Float
                   : sawString                   ? Type::String
                                                 : Type::Undefined;
}

Attribute parseAttribute(StringRef bytes, unsigned depth) {
  Reader r{pbf_reader(bytes.data(), bytes.size()), "AttributeProto"};
  Attribute attribute;
  attribute.message = bytes;
  bool sawInteger = false, sawNumber = false, sawString = false;
  while (r.pbf.next()) {
    switch (r.pbf.tag()) {
    case 1:
      attribute.name = r.bytes();
      break;
    case 2:
      attribute.number = r.number();
      sawNumber = true;
      break;
    case 3:
      attribute.integer = r.integer();
      sawInteger = true;
      break;
    case 4:
      attribute.string = r.bytes();
      sawString = true;
      break;
    case 5:
      attribute.tensor = std::make_shared<TensorProto>();
      parseTensor(r.bytes(), *attribute.tensor);
      break;
    case 6:
      attribute.graph = std::make_shared<Graph>();
      parseGraph(r.submessage("GraphProto"), *attribute.graph, depth + 1);
      break;
    case 7:
      r.numbers(attribute.numbers);
      break;
    case 8:
      r.integers(attribute.integers);
      break;
    case 9:
      attribute.strings.push_back(r.bytes());
      break;
    case 20:
      attribute.type = static_cast<Attribute::Type>(r.enumeration());
      break;
    case 21:
      attribute.reference = r.bytes();
      break;
    case 22:
      attribute.sparseTensor = std::make_shared<SparseTensorProto>();
      parseSparseTensor(r.submessage("SparseTensorProto"), *attribute.sparseTensor);
      break;
    default:
      r.pbf.skip(); // lists of tensors, graphs and types: no supported operation has them
    }
  }
  inferAttributeType(attribute, sawInteger, sawNumber, sawString);
  return attribute;
}

void parseNode(Reader r, Node &node, unsigned depth) {
  while (r.pbf.next()) {
    switch (r.pbf.tag()) {
    case 1:
      node.inputs.push_back(r.bytes());
      break;
    case 2:
      node.outputs.push_back(r.bytes());
      break;
    case 3:
      node.name = r.bytes();
      break;
    case 4:
      node.op = r.bytes();
      break;
    case 5:
      node.attributes.push_back(parseAttribute(r.bytes(), depth));
      break;
    case 7:
      node.domain = r.bytes();
      break;
    case 8:
      node.overload = r.bytes();
      break;
    default:
      r.pbf.skip();
    }
  }
}

void parseGraph(Reader r, Graph &graph, unsigned depth) {
  if (depth > kMaxGraphDepth)
    throw ParseError{"graphs inside attributes are nested deeper than " + std::to_string(kMaxGraphDepth)};
  while (r.pbf.next()) {
    switch (r.pbf.tag()) {
    case 1:
      parseNode(r.submessage("NodeProto"), graph.nodes.emplace_back(), depth);
      break;
    case 2:
      graph.name = r.bytes();
      break;
    case 5:
      parseTensor(r.bytes(), graph.initializers.emplace_back());
      break;
    case 11:
      graph.inputs.push_back(parseValueInfo(r.submessage("ValueInfoProto")));
      break;
    case 12:
      graph.outputs.push_back(parseValueInfo(r.submessage("ValueInfoProto")));
      break;
    case 15:
      parseSparseTensor(r.submessage("SparseTensorProto"), graph.sparseInitializers.emplace_back());
      break;
    default:
      r.pbf.skip(); // value_info is a hint that is never read
    }
  }
}

OperatorSet parseOperatorSet(Reader r) {
  OperatorSet set;
  while (r.pbf.next()) {
    if (r.pbf.tag() == 1)
      set.domain = r.bytes();
    else if (r.pbf.tag() == 2)
      set.version = r.integer();
    else
      r.pbf.skip();
  }
  return set;
}

void readFunction(StringRef bytes, Function &function) {
  Reader r{pbf_reader(bytes.data(), bytes.size()), "FunctionProto"};
  function.message = bytes;
  while (r.pbf.next()) {
    switch (r.pbf.tag()) {
    case 1:
      function.name = r.bytes();
      break;
    case 4:
      function.inputs.push_back(r.bytes());
      break;
    case 5:
      function.outputs.push_back(r.bytes());
      break;
    case 6:
      function.attributes.push_back(r.bytes());
      break;
    case 7:
      parseNode(r.submessage("NodeProto"), function.nodes.emplace_back(), 0);
      break;
    case 9:
      function.operatorSets.push_back(parseOperatorSet(r.submessage("OperatorSetIdProto")));
      break;
    case 10:
      function.domain = r.bytes();
      break;
    case 11:
      function.defaults.push_back(parseAttribute(r.bytes(), 0));
      break;
    case 13:
      function.overload = r.bytes();
      break;
    default:
      r.pbf.skip();
    }
  }
}

void parse(Reader r, Model &model) {
  while (r.pbf.next()) {
    switch (r.pbf.tag()) {
    case 1:
      model.irVersion = r.integer();
      break;
    case 2:
      model.producer = r.bytes();
      break;
    case 7:
      if (!model.graph)
        model.graph = std::make_unique<Graph>();
      parseGraph(r.submessage("GraphProto"), *model.graph, 0);
      break;
    case 8:
      model.operatorSets.push_back(parseOperatorSet(r.submessage("OperatorSetIdProto")));
      break;
    case 25:
      readFunction(r.bytes(), model.functions.emplace_back());
      break;
    default:
      r.pbf.skip();
    }
  }
}

/// Numbers of one field, packed or not.
template <typename Packed, typename Single, typename Sink>
void each(Reader &r, pbf_wire_type unpacked, Packed packed, Single single, Sink sink) {
  if (r.pbf.wire_type() == pbf_wire_type::length_delimited) {
    for (auto value : packed())
      sink(value);
  } else {
    r.expect(unpacked);
    sink(single());
  }
}

/// Both messages have a field 1: the name of a function, the IR version of a model.
bool isFunction(StringRef bytes) {
  pbf_reader r(bytes.data(), bytes.size());
  while (r.next()) {
    if (r.tag() == 1)
      return r.wire_type() == pbf_wire_type::length_delimited;
    r.skip();
  }
  return false;
}

bool guarded(std::string &error, llvm::function_ref<void()> work) {
  try {
    work();
    return true;
  } catch (const ParseError &e) {
    error = e.text;
  } catch (const protozero::exception &e) {
    error = std::string("the protobuf data is damaged (") + e.what() + ")";
  }
  return false;
}

} // namespace

bool parseModel(StringRef bytes, Model &model, std::string &error) {
  return guarded(error, [&] { parse({pbf_reader(bytes.data(), bytes.size()), "ModelProto"}, model); });
}

bool parseFunction(StringRef bytes, Function &function, std::string &error) {
  return guarded(error, [&] { readFunction(bytes, function); });
}

bool parseFunctions(StringRef bytes, std::vector<Function> &functions, std::string &error) {
  return guarded(error, [&] {
    if (isFunction(bytes))
      return readFunction(bytes, functions.emplace_back());
    Model library;
    parse({pbf_reader(bytes.data(), bytes.size()), "ModelProto"}, library);
    functions = std::move(library.functions);
    for (Function &function : functions)
      function.operatorSets.insert(function.operatorSets.end(), library.operatorSets.begin(),
                                   library.operatorSets.end());
  });
}

std::string writeNode(const Node &node, llvm::ArrayRef<std::pair<StringRef, const Attribute *>> attributes) {
  std::string bytes;
  protozero::pbf_writer w(bytes);
  auto add = [](protozero::pbf_writer &to, protozero::pbf_tag_type tag, StringRef text) {
    to.add_string(tag, text.data(), text.size());
  };
  for (StringRef input : node.inputs)
    add(w, 1, input);
  for (StringRef output : node.outputs)
    add(w, 2, output);
  for (auto [tag, text] : {std::pair{3, node.name}, {4, node.op}, {7, node.domain}, {8, node.overload}})
    if (!text.empty())
      add(w, tag, text);
  for (auto &[name, attribute] : attributes) {
    std::string message = attribute->message.str();
    protozero::pbf_writer a(message);
    if (name != attribute->name)
      add(a, 1, name); // of a field that is there twice the last one counts
    add(w, 5, message);
  }
  return bytes;
}

bool decodeNumbers(const TensorProto &tensor, llvm::function_ref<void(uint64_t)> integer,
                   llvm::function_ref<void(float)> single, llvm::function_ref<void(double)> floating) {
  try {
    Reader r{pbf_reader(tensor.message.data(), tensor.message.size()), "TensorProto"};
    pbf_reader &p = r.pbf;
    while (p.next()) {
      switch (p.tag()) {
      case 4:
        each(r, pbf_wire_type::fixed32, [&] { return p.get_packed_float(); }, [&] { return p.get_float(); }, single);
        break;
      case 5:
        each(r, pbf_wire_type::varint, [&] { return p.get_packed_int32(); }, [&] { return p.get_int32(); }, integer);
        break;
      case 7:
        each(r, pbf_wire_type::varint, [&] { return p.get_packed_int64(); }, [&] { return p.get_int64(); }, integer);
        break;
      case 10:
        each(
            r, pbf_wire_type::fixed64, [&] { return p.get_packed_double(); }, [&] { return p.get_double(); }, floating);
        break;
      case 11:
        each(r, pbf_wire_type::varint, [&] { return p.get_packed_uint64(); }, [&] { return p.get_uint64(); }, integer);
        break;
      default:
        p.skip();
      }
    }
    return true;
  } catch (const ParseError &) {
  } catch (const protozero::exception &) {
  }
  return false;
}

bool decodeStrings(const TensorProto &tensor, llvm::function_ref<void(StringRef)> visit) {
  try {
    Reader r{pbf_reader(tensor.message.data(), tensor.message.size()), "TensorProto"};
    while (r.pbf.next()) {
      if (r.pbf.tag() == 6)
        visit(r.bytes());
      else
        r.pbf.skip();
    }
    return true;
  } catch (const ParseError &) {
  } catch (const protozero::exception &) {
  }
  return false;
}

} // namespace eyrie::import::onnx
