// A loaded module: its file, its verified functions, its executables on the device.
#ifndef EYRIE_RUNTIME_SESSION_MODULE_H_
#define EYRIE_RUNTIME_SESSION_MODULE_H_

#include <atomic>

#include "runtime/base/allocator.h"
#include "runtime/base/file.h"
#include "runtime/base/thread.h"
#include "runtime/module/module_file.h"
#include "runtime/session/host_functions.h"
#include "runtime/session/parameters.h"
#include "runtime/session/runtime.h"
#include "runtime/session/strings.h"
#include "runtime/vm/disassembler.h"
#include "runtime/vm/program.h"

struct eyrie_instance;

namespace eyrie::rt::session {

// Where a function's arguments and results stand among the module's values.
struct FunctionRecord {
  uint32_t first_argument, argument_count;
  uint32_t first_result, result_count;
};

// A state, which instances keep: its description is a value of the module.
struct StateRecord {
  uint32_t value;                        // among eyrie_module::values
  uint8_t order[EYRIE_MAX_RANK];         // dimension i in memory is dimension order[i] of the value
  int64_t initial_dims[EYRIE_MAX_RANK];  // in memory
};

// A tensor outside the module, or one that is part of the code (`crc` is that of its values).
struct ParameterRecord {
  uint32_t value;  // among eyrie_module::values
  uint64_t size;
  const abi::fb::Global* global;
  hal::Buffer* buffer;     // null: not there yet, or part of the code
  void* memory;            // of the module: what it computed, or could not use where it was mapped
  eyrie_parameters* file;  // where it was found
  size_t entry;
};

// The code of an executable for one kind of processor: a variant of it, or its own.
struct Code {
  const char* format;
  uint64_t features, offset, size;
};

struct ExportRef {
  hal::Executable* executable;  // null if not loaded
  uint32_t executable_index;
  uint32_t ordinal;
};

}  // namespace eyrie::rt::session

struct eyrie_module final : eyrie::rt::vm::Names {
  eyrie_module(eyrie_runtime* runtime, const eyrie_module_options_t& options);
  ~eyrie_module();
  void Retain() { references.fetch_add(1, std::memory_order_relaxed); }
  void Release();

  eyrie::rt::Status LoadFile(const char* path);
  eyrie::rt::Status LoadMemory(const uint8_t* data, size_t size);
  // Checks the weights unless that has been done or is not wanted. Thread-safe.
  eyrie::rt::Status EnsureVerified(bool wanted);

  const eyrie::rt::vm::Function& FunctionAt(uint32_t index) const { return code[index]; }
  eyrie::rt::vm::Program program() const {
    return {string_count,
            {export_counts.data(), export_counts.size()},
            {state_ranks.data(), state_ranks.size()},
            parameter_count,
            {code.data(), code.size()},
            {host_counts.data(), host_counts.size()}};
  }
  // Bytes of transient memory that a call may take.
  uint64_t transient_limit() const { return options.max_arena_bytes ? options.max_arena_bytes : uint64_t{1} << 40; }
  const eyrie::abi::fb::Export& ExportAt(uint32_t index) const;
  const char* String(uint32_t index) const override;
  const char* Export(uint32_t index) const override;
  const char* Global(uint32_t index) const override {
    return values[index < states.size() ? states[index].value : parameters[index - states.size()].value].name;
  }
  const char* Function(uint32_t index) const override;
  const char* HostFunction(uint32_t index) const override;
  const char* Node(uint32_t word) const override;
  // The first node that calls a host function; null: not known.
  const char* NodeOfHostFunction(uint32_t index) const;  // host_calls.cpp
  // The functions that may be called: of a loaded module the public ones; its loader calls those that derive
  // parameters.
  uint32_t callable_count() const { return is_loaded_ ? public_count : static_cast<uint32_t>(functions.size()); }
  // variants.cpp: code number `variant` of an executable, whose own comes last; and whether it is for the processor
  // that code is chosen for.
  eyrie::rt::session::Code CodeOf(const eyrie::abi::fb::Executable& executable, uint32_t variant) const;
  bool Fits(const eyrie::rt::session::Code& code) const;
  // The states that a function reads or writes.
  std::span<const uint32_t> StatesOf(uint32_t function) const;

  eyrie_runtime* runtime;
  eyrie_module_options_t options;
  std::atomic<uint32_t> references{1};
  eyrie::rt::MappedFile mapping;
  void* copy = nullptr;  // of memory that was not aligned
  size_t copy_size = 0;
  eyrie::rt::module::ModuleFile file;
  uint32_t string_count = 0;
  uint32_t public_count = 0;  // functions that can be called; those behind them are called by code of the module
  eyrie::rt::session::Texts texts;
  eyrie::rt::Array<eyrie_value_info_t> values;
  eyrie::rt::Array<eyrie_dim_t> dims;
  eyrie::rt::Array<int32_t> dim_symbols;                           // beside `dims`: the number of the symbol, or -1
  eyrie::rt::Array<uint32_t> ranks;                                // beside `values`; vm::kSequence for sequences
  eyrie::rt::Array<uint8_t> types;                                 // beside `values`
  eyrie::rt::Array<eyrie::rt::session::FunctionRecord> functions;  // all that others do not `call`
  eyrie::rt::Array<eyrie::rt::vm::Function> code;                  // those, then those that others `call`
  eyrie::rt::Array<eyrie::rt::vm::HostCounts> host_counts;         // of each host function
  eyrie::rt::Array<eyrie::rt::session::HostTarget> host_targets;   // beside `host_counts`, unless only inspected
  eyrie::rt::Array<eyrie::rt::session::StateRecord> states;
  eyrie::rt::Array<uint32_t> state_ranks;  // beside `states`
  eyrie::rt::Array<eyrie::rt::session::ParameterRecord> parameters;
  uint32_t parameter_count = 0;  // of `parameters`: those that the code reads from files, which come first
  eyrie::rt::Array<eyrie_parameters*> parameter_files;
  eyrie::rt::Array<eyrie::rt::hal::ExportSpec> export_specs;
  eyrie::rt::Array<eyrie::rt::vm::ExportCounts> export_counts;
  eyrie::rt::Array<eyrie::rt::session::ExportRef> exports;
  eyrie::rt::Array<uint32_t> chosen;  // of each executable: the number of its code
  eyrie::rt::Array<eyrie::rt::hal::Executable*> executables;
  eyrie::rt::hal::Buffer* weights = nullptr;

 private:
  eyrie::rt::Status Build();
  eyrie::rt::vm::Function ReadFunction(uint32_t index) const;
  eyrie::rt::Status BuildValues();
  eyrie::rt::Status BuildExports();
  // variants.cpp
  eyrie::rt::Status FindCpu();
  uint32_t ChooseVariant(const eyrie::abi::fb::Executable& executable) const;
  eyrie::rt::Status CountHostFunctions();
  // host_calls.cpp
  eyrie::rt::Status BindHostFunctions();
  eyrie::rt::Status MissingFunction(uint32_t index, const char* name) const;
  eyrie::rt::Status LoadExecutables();
  eyrie::rt::Status AddState(const eyrie::abi::fb::Global& global);
  eyrie::rt::Status AddParameter(const eyrie::abi::fb::Global& global);
  // module_parameters.cpp
  eyrie::rt::Status KeepFiles();
  eyrie::rt::Status BindParameters();
  eyrie::rt::Status BindParameter(eyrie::rt::session::ParameterRecord& parameter);
  eyrie::rt::Status CheckFixed(const eyrie::rt::session::ParameterRecord& parameter) const;
  eyrie::rt::Status DeriveParameters();
  eyrie::rt::Status Derive(eyrie_instance& instance, eyrie::rt::session::ParameterRecord& parameter);
  eyrie::rt::Status VerifyParameters();
  void ReleaseParameters();
  eyrie::rt::Status AddValue(const eyrie::abi::fb::Value& value);

  const eyrie::abi::fb::Processor* cpu_ = nullptr;  // whose code is wanted; null: this processor's
  bool is_loaded_ = false;
  eyrie::rt::Mutex verify_mutex_;
  std::atomic<bool> weights_verified_{false};
};

#endif  // EYRIE_RUNTIME_SESSION_MODULE_H_
