// Objects that break the loader's rules, one at a time.
#include "runtime/hal/drivers/cpu/elf_loader.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "runtime/hal/drivers/cpu/cpu_features.h"
#include "runtime/testing/session.h"

namespace eyrie::rt::hal::cpu {
namespace {

using Bytes = std::vector<uint8_t>;

Elf64_Ehdr& HeaderOf(Bytes& bytes) { return *reinterpret_cast<Elf64_Ehdr*>(bytes.data()); }
Elf64_Phdr* SegmentOf(Bytes& bytes, uint32_t type, uint32_t flags = 0) {
  auto* segment = reinterpret_cast<Elf64_Phdr*>(bytes.data() + HeaderOf(bytes).e_phoff);
  for (int i = 0; i < HeaderOf(bytes).e_phnum; ++i, ++segment)
    if (segment->p_type == type && (segment->p_flags & flags) == flags) return segment;
  return nullptr;
}
Elf64_Dyn* DynamicOf(Bytes& bytes, int64_t tag) {
  auto* entry = reinterpret_cast<Elf64_Dyn*>(bytes.data() + SegmentOf(bytes, PT_DYNAMIC)->p_offset);
  for (; entry->d_tag != DT_NULL; ++entry)
    if (entry->d_tag == tag) return entry;
  return nullptr;
}
Elf64_Rela* FirstRelocation(Bytes& bytes) {
  uint64_t address = DynamicOf(bytes, DT_RELA)->d_un.d_val;
  auto* segment = reinterpret_cast<Elf64_Phdr*>(bytes.data() + HeaderOf(bytes).e_phoff);
  for (; !(segment->p_type == PT_LOAD && address - segment->p_vaddr < segment->p_filesz); ++segment) {
  }
  return reinterpret_cast<Elf64_Rela*>(bytes.data() + segment->p_offset + address - segment->p_vaddr);
}

Status Load(const Bytes& bytes) { return std::move(ElfImage::Load(bytes.data(), bytes.size()).status()); }

TEST(ElfLoader, LoadsAndFinds) {
  const Bytes& bytes = testing::TestKernels();
  auto image = ElfImage::Load(bytes.data(), bytes.size());
  ASSERT_OK(std::move(image.status()));
  EXPECT_NE(image.value().FindFunction("add"), nullptr);
  EXPECT_EQ(image.value().FindFunction("memcpy"), nullptr);
  EXPECT_EQ(image.value().FindFunction("letter_table"), nullptr);  // data, not code
  EXPECT_EQ(image.value().FindFunction(""), nullptr);
}

TEST(ElfLoader, Rules) {
  struct Case {
    eyrie_code_t code;
    const char* text;
    std::function<void(Bytes&)> change;
  };
  const Case cases[] = {
      {EYRIE_INVALID_ARGUMENT, "too short", [](Bytes& b) { b.resize(63); }},
      {EYRIE_INVALID_ARGUMENT, "not an ELF", [](Bytes& b) { b[0] = 0; }},
      {EYRIE_INCOMPATIBLE, "another machine", [](Bytes& b) { HeaderOf(b).e_machine = 2; }},
      {EYRIE_INCOMPATIBLE, "another machine", [](Bytes& b) { b[EI_CLASS] = ELFCLASS32; }},
      {EYRIE_INCOMPATIBLE, "another machine", [](Bytes& b) { b[EI_DATA] = ELFDATA2MSB; }},
      {EYRIE_INVALID_ARGUMENT, "not a shared object", [](Bytes& b) { HeaderOf(b).e_type = ET_EXEC; }},
      {EYRIE_INVALID_ARGUMENT, "program header", [](Bytes& b) { HeaderOf(b).e_phoff = ~0ull; }},
      {EYRIE_INVALID_ARGUMENT, "program header", [](Bytes& b) { HeaderOf(b).e_phnum = 0; }},
      {EYRIE_INVALID_ARGUMENT, "program header", [](Bytes& b) { HeaderOf(b).e_phnum = 0xffff; }},
      {EYRIE_INVALID_ARGUMENT, "program header", [](Bytes& b) { HeaderOf(b).e_phentsize = 55; }},
      {EYRIE_PERMISSION_DENIED, "writable and executable",
       [](Bytes& b) { SegmentOf(b, PT_LOAD, PF_X)->p_flags |= PF_W; }},
      {EYRIE_INVALID_ARGUMENT, "no code", [](Bytes& b) { SegmentOf(b, PT_LOAD, PF_X)->p_flags = PF_R; }},
      {EYRIE_INVALID_ARGUMENT, "outside the object", [](Bytes& b) { SegmentOf(b, PT_LOAD)->p_offset = ~0ull - 4095; }},
      {EYRIE_INVALID_ARGUMENT, "outside the object", [](Bytes& b) { SegmentOf(b, PT_LOAD)->p_filesz = 1ull << 40; }},
      {EYRIE_INVALID_ARGUMENT, "address range", [](Bytes& b) { SegmentOf(b, PT_LOAD)->p_memsz = 1ull << 63; }},
      {EYRIE_INVALID_ARGUMENT, "address range", [](Bytes& b) { SegmentOf(b, PT_LOAD, PF_X)->p_vaddr = ~0ull; }},
      {EYRIE_INVALID_ARGUMENT, "overlap", [](Bytes& b) { SegmentOf(b, PT_LOAD, PF_X)->p_vaddr = 0; }},
      {EYRIE_INVALID_ARGUMENT, "no dynamic", [](Bytes& b) { SegmentOf(b, PT_DYNAMIC)->p_type = PT_NULL; }},
      {EYRIE_INVALID_ARGUMENT, "dynamic section lies", [](Bytes& b) { SegmentOf(b, PT_DYNAMIC)->p_vaddr = ~0ull; }},
      {EYRIE_INVALID_ARGUMENT, "dynamic section lies", [](Bytes& b) { SegmentOf(b, PT_DYNAMIC)->p_memsz = ~0ull; }},
      {EYRIE_INVALID_ARGUMENT, "thread-local", [](Bytes& b) { SegmentOf(b, PT_GNU_STACK)->p_type = PT_TLS; }},
      {EYRIE_INVALID_ARGUMENT, "no symbol table", [](Bytes& b) { DynamicOf(b, DT_HASH)->d_tag = 0x70000000; }},
      {EYRIE_INVALID_ARGUMENT, "hash table", [](Bytes& b) { DynamicOf(b, DT_HASH)->d_un.d_val = ~0ull - 3; }},
      {EYRIE_INVALID_ARGUMENT, "symbol table", [](Bytes& b) { DynamicOf(b, DT_SYMTAB)->d_un.d_val = 1ull << 40; }},
      {EYRIE_INVALID_ARGUMENT, "string table", [](Bytes& b) { DynamicOf(b, DT_STRTAB)->d_un.d_val = 1ull << 40; }},
      {EYRIE_INVALID_ARGUMENT, "string table", [](Bytes& b) { DynamicOf(b, DT_STRSZ)->d_un.d_val = ~0ull; }},
      {EYRIE_INVALID_ARGUMENT, "string table", [](Bytes& b) { DynamicOf(b, DT_STRSZ)->d_un.d_val = 0; }},
      {EYRIE_INVALID_ARGUMENT, "relocation table", [](Bytes& b) { DynamicOf(b, DT_RELASZ)->d_un.d_val = 1ull << 40; }},
      {EYRIE_INVALID_ARGUMENT, "relocation table", [](Bytes& b) { DynamicOf(b, DT_RELASZ)->d_un.d_val -= 1; }},
      {EYRIE_INVALID_ARGUMENT, "unsupported form", [](Bytes& b) { DynamicOf(b, DT_RELAENT)->d_un.d_val = 16; }},
      {EYRIE_INVALID_ARGUMENT, "other libraries", [](Bytes& b) { DynamicOf(b, DT_STRSZ)->d_tag = DT_NEEDED; }},
      {EYRIE_INVALID_ARGUMENT, "initialisers", [](Bytes& b) { DynamicOf(b, DT_STRSZ)->d_tag = DT_INIT; }},
      {EYRIE_INVALID_ARGUMENT, "initialisers", [](Bytes& b) { DynamicOf(b, DT_STRSZ)->d_tag = DT_INIT_ARRAYSZ; }},
      {EYRIE_INVALID_ARGUMENT, "relocations in code", [](Bytes& b) { DynamicOf(b, DT_STRSZ)->d_tag = DT_TEXTREL; }},
      {EYRIE_INVALID_ARGUMENT, "writes outside", [](Bytes& b) { FirstRelocation(b)->r_offset = 1ull << 40; }},
      {EYRIE_INVALID_ARGUMENT, "writes outside", [](Bytes& b) { FirstRelocation(b)->r_offset = ~0ull - 3; }},
      {EYRIE_INVALID_ARGUMENT, "writes outside", [](Bytes& b) { FirstRelocation(b)->r_offset = 0; }},  // read-only
      {EYRIE_INVALID_ARGUMENT, "points outside", [](Bytes& b) { FirstRelocation(b)->r_addend = 1ll << 40; }},
      {EYRIE_INVALID_ARGUMENT, "points outside", [](Bytes& b) { FirstRelocation(b)->r_addend = -1; }},
      {EYRIE_INVALID_ARGUMENT, "type 77", [](Bytes& b) { FirstRelocation(b)->r_info = 77; }},
      {EYRIE_INVALID_ARGUMENT, "symbol does not exist",
       [](Bytes& b) { FirstRelocation(b)->r_info = 0xffffffffull << 32 | R_X86_64_GLOB_DAT; }},
  };
#if defined(__x86_64__)
  for (const Case& c : cases) {
    Bytes bad = testing::TestKernels();
    c.change(bad);
    EXPECT_STATUS(Load(bad), c.code, c.text);
  }
#endif
}

TEST(ElfLoader, RefusesForeignImports) {
  Bytes bad = testing::TestKernels();
  // The object imports memcpy; under another name nobody supplies it.
  for (size_t i = 0; i + 6 < bad.size(); ++i)
    if (memcmp(&bad[i], "memcpy", 7) == 0) memcpy(&bad[i], "system", 6);
  EXPECT_STATUS(Load(bad), EYRIE_NOT_FOUND, "imports 'system'");
}

TEST(CpuFeatures, AreWhatTheCompilerSees) {
#if defined(__x86_64__)
  EXPECT_EQ((HostFeatures() >> 8 & 1) != 0, !!__builtin_cpu_supports("avx2"));
  EXPECT_EQ((HostFeatures() >> 7 & 1) != 0, !!__builtin_cpu_supports("fma"));
  EXPECT_EQ((HostFeatures() >> 16 & 1) != 0, !!__builtin_cpu_supports("avx512f"));
  EXPECT_EQ((HostFeatures() >> 21 & 1) != 0, !!__builtin_cpu_supports("avx512vnni"));
#endif
}

}  // namespace
}  // namespace eyrie::rt::hal::cpu
