#include "runtime/vm/interpreter.h"

#include <cstring>

#include "abi/element_types.h"
#include "abi/module_format.h"
#include "abi/vm_encoding.h"

namespace eyrie::rt::vm {
namespace {

using abi::VmOp;

uint64_t U(int64_t value) { return static_cast<uint64_t>(value); }
int64_t S(uint64_t value) { return static_cast<int64_t>(value); }

// Division with every case defined but a divisor of 0, which the caller has excluded.
int64_t DivS(int64_t a, int64_t b) { return b == -1 ? S(0 - U(a)) : a / b; }
int64_t RemS(int64_t a, int64_t b) { return b == -1 ? 0 : a % b; }
int64_t DivFloor(int64_t a, int64_t b) {
  int64_t remainder = RemS(a, b);
  return DivS(a, b) - (remainder != 0 && (remainder < 0) != (b < 0));
}
int64_t DivCeil(int64_t a, int64_t b) {
  int64_t remainder = RemS(a, b);
  return DivS(a, b) + (remainder != 0 && (remainder < 0) == (b < 0));
}
int64_t RemFloor(int64_t a, int64_t b) {
  int64_t remainder = RemS(a, b);
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}
int64_t ShiftLeft(int64_t a, uint64_t by) { return by > 63 ? 0 : S(U(a) << by); }
int64_t ShiftRightS(int64_t a, uint64_t by) { return a >> (by > 63 ? 63 : by); }
int64_t ShiftRightU(int64_t a, uint64_t by) { return by > 63 ? 0 : S(U(a) >> by); }
int64_t ExtendS(int64_t a, uint32_t bits) { return S(U(a) << (64 - bits)) >> (64 - bits); }
int64_t ExtendU(int64_t a, uint32_t bits) { return S(U(a) << (64 - bits) >> (64 - bits)); }

Status NullBuffer(uint32_t index) { return Error(EYRIE_FAILED_PRECONDITION, "buffer register b%u is null", index); }

// Writes a buffer register; `value` comes with its own hold of a block.
void SetBuffer(BufferRef& buffer, const BufferRef& value, Host& host) {
  if (buffer.block) host.ReleaseBlock(buffer.block);
  buffer = value;
}

// Adds where the instruction is. Not inlined and with copies of the interpreter's variables, which so stay in
// registers.
__attribute__((noinline, cold)) Status AtWord(Status status, Host& host, const Function& function, const uint32_t* ip) {
  auto word = static_cast<uint32_t>(ip - function.code.data());
  const char* node = host.Node(function.first_word + word);
  return Annotate(std::move(status), "%s%.400s%sfunction '%.100s', bytecode word %u", node ? "node '" : "",
                  node ? node : "", node ? "': " : "", function.name, word);
}

}  // namespace

Status Interpreter::Prepare(const Program& program, const Function& function) {
  EYRIE_RETURN_IF_ERROR(integers_.Reserve(function.int_registers));
  EYRIE_RETURN_IF_ERROR(buffers_.Reserve(function.buffer_registers));
  EYRIE_RETURN_IF_ERROR(list_registers_.Reserve(function.list_registers));
  uint32_t constants = abi::kMaxRank, bindings = 1;
  for (const ExportCounts& counts : program.exports) {
    constants = counts.constants > constants ? counts.constants : constants;
    bindings = counts.bindings > bindings ? counts.bindings : bindings;
  }
  for (const HostCounts& counts : program.host_functions) {
    constants = counts.sizes > constants ? counts.sizes : constants;
    bindings = counts.tensors > bindings ? counts.tensors : bindings;
  }
  EYRIE_RETURN_IF_ERROR(constants_.Resize(constants));
  EYRIE_RETURN_IF_ERROR(bindings_.Resize(bindings));
  for (size_t at = 0; at < function.code.size(); at += abi::VmLengthOf(function.code[at]))
    if (abi::VmOpcodeOf(function.code[at]) == static_cast<uint32_t>(VmOp::kArenaPack))
      EYRIE_RETURN_IF_ERROR(packer_.Reserve(function.code[at + 2]));
  return {};
}

Status Interpreter::Run(const Program& program, const Function& function, Host& host) {
  // A tail call only goes forward in the module: this ends.
  for (const Function* next = &function; next;) {
    tail_ = nullptr;
    EYRIE_RETURN_IF_ERROR(RunOne(program, *next, host));
    next = tail_;
  }
  return {};
}

Status Interpreter::RunOne(const Program& program, const Function& function, Host& host) {
  Status status = Push(function, nullptr);
  if (status.ok()) status = Execute(program, function, host);
  ReleaseFrom(0, 0, host);
  integers_.Clear();
  frames_.Clear();
  return status;
}

// Gives back what registers from these on hold; they exist no longer.
void Interpreter::ReleaseFrom(size_t buffers, size_t lists, Host& host) {
  for (size_t i = buffers; i < buffers_.size(); ++i)
    if (buffers_[i].block) host.ReleaseBlock(buffers_[i].block);
  for (size_t i = lists; i < list_registers_.size(); ++i) lists_.Release(list_registers_[i]);
  (void)buffers_.Resize(buffers);  // to fewer, which does not fail
  (void)list_registers_.Resize(lists);
}

// New registers for a function.
Status Interpreter::Push(const Function& function, const uint32_t* call) {
  Frame frame = {&function, call, integers_.size(), buffers_.size(), list_registers_.size()};
  size_t ints = frame.integers + function.int_registers, buffers = frame.buffers + function.buffer_registers,
         lists = frame.lists + function.list_registers;
  if (frames_.size() == abi::kMaxCallDepth)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "a call of '%.100s' would be %zu deep, limit %u", function.name,
                 frames_.size() + 1, abi::kMaxCallDepth);
  if (ints > abi::kMaxStackRegisters || buffers > abi::kMaxStackRegisters || lists > abi::kMaxStackRegisters)
    return Error(EYRIE_RESOURCE_EXHAUSTED,
                 "a call of '%.100s' in depth %zu would need %zu, %zu and %zu registers, limit %u", function.name,
                 frames_.size() + 1, ints, buffers, lists, abi::kMaxStackRegisters);
  EYRIE_RETURN_IF_ERROR(integers_.Resize(ints));
  EYRIE_RETURN_IF_ERROR(buffers_.Resize(buffers));
  EYRIE_RETURN_IF_ERROR(list_registers_.Resize(lists));
  return frames_.Push(frame);
}

// The frame of a called function, with its parameters.
Status Interpreter::Enter(const Program& program, const uint32_t* call, Host& host) {
  // Calls that call twice take time without a jump back.
  EYRIE_RETURN_IF_ERROR(host.CheckStop());
  EYRIE_RETURN_IF_ERROR(Push(program.functions[call[1]], call));
  const Frame &caller = frames_[frames_.size() - 2], &frame = frames_[frames_.size() - 1];
  const uint32_t* w = call + 2;
  for (uint32_t i = 0, count = *w++; i < count; ++i) integers_[frame.integers + i] = integers_[caller.integers + *w++];
  for (uint32_t i = 0, count = *w++; i < count; ++i) {
    const BufferRef& passed = buffers_[caller.buffers + *w++];
    if (passed.block) host.RetainBlock(passed.block);
    buffers_[frame.buffers + i] = passed;
  }
  for (uint32_t i = 0, count = *w++; i < count; ++i)
    lists_.Assign(list_registers_[frame.lists + i], list_registers_[caller.lists + *w++]);
  return {};
}

// Gives the caller the values of `ret` and takes the frame away.
void Interpreter::Leave(const uint32_t* ret, Host& host) {
  const Frame frame = frames_[frames_.size() - 1], caller = frames_[frames_.size() - 2];
  const uint32_t *from = ret + 1, *to = frame.call + 2;
  for (int bank = 0; bank < 3; ++bank) to += *to + 1;
  ++to;
  for (uint32_t i = 0, count = *from++; i < count; ++i)
    integers_[caller.integers + *to++] = integers_[frame.integers + *from++];
  ++to;
  for (uint32_t i = 0, count = *from++; i < count; ++i) {
    const BufferRef value = buffers_[frame.buffers + *from++];
    if (value.block) host.RetainBlock(value.block);
    SetBuffer(buffers_[caller.buffers + *to++], value, host);
  }
  ++to;
  for (uint32_t i = 0, count = *from++; i < count; ++i)
    lists_.Assign(list_registers_[caller.lists + *to++], list_registers_[frame.lists + *from++]);
  ReleaseFrom(frame.buffers, frame.lists, host);
  (void)integers_.Resize(frame.integers);
  (void)frames_.Resize(frames_.size() - 1);
}

// `w`: the operands.
Status Interpreter::ExecuteList(VmOp op, const uint32_t* w, const Frame& frame, Host& host) {
  int64_t* const r = integers_.data() + frame.integers;
  BufferRef* const b = buffers_.data() + frame.buffers;
  List** const l = list_registers_.data() + frame.lists;
  switch (op) {
    case VmOp::kListArg:
      lists_.Assign(l[w[0]], host.ListArgument(w[1]));
      return {};
    case VmOp::kListSize:
      r[w[0]] = S(Lists::SizeOf(l[w[1]]));
      return {};
    case VmOp::kListRank: {
      EYRIE_ASSIGN_OR_RETURN(const Element* element, lists_.At(l[w[1]], r[w[2]]));
      r[w[0]] = element->rank;
      return {};
    }
    case VmOp::kListDim: {
      EYRIE_ASSIGN_OR_RETURN(Element * element, lists_.At(l[w[1]], r[w[2]]));
      if (w[3] >= element->rank)
        return Error(EYRIE_OUT_OF_RANGE, "dimension %u of an element of rank %u", w[3], element->rank);
      r[w[0]] = element->dims()[w[3]];
      return {};
    }
    case VmOp::kListGet: {
      EYRIE_ASSIGN_OR_RETURN(const Element* element, lists_.At(l[w[2]], r[w[3]]));
      if (element->type != w[4])
        return Error(EYRIE_INVALID_ARGUMENT, "an element of type %s, expected %s",
                     abi::FindElementType(element->type)->name, abi::FindElementType(w[4])->name);
      if (element->memory.block) host.RetainBlock(element->memory.block);
      SetBuffer(b[w[0]], element->memory, host);
      r[w[1]] = S(element->offset);
      return {};
    }
    case VmOp::kListInsert: {
      if (!b[w[4]].handle) return NullBuffer(w[4]);
      for (uint32_t i = 0; i < w[6]; ++i) constants_[i] = r[w[7 + i]];
      EYRIE_ASSIGN_OR_RETURN(Element * element, lists_.Make(w[3], b[w[4]], U(r[w[5]]), {constants_.data(), w[6]}));
      return lists_.Insert(l[w[0]], l[w[1]], r[w[2]], element);
    }
    case VmOp::kListTake: {
      EYRIE_ASSIGN_OR_RETURN(Element * element, lists_.At(l[w[3]], r[w[4]]));
      ++element->references;
      return lists_.Insert(l[w[0]], l[w[1]], r[w[2]], element);
    }
    case VmOp::kListErase:
      return lists_.Erase(l[w[0]], l[w[1]], r[w[2]]);
    case VmOp::kListMov:
      lists_.Assign(l[w[0]], l[w[1]]);
      return {};
    case VmOp::kListDrop:
      lists_.Assign(l[w[0]], nullptr);
      return {};
    default:  // kListResult
      return host.ListResult(w[0], l[w[1]]);
  }
}

Status Interpreter::Execute(const Program& program, const Function& first, Host& host) {
  const Function* function = &first;  // that runs; its registers and code:
  int64_t* r = integers_.data();
  BufferRef* b = buffers_.data();
  const uint32_t* code = function->code.data();
  const uint32_t* ip = code;
  // Goes on in the last frame.
  auto switch_frame = [&]() __attribute__((always_inline)) {
    const Frame& frame = frames_[frames_.size() - 1];
    function = frame.function;
    r = integers_.data() + frame.integers;
    b = buffers_.data() + frame.buffers;
    code = function->code.data();
  };

#define EYRIE_VM_TRY(expression)                                       \
  if (Status status = (expression); __builtin_expect(!status.ok(), 0)) \
  return AtWord(std::move(status), host, *function, ip)
  auto check_buffer = [&](uint32_t index) {
    return __builtin_expect(b[index].handle != nullptr, 1) ? Status() : NullBuffer(index);
  };
  auto set_buffer = [&](uint32_t index, const BufferRef& value) { SetBuffer(b[index], value, host); };
  // Collects a list of integer registers; returns the word behind it.
  auto read_list = [&](const uint32_t* word) {
    uint32_t count = *word++;
    for (uint32_t i = 0; i < count; ++i) constants_[i] = r[*word++];
    return word;
  };
  auto read_bindings = [&](const uint32_t* word) __attribute__((always_inline)) {
    const uint32_t count = *word++;
    for (uint32_t i = 0; i < count; ++i, word += 3) {
      EYRIE_RETURN_IF_ERROR(check_buffer(word[0]));
      bindings_[i] = {b[word[0]].handle, U(r[word[1]]), U(r[word[2]])};
    }
    return Status();
  };

  for (;;) {
    const uint32_t header = *ip;
    const uint32_t* next = ip + abi::VmLengthOf(header);
    const uint32_t* w = ip + 1;
    switch (static_cast<VmOp>(abi::VmOpcodeOf(header))) {
      case VmOp::kBr:
        next = code + function->blocks[w[0]];
        if (next <= ip) EYRIE_VM_TRY(host.CheckStop());
        break;
      case VmOp::kCondBr:
        next = code + function->blocks[r[w[0]] ? w[1] : w[2]];
        if (next <= ip) EYRIE_VM_TRY(host.CheckStop());
        break;
      case VmOp::kReturn:
        EYRIE_VM_TRY(host.Return());
        return {};
      case VmOp::kCallTail:
        tail_ = &program.functions[w[0]];
        return {};
      case VmOp::kCall:
        EYRIE_VM_TRY(Enter(program, ip, host));
        switch_frame();
        next = code;
        break;
      case VmOp::kRet: {
        const uint32_t* call = frames_[frames_.size() - 1].call;
        Leave(ip, host);
        switch_frame();
        next = call + abi::VmLengthOf(*call);
        break;
      }
      case VmOp::kFail:
        return Error(static_cast<eyrie_code_t>(w[0]), "%s", host.Message(w[1]));
      case VmOp::kAssert:
        if (!r[w[0]]) return Error(static_cast<eyrie_code_t>(w[1]), "%s", host.Message(w[2]));
        break;

#define EYRIE_VM_BINARY(Id, expression)     \
  case VmOp::k##Id: {                       \
    const int64_t x = r[w[1]], y = r[w[2]]; \
    r[w[0]] = (expression);                 \
    break;                                  \
  }
#define EYRIE_VM_DIVIDE(Id, expression)                                                  \
  case VmOp::k##Id: {                                                                    \
    const int64_t x = r[w[1]], y = r[w[2]];                                              \
    if (__builtin_expect(y == 0, 0))                                                     \
      return AtWord(Error(EYRIE_OUT_OF_RANGE, "division by zero"), host, *function, ip); \
    r[w[0]] = (expression);                                                              \
    break;                                                                               \
  }
      case VmOp::kConst:
        r[w[0]] = S(w[1] | static_cast<uint64_t>(w[2]) << 32);
        break;
      case VmOp::kMov:
        r[w[0]] = r[w[1]];
        break;
      case VmOp::kNeg:
        r[w[0]] = S(0 - U(r[w[1]]));
        break;
        EYRIE_VM_BINARY(Add, S(U(x) + U(y)))
        EYRIE_VM_BINARY(Sub, S(U(x) - U(y)))
        EYRIE_VM_BINARY(Mul, S(U(x) * U(y)))
        EYRIE_VM_DIVIDE(DivS, DivS(x, y))
        EYRIE_VM_DIVIDE(DivU, S(U(x) / U(y)))
        EYRIE_VM_DIVIDE(DivFloor, DivFloor(x, y))
        EYRIE_VM_DIVIDE(DivCeil, DivCeil(x, y))
        EYRIE_VM_DIVIDE(RemS, RemS(x, y))
        EYRIE_VM_DIVIDE(RemU, S(U(x) % U(y)))
        EYRIE_VM_DIVIDE(RemFloor, RemFloor(x, y))
        EYRIE_VM_BINARY(MinS, x < y ? x : y)
        EYRIE_VM_BINARY(MaxS, x > y ? x : y)
        EYRIE_VM_BINARY(MinU, U(x) < U(y) ? x : y)
        EYRIE_VM_BINARY(MaxU, U(x) > U(y) ? x : y)
        EYRIE_VM_BINARY(And, x & y)
        EYRIE_VM_BINARY(Or, x | y)
        EYRIE_VM_BINARY(Xor, x ^ y)
        EYRIE_VM_BINARY(Shl, ShiftLeft(x, U(y)))
        EYRIE_VM_BINARY(ShrS, ShiftRightS(x, U(y)))
        EYRIE_VM_BINARY(ShrU, ShiftRightU(x, U(y)))
        EYRIE_VM_BINARY(CmpEq, x == y)
        EYRIE_VM_BINARY(CmpNe, x != y)
        EYRIE_VM_BINARY(CmpLtS, x < y)
        EYRIE_VM_BINARY(CmpLeS, x <= y)
        EYRIE_VM_BINARY(CmpGtS, x > y)
        EYRIE_VM_BINARY(CmpGeS, x >= y)
        EYRIE_VM_BINARY(CmpLtU, U(x) < U(y))
        EYRIE_VM_BINARY(CmpLeU, U(x) <= U(y))
        EYRIE_VM_BINARY(CmpGtU, U(x) > U(y))
        EYRIE_VM_BINARY(CmpGeU, U(x) >= U(y))
      case VmOp::kExtS:
        r[w[0]] = ExtendS(r[w[1]], w[2]);
        break;
      case VmOp::kExtU:
        r[w[0]] = ExtendU(r[w[1]], w[2]);
        break;
      case VmOp::kSelect:
        r[w[0]] = r[w[1]] ? r[w[2]] : r[w[3]];
        break;

      case VmOp::kArgDim:
        r[w[0]] = host.ArgumentDim(w[1], w[2]);
        break;
      case VmOp::kBufArg:
        set_buffer(w[0], host.Argument(w[1]));
        break;
      case VmOp::kBufWeights:
        set_buffer(w[0], host.Weights());
        break;
      case VmOp::kBufArena: {
        BufferRef arena;
        EYRIE_VM_TRY(host.Arena(U(r[w[1]]), &arena));
        set_buffer(w[0], arena);
        break;
      }
      case VmOp::kBufResult: {
        BufferRef result;
        read_list(w + 2);
        EYRIE_VM_TRY(host.AllocateResult(w[1], {constants_.data(), w[2]}, &result));
        set_buffer(w[0], result);
        break;
      }
      case VmOp::kBufMov: {
        EYRIE_VM_TRY(check_buffer(w[1]));
        const BufferRef source = b[w[1]];
        if (source.block) host.RetainBlock(source.block);
        set_buffer(w[0], source);
        break;
      }
      case VmOp::kBufBlock: {
        // The old one first: the new one may take over its memory.
        set_buffer(w[0], {});
        EYRIE_VM_TRY(host.AllocateBlock(U(r[w[1]]), &b[w[0]]));
        break;
      }
      case VmOp::kBufExtend: {
        EYRIE_VM_TRY(check_buffer(w[1]));
        BufferRef extended;
        EYRIE_VM_TRY(host.Extend(b[w[1]], U(r[w[2]]), U(r[w[3]]), &extended));
        set_buffer(w[0], extended);
        break;
      }
      case VmOp::kBufDrop:
        set_buffer(w[0], {});
        break;
      case VmOp::kBufSize:
        EYRIE_VM_TRY(check_buffer(w[1]));
        r[w[0]] = S(b[w[1]].size);
        break;
      case VmOp::kBufLoad:
        EYRIE_VM_TRY(check_buffer(w[2]));
        EYRIE_VM_TRY(host.Load(w[1], b[w[2]].handle, U(r[w[3]]), &r[w[0]]));
        break;
      case VmOp::kBufStore:
        EYRIE_VM_TRY(check_buffer(w[1]));
        EYRIE_VM_TRY(host.Store(w[0], b[w[1]].handle, U(r[w[2]]), r[w[3]]));
        break;

      case VmOp::kGlobalBuf:
        set_buffer(w[0], host.State(w[1]));
        break;
      case VmOp::kGlobalDim:
        r[w[0]] = host.StateDim(w[1], w[2]);
        break;
      case VmOp::kGlobalStore:
        EYRIE_VM_TRY(check_buffer(w[1]));
        read_list(w + 2);
        EYRIE_VM_TRY(host.StoreState(w[0], b[w[1]], {constants_.data(), w[2]}));
        break;

      case VmOp::kArenaPack: {
        static_assert(sizeof(PackRow) == 4 * sizeof(uint32_t));
        EYRIE_VM_TRY(packer_.Pack({reinterpret_cast<const PackRow*>(w + 2), w[1]}, r, &r[w[0]]));
        break;
      }

      case VmOp::kDispatch: {
        const uint64_t count[3] = {U(r[w[1]]), U(r[w[2]]), U(r[w[3]])};
        const uint32_t constant_count = w[4];
        const uint32_t* word = read_list(w + 4);
        EYRIE_VM_TRY(read_bindings(word));
        EYRIE_VM_TRY(host.Dispatch(w[0], count, {constants_.data(), constant_count}, {bindings_.data(), word[0]}));
        break;
      }
      case VmOp::kVariant:
        r[w[0]] = program.exports[w[1]].variant;
        break;
      case VmOp::kHostCall: {
        const uint32_t* word = read_list(w + 1);
        EYRIE_VM_TRY(read_bindings(word));
        EYRIE_VM_TRY(host.CallHost(w[0], {constants_.data(), w[1]}, {bindings_.data(), word[0]}));
        break;
      }
      case VmOp::kCopy: {
        EYRIE_VM_TRY(check_buffer(w[0]));
        EYRIE_VM_TRY(check_buffer(w[2]));
        const uint64_t length = U(r[w[4]]);
        EYRIE_VM_TRY(host.Copy({b[w[0]].handle, U(r[w[1]]), length}, {b[w[2]].handle, U(r[w[3]]), length}));
        break;
      }
      case VmOp::kFill:
        EYRIE_VM_TRY(check_buffer(w[0]));
        EYRIE_VM_TRY(host.Fill({b[w[0]].handle, U(r[w[1]]), U(r[w[2]])}, U(r[w[3]]), w[4]));
        break;
      case VmOp::kBarrier:
        EYRIE_VM_TRY(host.Barrier());
        break;
      case VmOp::kSubmitWait:
        EYRIE_VM_TRY(host.SubmitAndWait());
        break;

      case VmOp::kListArg:
      case VmOp::kListSize:
      case VmOp::kListRank:
      case VmOp::kListDim:
      case VmOp::kListGet:
      case VmOp::kListInsert:
      case VmOp::kListTake:
      case VmOp::kListErase:
      case VmOp::kListMov:
      case VmOp::kListDrop:
      case VmOp::kListResult:
        EYRIE_VM_TRY(ExecuteList(static_cast<VmOp>(abi::VmOpcodeOf(header)), w, frames_[frames_.size() - 1], host));
        break;
    }
    ip = next;
  }
#undef EYRIE_VM_BINARY
#undef EYRIE_VM_DIVIDE
#undef EYRIE_VM_TRY
}

}  // namespace eyrie::rt::vm
