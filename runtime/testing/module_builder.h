// Writes modules for tests: any bytecode, any signature, well-formed or not.
#ifndef EYRIE_RUNTIME_TESTING_MODULE_BUILDER_H_
#define EYRIE_RUNTIME_TESTING_MODULE_BUILDER_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "abi/module_format.h"
#include "abi/module_generated.h"
#include "abi/vm_encoding.h"

namespace eyrie::rt::testing {

struct Dim {
  int64_t size = -1;
  int32_t symbol = -1;
  Dim(int64_t size) : size(size) {}
  static Dim Symbol(int32_t symbol) {
    Dim dim(-1);
    dim.symbol = symbol;
    return dim;
  }
};

struct Value {
  std::string name;
  uint8_t type;
  std::vector<Dim> dims;
  uint8_t kind = 0;  // 1: a sequence
  bool any_rank = false;
};

// A function; code is added instruction by instruction.
struct Function {
  std::string name = "main";
  std::vector<Value> arguments, results;
  uint32_t int_registers = 16, buffer_registers = 8, list_registers = 4;
  std::vector<uint32_t> code, blocks = {0};
  std::vector<uint32_t> states;
  bool internal = false;
  // Of an internal function that others call: integers, buffers, lists that it takes, then those that it gives.
  std::vector<uint32_t> callee;

  // Operands as words; lists with their counts.
  Function& Op(abi::VmOp op, std::initializer_list<uint32_t> operands = {});
  Function& Const(uint32_t reg, int64_t value);
  // The next instruction starts a new block.
  Function& Block();
};

struct Export {
  std::string symbol;
  uint32_t bindings = 0, constants = 0, local_memory = 0;
};

struct Variant {
  std::string format;  // empty: the executable's
  uint64_t features = 0;
  std::vector<uint8_t> object;
  std::vector<uint32_t> local_memory = {};
  uint64_t shift = 0;  // added to the offset of the object: to be wrong
};

struct Executable {
  std::string name, format;
  uint64_t features = 0;
  std::vector<uint8_t> object;
  std::vector<Export> exports;
  std::vector<Variant> variants = {};
};

struct Processor {
  std::string name, format;
  uint64_t features;
};

struct Section {
  uint32_t kind, flags;
  std::vector<uint8_t> bytes;
  uint32_t alignment;
};

struct State {
  Value value;
  std::vector<uint8_t> order;  // empty: as the model has it
};

// A tensor outside the module, or (kind 2) one that is part of its code.
struct Parameter {
  Value value;
  uint8_t kind = 1;
  std::vector<uint32_t> sources = {};  // numbers of globals, which count the states too
  uint32_t function = 0, crc = 0;
};

struct HostAttribute {
  std::string name;
  std::vector<int64_t> integers = {};
  std::vector<double> numbers = {};
  std::vector<std::string> strings = {};
  bool is_list = false;
};

struct HostFunction {
  std::string name;
  std::vector<uint8_t> types, ranks;
  uint32_t input_count;
  std::vector<HostAttribute> attributes = {};
};

struct SourceMap {
  std::vector<std::string> names;
  std::vector<uint32_t> words, nodes;
};

struct Module {
  std::vector<std::string> symbols, strings, texts;
  std::vector<abi::fb::SymbolRange> ranges;  // of each symbol, or none
  std::vector<State> states;
  std::vector<Parameter> parameters;
  std::string archive;
  std::vector<HostFunction> host_functions;
  std::vector<Processor> processors;
  std::vector<Function> functions;
  std::vector<Executable> executables;
  std::vector<uint8_t> weights;
  SourceMap source_map;                 // without words: none
  std::vector<Section> extra_sections;  // before the weights

  std::vector<uint8_t> Build() const;
};

// Makes all checksums right again after bytes were changed, as far as the section table still makes sense.
void Reseal(std::vector<uint8_t>& bytes);

// The object with the kernels of test_kernels.c, for this machine.
const std::vector<uint8_t>& TestKernels();
const char* HostFormat();

// y = (a + b) * w, elementwise: two dispatches with a transient between them. a, b, y: tensor<n x 8 x f32>, w: 8
// weights.
Module AddScaleModule();

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_MODULE_BUILDER_H_
