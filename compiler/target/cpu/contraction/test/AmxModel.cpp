#include "compiler/target/cpu/contraction/test/AmxModel.h"

#if defined(__x86_64__) && defined(__linux__)
#include "llvm/TargetParser/Host.h"
#include <bit>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

namespace {
struct Tile {
  int rows = 0, bytes = 0; // as configured
  uint8_t data[16][64] = {};
};
Tile tiles[8];
struct sigaction before;

// Layout of the memory operand of LDTILECFG (Intel's manual, volume 2, "LDTILECFG").
struct Configuration {
  uint8_t palette, startRow, reserved[14];
  uint16_t bytes[16];
  uint8_t rows[16];
};

/// An instruction with a VEX prefix of three bytes, as all of AMX have.
struct Instruction {
  explicit Instruction(const uint8_t *code) {
    isVex = code[0] == 0xc4 && (code[1] & 31) == 2;
    prefix = code[2] & 3; // none, 66, F3, F2
    source = ~(code[2] >> 3) & 15;
    opcode = code[3];
    mode = code[4] >> 6;
    reg = code[4] >> 3 & 7;
    base = (code[4] & 7) | (~code[1] >> 2 & 8);
    length = 5;
    if (mode == 3)
      return;
    bool hasSib = (code[4] & 7) == 4;
    if (hasSib) {
      scale = code[5] >> 6;
      index = (code[5] >> 3 & 7) | (~code[1] >> 3 & 8);
      base = (code[5] & 7) | (~code[1] >> 2 & 8);
      length = 6;
    }
    hasBase = !(mode == 0 && (base & 7) == 5);
    int width = mode == 1 ? 1 : mode == 2 || !hasBase ? 4 : 0;
    if (width == 1)
      displacement = int8_t(code[length]);
    else if (width == 4)
      std::memcpy(&displacement, code + length, 4);
    isRelative = !hasBase && !hasSib;
    length += width;
  }
  bool isVex, hasBase = true, isRelative = false;
  int prefix, source, opcode, mode, reg, base, index = 4, scale = 0, length;
  int32_t displacement = 0;
};

int64_t valueOf(const ucontext_t &context, int number) {
  constexpr int places[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                            REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return context.uc_mcontext.gregs[places[number]];
}

uint8_t *addressOf(const ucontext_t &context, const Instruction &instruction) {
  int64_t address = instruction.displacement;
  if (instruction.isRelative)
    address += context.uc_mcontext.gregs[REG_RIP] + instruction.length;
  else if (instruction.hasBase)
    address += valueOf(context, instruction.base);
  return reinterpret_cast<uint8_t *>(address);
}

bool configure(const uint8_t *memory) {
  Configuration wanted;
  std::memcpy(&wanted, memory, sizeof wanted);
  if (wanted.palette != 1 || wanted.startRow)
    return false;
  for (int i = 0; i < 8; ++i) {
    if (wanted.rows[i] > 16 || wanted.bytes[i] > 64)
      return false;
    tiles[i] = Tile();
    tiles[i].rows = wanted.rows[i];
    tiles[i].bytes = wanted.bytes[i];
  }
  return true;
}

float fromBf16(const uint8_t *at) {
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  return std::bit_cast<float>(uint32_t(bits) << 16);
}

/// sums[m][n] += the four bytes, or the pairs of bf16, of a[m] at k times those of b[k] at n.
bool multiply(const Instruction &instruction) {
  Tile &sums = tiles[instruction.reg];
  const Tile &a = tiles[instruction.base & 7], &b = tiles[instruction.source & 7];
  bool isBf16 = instruction.opcode == 0x5c && instruction.prefix == 2;
  if (!isBf16 && instruction.opcode != 0x5e)
    return false;
  // TDPBUUD, TDPBUSD, TDPBSUD, TDPBSSD: no prefix, 66, F3, F2.
  bool isSignedA = instruction.prefix >= 2, isSignedB = instruction.prefix & 1;
  if (sums.rows != a.rows || sums.bytes != b.bytes || a.bytes / 4 != b.rows || !sums.rows || !a.bytes)
    return false; // the processor would refuse it
  auto byteOf = [](uint8_t byte, bool isSigned) { return isSigned ? int32_t(int8_t(byte)) : int32_t(byte); };
  for (int m = 0; m < sums.rows; ++m)
    for (int k = 0; k < a.bytes / 4; ++k)
      for (int n = 0; n < sums.bytes / 4; ++n) {
        const uint8_t *x = &a.data[m][4 * k], *y = &b.data[k][4 * n];
        uint32_t bits;
        std::memcpy(&bits, &sums.data[m][4 * n], 4);
        if (isBf16) {
          float sum = std::bit_cast<float>(bits);
          sum += fromBf16(x) * fromBf16(y) + fromBf16(x + 2) * fromBf16(y + 2);
          bits = std::bit_cast<uint32_t>(sum);
        } else {
          for (int i = 0; i < 4; ++i)
            bits += uint32_t(byteOf(x[i], isSignedA) * byteOf(y[i], isSignedB));
        }
        std::memcpy(&sums.data[m][4 * n], &bits, 4);
      }
  return true;
}

/// False if it is none of AMX, or one that the processor would refuse.
bool execute(const ucontext_t &context, const Instruction &instruction) {
  if (!instruction.isVex)
    return false;
  bool isMemory = instruction.mode != 3;
  Tile &tile = tiles[instruction.reg];
  switch (instruction.opcode) {
  case 0x49:
    if (instruction.prefix == 0 && isMemory)
      return configure(addressOf(context, instruction));
    for (Tile &each : tiles)
      if (instruction.prefix == 0 || (instruction.prefix == 3 && &each == &tile))
        std::memset(each.data, 0, sizeof each.data);
    return instruction.prefix == 0 || (instruction.prefix == 3 && tile.rows);
  case 0x4b: {
    if (!isMemory || !tile.rows)
      return false;
    uint8_t *row = addressOf(context, instruction);
    int64_t pitch = instruction.index == 4 ? 0 : valueOf(context, instruction.index) << instruction.scale;
    for (int i = 0; i < tile.rows; ++i, row += pitch)
      if (instruction.prefix == 2)
        std::memcpy(row, tile.data[i], tile.bytes);
      else
        std::memcpy(tile.data[i], row, tile.bytes);
    return true;
  }
  default:
    return !isMemory && multiply(instruction);
  }
}

void onRefusal(int number, siginfo_t *, void *raw) {
  auto &context = *static_cast<ucontext_t *>(raw);
  greg_t &next = context.uc_mcontext.gregs[REG_RIP];
  Instruction instruction(reinterpret_cast<const uint8_t *>(next));
  if (execute(context, instruction))
    next += instruction.length;
  else
    sigaction(number, &before, nullptr); // it comes again, to whoever was here before
}
} // namespace

eyrie::target::cpu::test::AmxModel::AmxModel() {
  auto features = llvm::sys::getHostCPUFeatures();
  if (!features.lookup("avx512bw") || !features.lookup("avx512vl") || !features.lookup("avx512dq"))
    return;
  constexpr int requestPermission = 0x1023, tileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  if (features.lookup("amx-int8") && features.lookup("amx-bf16") &&
      !syscall(SYS_arch_prctl, requestPermission, tileData)) {
    ready = true;
    return;
  }
  struct sigaction action = {};
  action.sa_sigaction = onRefusal;
  action.sa_flags = SA_SIGINFO;
  ready = isInstalled = !sigaction(SIGILL, &action, &before);
}

eyrie::target::cpu::test::AmxModel::~AmxModel() {
  if (isInstalled)
    sigaction(SIGILL, &before, nullptr);
}

#else
eyrie::target::cpu::test::AmxModel::AmxModel() = default;
eyrie::target::cpu::test::AmxModel::~AmxModel() = default;
#endif
