#include "runtime/testing/module_builder.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "abi/crc32c.h"
#include "abi/module_generated.h"

namespace eyrie::rt::testing {

using abi::VmOp;
namespace fb = abi::fb;

Function& Function::Op(VmOp op, std::initializer_list<uint32_t> operands) {
  code.push_back(abi::MakeVmHeader(op, static_cast<uint32_t>(operands.size()) + 1));
  code.insert(code.end(), operands);
  return *this;
}

Function& Function::Const(uint32_t reg, int64_t value) {
  return Op(VmOp::kConst,
            {reg, static_cast<uint32_t>(value), static_cast<uint32_t>(static_cast<uint64_t>(value) >> 32)});
}

Function& Function::Block() {
  blocks.push_back(static_cast<uint32_t>(code.size()));
  return *this;
}

namespace {

using Builder = flatbuffers::FlatBufferBuilder;

auto WriteValue(Builder& builder, const Value& value) {
  std::vector<fb::Dim> dims;
  for (const Dim& dim : value.dims) dims.push_back(fb::Dim(dim.size, dim.symbol));
  return fb::CreateValue(builder, builder.CreateString(value.name), value.type, builder.CreateVectorOfStructs(dims),
                         value.kind, value.any_rank);
}

auto WriteValues(Builder& builder, const std::vector<Value>& values) {
  std::vector<flatbuffers::Offset<fb::Value>> list;
  for (const Value& value : values) list.push_back(WriteValue(builder, value));
  return builder.CreateVector(list);
}

auto WriteHostFunctions(Builder& builder, const std::vector<HostFunction>& functions) {
  std::vector<flatbuffers::Offset<fb::HostFunction>> list;
  // Equal ones lie in the file once: many functions may refer to a long one.
  std::map<std::vector<int64_t>, flatbuffers::Offset<flatbuffers::Vector<int64_t>>> integer_lists;
  for (const HostFunction& function : functions) {
    std::vector<flatbuffers::Offset<fb::HostAttribute>> attributes;
    for (const HostAttribute& attribute : function.attributes) {
      auto name = builder.CreateString(attribute.name);
      auto& integers = integer_lists[attribute.integers];
      if (integers.IsNull()) integers = builder.CreateVector(attribute.integers);
      auto numbers = builder.CreateVector(attribute.numbers);
      auto strings = builder.CreateVectorOfStrings(attribute.strings);
      attributes.push_back(fb::CreateHostAttribute(builder, name, integers, numbers, strings, attribute.is_list));
    }
    auto name = builder.CreateString(function.name);
    auto types = builder.CreateVector(function.types);
    auto ranks = builder.CreateVector(function.ranks);
    list.push_back(
        fb::CreateHostFunction(builder, name, types, ranks, function.input_count, builder.CreateVector(attributes)));
  }
  return builder.CreateVector(list);
}

// Appends an object; returns where.
uint64_t AddObject(const std::vector<uint8_t>& object, std::vector<uint8_t>& objects) {
  objects.resize((objects.size() + 63) / 64 * 64);
  objects.insert(objects.end(), object.begin(), object.end());
  return objects.size() - object.size();
}

auto WriteVariants(Builder& builder, const std::vector<Variant>& variants, std::vector<uint8_t>& objects) {
  std::vector<flatbuffers::Offset<fb::Variant>> list;
  for (const Variant& variant : variants) {
    flatbuffers::Offset<flatbuffers::String> format;
    if (!variant.format.empty()) format = builder.CreateString(variant.format);
    flatbuffers::Offset<flatbuffers::Vector<uint32_t>> local;
    if (!variant.local_memory.empty()) local = builder.CreateVector(variant.local_memory);
    uint64_t offset = AddObject(variant.object, objects) + variant.shift;
    list.push_back(fb::CreateVariant(builder, format, variant.features, offset, variant.object.size(), local));
  }
  return builder.CreateVector(list);
}

auto WriteProcessors(Builder& builder, const std::vector<Processor>& processors) {
  std::vector<flatbuffers::Offset<fb::Processor>> list;
  for (const Processor& processor : processors) {
    auto name = builder.CreateString(processor.name);
    list.push_back(fb::CreateProcessor(builder, name, builder.CreateString(processor.format), processor.features));
  }
  return builder.CreateVector(list);
}

std::vector<uint8_t> WriteMetadata(const Module& module, std::vector<uint8_t>& bytecode,
                                   std::vector<uint8_t>& objects) {
  Builder builder;
  std::vector<flatbuffers::Offset<fb::Function>> functions;
  for (const Function& function : module.functions) {
    auto arguments = WriteValues(builder, function.arguments);
    auto results = WriteValues(builder, function.results);
    auto name = builder.CreateString(function.name);
    auto blocks = builder.CreateVector(function.blocks);
    auto plan = fb::CreateMemoryPlan(builder, 0, 64, 128);
    auto states = builder.CreateVector(function.states);
    fb::Signature callee;
    if (const std::vector<uint32_t>& s = function.callee; !s.empty())
      callee = fb::Signature(s[0], s[1], s[2], s[3], s[4], s[5]);
    functions.push_back(fb::CreateFunction(
        builder, name, arguments, results, static_cast<uint32_t>(bytecode.size() / 4),
        static_cast<uint32_t>(function.code.size()), function.int_registers, function.buffer_registers, blocks, plan,
        function.list_registers, states, function.internal, function.callee.empty() ? nullptr : &callee));
    const auto* words = reinterpret_cast<const uint8_t*>(function.code.data());
    bytecode.insert(bytecode.end(), words, words + function.code.size() * 4);
  }
  std::vector<flatbuffers::Offset<fb::Executable>> executables;
  for (const Executable& executable : module.executables) {
    std::vector<flatbuffers::Offset<fb::Export>> exports;
    for (const Export& item : executable.exports) {
      auto nodes = builder.CreateString("node_of_" + item.symbol + '\0' + "second" + '\0');
      exports.push_back(fb::CreateExport(builder, builder.CreateString(item.symbol), item.bindings, item.constants,
                                         item.local_memory, nodes));
    }
    auto name = builder.CreateString(executable.name);
    auto format = builder.CreateString(executable.format);
    auto list = builder.CreateVector(exports);
    auto variants = WriteVariants(builder, executable.variants, objects);
    uint64_t offset = AddObject(executable.object, objects);
    executables.push_back(fb::CreateExecutable(builder, name, format, executable.features, offset,
                                               executable.object.size(), list, variants));
  }
  auto producer = builder.CreateString("test");
  auto symbols = builder.CreateVectorOfStrings(module.symbols);
  auto strings = builder.CreateVectorOfStrings(module.strings);
  auto function_list = builder.CreateVector(functions);
  auto executable_list = builder.CreateVector(executables);
  auto texts = builder.CreateVectorOfStrings(module.texts);
  std::vector<flatbuffers::Offset<fb::Global>> globals;
  for (const State& state : module.states)
    globals.push_back(fb::CreateGlobal(builder, WriteValue(builder, state.value), 0,
                                       state.order.empty() ? 0 : builder.CreateVector(state.order)));
  for (const Parameter& parameter : module.parameters) {
    auto value = WriteValue(builder, parameter.value);
    auto sources = builder.CreateVector(parameter.sources);
    globals.push_back(fb::CreateGlobal(builder, value, parameter.kind, 0, sources, parameter.function, parameter.crc));
  }
  auto global_list = builder.CreateVector(globals);
  flatbuffers::Offset<flatbuffers::Vector<const fb::SymbolRange*>> ranges;
  if (!module.ranges.empty()) ranges = builder.CreateVectorOfStructs(module.ranges);
  flatbuffers::Offset<fb::SourceMap> map;
  if (!module.source_map.words.empty()) {
    auto names = builder.CreateVectorOfStrings(module.source_map.names);
    auto words = builder.CreateVector(module.source_map.words);
    map = fb::CreateSourceMap(builder, names, words, builder.CreateVector(module.source_map.nodes));
  }
  auto archive = builder.CreateString(module.archive);
  auto host_functions = WriteHostFunctions(builder, module.host_functions);
  auto processors = WriteProcessors(builder, module.processors);
  fb::FinishModuleBuffer(
      builder, fb::CreateModule(builder, producer, 0, symbols, strings, function_list, executable_list, 0, texts,
                                global_list, ranges, map, archive, host_functions, processors));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

template <typename T>
void Append(std::vector<uint8_t>& bytes, const T& value) {
  const auto* begin = reinterpret_cast<const uint8_t*>(&value);
  bytes.insert(bytes.end(), begin, begin + sizeof(T));
}

}  // namespace

std::vector<uint8_t> Module::Build() const {
  std::vector<Section> sections;
  std::vector<uint8_t> bytecode, objects;
  std::vector<uint8_t> metadata = WriteMetadata(*this, bytecode, objects);
  auto kind = [](abi::SectionKind k) { return static_cast<uint32_t>(k); };
  sections.push_back({kind(abi::SectionKind::kMetadata), 0, metadata, 8});
  sections.push_back({kind(abi::SectionKind::kBytecode), 0, bytecode, 64});
  if (!objects.empty()) sections.push_back({kind(abi::SectionKind::kObjects), 0, objects, 64});
  sections.insert(sections.end(), extra_sections.begin(), extra_sections.end());
  if (!weights.empty()) {
    std::vector<uint8_t> checks;
    for (size_t at = 0; at < weights.size(); at += abi::kWeightChunk)
      Append(checks, abi::Crc32c(weights.data() + at, std::min<size_t>(abi::kWeightChunk, weights.size() - at)));
    sections.push_back({kind(abi::SectionKind::kWeightChecks), 0, checks, 4});
    sections.push_back({kind(abi::SectionKind::kWeights), abi::kSectionUnchecked, weights, abi::kWeightsAlignment});
  }
  std::vector<uint8_t> bytes(sizeof(abi::FileHeader) + sections.size() * sizeof(abi::SectionEntry));
  for (size_t i = 0; i < sections.size(); ++i) {
    const Section& section = sections[i];
    bytes.resize((bytes.size() + section.alignment - 1) / section.alignment * section.alignment);
    abi::SectionEntry entry = {section.kind, section.flags, bytes.size(), section.bytes.size(), section.alignment, 0};
    memcpy(&bytes[sizeof(abi::FileHeader) + i * sizeof(entry)], &entry, sizeof(entry));
    bytes.insert(bytes.end(), section.bytes.begin(), section.bytes.end());
  }
  abi::FileHeader header = {};
  memcpy(header.magic, abi::kModuleMagic, sizeof(header.magic));
  header.format_major = abi::kFormatMajor;
  header.format_minor = abi::kFormatMinor;
  header.byte_order_mark = abi::kByteOrderMark;
  header.file_size = bytes.size();
  header.section_count = static_cast<uint32_t>(sections.size());
  header.section_table_offset = sizeof(header);
  memcpy(bytes.data(), &header, sizeof(header));
  Reseal(bytes);
  return bytes;
}

void Reseal(std::vector<uint8_t>& bytes) {
  abi::FileHeader header;
  if (bytes.size() < sizeof(header)) return;
  memcpy(&header, bytes.data(), sizeof(header));
  uint64_t table = uint64_t{header.section_count} * sizeof(abi::SectionEntry);
  if (table <= bytes.size() - sizeof(header)) {
    for (uint32_t i = 0; i < header.section_count; ++i) {
      uint8_t* at = bytes.data() + sizeof(header) + i * sizeof(abi::SectionEntry);
      abi::SectionEntry entry;
      memcpy(&entry, at, sizeof(entry));
      if (entry.offset <= bytes.size() && entry.size <= bytes.size() - entry.offset &&
          !(entry.flags & abi::kSectionUnchecked))
        entry.crc = abi::Crc32c(bytes.data() + entry.offset, entry.size);
      memcpy(at, &entry, sizeof(entry));
    }
    header.section_table_crc = abi::Crc32c(bytes.data() + sizeof(header), table);
  }
  header.header_crc = abi::Crc32c(&header, offsetof(abi::FileHeader, header_crc));
  memcpy(bytes.data(), &header, sizeof(header));
}

const std::vector<uint8_t>& TestKernels() {
  static const std::vector<uint8_t>* const bytes = [] {
    auto* result = new std::vector<uint8_t>;
    FILE* file = fopen(EYRIE_TEST_KERNELS, "rb");
    if (!file) abort();
    uint8_t block[4096];
    while (size_t count = fread(block, 1, sizeof(block), file)) result->insert(result->end(), block, block + count);
    fclose(file);
    return result;
  }();
  return *bytes;
}

const char* HostFormat() {
#if defined(__aarch64__)
  return "elf-aarch64";
#elif defined(__riscv)
  return "elf-riscv64";
#else
  return "elf-x86_64";
#endif
}

Module AddScaleModule() {
  Module module;
  module.symbols = {"n"};
  module.strings = {"a message"};
  module.executables = {
      {"kernels",
       HostFormat(),
       0,
       TestKernels(),
       {{"add", 3, 1, 0}, {"scale", 3, 1, 0}, {"fail", 0, 1, 0}, {"use_local", 1, 1, 256}, {"empty", 0, 0, 0}}}};
  module.weights.resize(8 * sizeof(float));
  for (int i = 0; i < 8; ++i) {
    float value = static_cast<float>(i + 1);
    memcpy(&module.weights[i * sizeof(float)], &value, sizeof(float));
  }
  Function f;
  f.arguments = {{"a", 2, {Dim::Symbol(0), 8}}, {"b", 2, {Dim::Symbol(0), 8}}};
  f.results = {{"y", 2, {Dim::Symbol(0), 8}}};
  // r0 = n, r1 = 8, r2 = elements, r3 = bytes, r4 = 0, r5 = 1, r6 = 32, r7 = workgroups of 64 elements
  f.Op(VmOp::kArgDim, {0, 0, 0}).Const(1, 8).Op(VmOp::kMul, {2, 0, 1}).Const(4, 0).Const(5, 1).Const(6, 4);
  f.Op(VmOp::kMul, {3, 2, 6}).Const(6, 64).Op(VmOp::kDivCeil, {7, 2, 6}).Const(6, 32);
  f.Op(VmOp::kBufArg, {0, 0}).Op(VmOp::kBufArg, {1, 1}).Op(VmOp::kBufWeights, {2}).Op(VmOp::kBufArena, {3, 3});
  f.Op(VmOp::kBufResult, {4, 0, 2, 0, 1});
  f.Op(VmOp::kDispatch, {0, 7, 5, 5, 1, 2, 3, 0, 4, 3, 1, 4, 3, 3, 4, 3});
  f.Op(VmOp::kBarrier);
  f.Op(VmOp::kDispatch, {1, 7, 5, 5, 1, 2, 3, 3, 4, 3, 2, 4, 6, 4, 4, 3});
  f.Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
  module.functions = {f};
  return module;
}

}  // namespace eyrie::rt::testing
