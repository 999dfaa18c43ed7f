#include "runtime/hal/drivers/cpu/elf_loader.h"

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "abi/kernel.h"
#include "runtime/base/checked.h"

namespace eyrie::rt::hal::cpu {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
constexpr uint32_t kRelative = R_X86_64_RELATIVE, kGlobDat = R_X86_64_GLOB_DAT, kJumpSlot = R_X86_64_JUMP_SLOT,
                   kAbsolute = R_X86_64_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
constexpr uint32_t kRelative = R_AARCH64_RELATIVE, kGlobDat = R_AARCH64_GLOB_DAT, kJumpSlot = R_AARCH64_JUMP_SLOT,
                   kAbsolute = R_AARCH64_ABS64;
#elif defined(__riscv) && __riscv_xlen == 64
// Entries of the global offset table are plain addresses there.
constexpr uint16_t kMachine = EM_RISCV;
constexpr uint32_t kRelative = R_RISCV_RELATIVE, kGlobDat = R_RISCV_64, kJumpSlot = R_RISCV_JUMP_SLOT,
                   kAbsolute = R_RISCV_64;
#else
constexpr uint16_t kMachine = EM_NONE;
constexpr uint32_t kRelative = 1, kGlobDat = 2, kJumpSlot = 3, kAbsolute = 4;
#endif

constexpr uint64_t kMaxImage = uint64_t{1} << 30;
constexpr uint16_t kMaxSegments = 64;

struct Import {
  const char* name;
  void* address;
};

const Import kImports[] = {
#define EYRIE_IMPORT(name) {#name, reinterpret_cast<void*>(&name)},
    EYRIE_KERNEL_IMPORTS(EYRIE_IMPORT)
#undef EYRIE_IMPORT
};

Status Bad(const char* what) { return Error(EYRIE_INVALID_ARGUMENT, "native code: %s", what); }

}  // namespace

// Loading, step by step; the image is released when a step fails.
class ElfLoader {
 public:
  ElfLoader(const uint8_t* object, size_t size) : object_(object), size_(size) {
    page_ = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  }

  Status Load() {
    EYRIE_RETURN_IF_ERROR(ReadHeader());
    EYRIE_RETURN_IF_ERROR(ReadSegments());
    EYRIE_RETURN_IF_ERROR(MapSegments());
    EYRIE_RETURN_IF_ERROR(ReadDynamic());
    EYRIE_RETURN_IF_ERROR(Relocate(rela_, rela_size_));
    EYRIE_RETURN_IF_ERROR(Relocate(plt_, plt_size_));
    return Protect();
  }
  ElfImage image;

 private:
  template <typename T>
  T Read(uint64_t offset) const {
    T value;
    memcpy(&value, object_ + offset, sizeof(T));
    return value;
  }
  template <typename T>
  T ReadImage(uint64_t address) const {
    T value;
    memcpy(&value, image.image_ + address, sizeof(T));
    return value;
  }
  bool InImage(uint64_t address, uint64_t bytes) const { return InRange(address, bytes, image.image_size_); }
  uint64_t PageDown(uint64_t value) const { return value & ~(page_ - 1); }
  uint64_t PageUp(uint64_t value) const { return (value + page_ - 1) & ~(page_ - 1); }

  Status ReadHeader() {
    if (size_ < sizeof(Elf64_Ehdr)) return Bad("the object is too short for an ELF header");
    header_ = Read<Elf64_Ehdr>(0);
    if (memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0) return Bad("not an ELF object");
    if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != ELFDATA2LSB ||
        header_.e_machine != kMachine || kMachine == EM_NONE)
      return Error(EYRIE_INCOMPATIBLE, "native code: made for another machine (ELF machine %u, this one is %u)",
                   header_.e_machine, kMachine);
    if (header_.e_type != ET_DYN) return Bad("not a shared object");
    if (header_.e_phentsize != sizeof(Elf64_Phdr) || header_.e_phnum == 0 || header_.e_phnum > kMaxSegments ||
        !InRange(header_.e_phoff, uint64_t{header_.e_phnum} * sizeof(Elf64_Phdr), size_))
      return Bad("bad program header table");
    return {};
  }

  Elf64_Phdr Segment(uint16_t index) const {
    return Read<Elf64_Phdr>(header_.e_phoff + uint64_t{index} * sizeof(Elf64_Phdr));
  }

  Status ReadSegments() {
    uint64_t end = 0, code_segments = 0;
    for (uint16_t i = 0; i < header_.e_phnum; ++i) {
      Elf64_Phdr segment = Segment(i);
      if (segment.p_type == PT_TLS || segment.p_type == PT_INTERP)
        return Bad("thread-local storage or an interpreter is not supported");
      if (segment.p_type == PT_DYNAMIC) {
        dynamic_ = segment.p_vaddr;
        dynamic_size_ = segment.p_memsz;
      }
      if (segment.p_type != PT_LOAD) continue;
      if (segment.p_filesz > segment.p_memsz || !InRange(segment.p_offset, segment.p_filesz, size_))
        return Bad("a segment lies outside the object");
      if (!InRange(segment.p_vaddr, segment.p_memsz, kMaxImage)) return Bad("a segment lies outside the address range");
      // On pages of its own, behind the one before it.
      if (PageDown(segment.p_vaddr) < end) return Bad("segments overlap or are out of order");
      end = PageUp(segment.p_vaddr + segment.p_memsz);
      if ((segment.p_flags & PF_W) && (segment.p_flags & PF_X))
        return Error(EYRIE_PERMISSION_DENIED, "native code: a segment is writable and executable");
      if (segment.p_flags & PF_X) {
        if (++code_segments > 1) return Bad("more than one code segment");
        image.code_begin_ = segment.p_vaddr;
        image.code_end_ = segment.p_vaddr + segment.p_memsz;
      }
    }
    if (end == 0 || code_segments == 0) return Bad("no code");
    if (dynamic_size_ == 0) return Bad("no dynamic section");
    image.image_size_ = static_cast<size_t>(end);
    return {};
  }

  Status MapSegments() {
    void* memory = mmap(nullptr, image.image_size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      return Error(EYRIE_RESOURCE_EXHAUSTED, "native code: cannot map %zu bytes: %s", image.image_size_,
                   strerror(errno));
    image.image_ = static_cast<uint8_t*>(memory);
    for (uint16_t i = 0; i < header_.e_phnum; ++i) {
      Elf64_Phdr segment = Segment(i);
      if (segment.p_type == PT_LOAD && segment.p_filesz)
        memcpy(image.image_ + segment.p_vaddr, object_ + segment.p_offset, segment.p_filesz);
    }
    return {};
  }

  Status ReadDynamic() {
    if (!InImage(dynamic_, dynamic_size_)) return Bad("the dynamic section lies outside the image");
    uint64_t hash = 0, symbol_size = sizeof(Elf64_Sym), rela_entry = sizeof(Elf64_Rela), plt_kind = DT_RELA;
    bool has_symbols = false, has_strings = false;
    for (uint64_t at = 0; dynamic_size_ - at >= sizeof(Elf64_Dyn); at += sizeof(Elf64_Dyn)) {
      Elf64_Dyn entry = ReadImage<Elf64_Dyn>(dynamic_ + at);
      uint64_t value = entry.d_un.d_val;
      if (entry.d_tag == DT_NULL) break;
      switch (entry.d_tag) {
        case DT_SYMTAB:
          image.symbols_ = value;
          has_symbols = true;
          break;
        case DT_STRTAB:
          image.strings_ = value;
          has_strings = true;
          break;
        case DT_STRSZ:
          image.strings_size_ = value;
          break;
        case DT_SYMENT:
          symbol_size = value;
          break;
        case DT_HASH:
          hash = value;
          break;
        case DT_RELA:
          rela_ = value;
          break;
        case DT_RELASZ:
          rela_size_ = value;
          break;
        case DT_RELAENT:
          rela_entry = value;
          break;
        case DT_JMPREL:
          plt_ = value;
          break;
        case DT_PLTRELSZ:
          plt_size_ = value;
          break;
        case DT_PLTREL:
          plt_kind = value;
          break;
        case DT_NEEDED:
          return Bad("depends on other libraries");
        case DT_TEXTREL:
          return Bad("relocations in code");
        case DT_REL:
        case DT_RELR:
          return Bad("relocations of an unsupported form");
        case DT_INIT:
        case DT_FINI:
          return Bad("initialisers are not supported");
        case DT_INIT_ARRAYSZ:
        case DT_FINI_ARRAYSZ:
        case DT_PREINIT_ARRAYSZ:
          if (value) return Bad("initialisers are not supported");
          break;
        default:
          break;
      }
    }
    if (!has_symbols || !has_strings || !hash)
      return Bad("no symbol table (it must be linked with --hash-style=sysv or both)");
    if (symbol_size != sizeof(Elf64_Sym) || rela_entry != sizeof(Elf64_Rela) || plt_kind != DT_RELA)
      return Bad("tables of an unsupported form");
    // The hash table tells how many symbols there are: {buckets, chains}, and chains equals the symbols.
    if (hash % 4 || !InImage(hash, 8)) return Bad("the hash table lies outside the image");
    image.symbol_count_ = ReadImage<uint32_t>(hash + 4);
    if (image.symbols_ % 8 || !InImage(image.symbols_, image.symbol_count_ * sizeof(Elf64_Sym)))
      return Bad("the symbol table lies outside the image");
    if (!InImage(image.strings_, image.strings_size_) || image.strings_size_ == 0 ||
        image.image_[image.strings_ + image.strings_size_ - 1] != 0)
      return Bad("the string table lies outside the image or does not end");
    if (!InImage(rela_, rela_size_) || !InImage(plt_, plt_size_) || rela_size_ % sizeof(Elf64_Rela) ||
        plt_size_ % sizeof(Elf64_Rela))
      return Bad("the relocation table lies outside the image");
    return {};
  }

  // A relocation may write only to a writable segment, which no table of the loader needs to be in.
  bool IsWritable(uint64_t address) const {
    for (uint16_t i = 0; i < header_.e_phnum; ++i) {
      Elf64_Phdr segment = Segment(i);
      if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) && address >= segment.p_vaddr &&
          InRange(address - segment.p_vaddr, 8, segment.p_memsz))
        return true;
    }
    return false;
  }

  Result<uint64_t> SymbolAddress(uint64_t index) const {
    if (index >= image.symbol_count_) return Bad("a relocation's symbol does not exist");
    auto symbol = ReadImage<Elf64_Sym>(image.symbols_ + index * sizeof(Elf64_Sym));
    if (symbol.st_shndx != SHN_UNDEF) {
      if (symbol.st_value > image.image_size_ || ELF64_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC)
        return Bad("a symbol lies outside the image");
      return reinterpret_cast<uint64_t>(image.image_) + symbol.st_value;
    }
    if (symbol.st_name >= image.strings_size_) return Bad("a symbol's name lies outside the string table");
    const char* name = reinterpret_cast<const char*>(image.image_ + image.strings_ + symbol.st_name);
    for (const Import& import : kImports)
      if (strcmp(import.name, name) == 0) return reinterpret_cast<uint64_t>(import.address);
    return Error(EYRIE_NOT_FOUND, "native code: imports '%.100s', which the runtime does not supply", name);
  }

  Status Relocate(uint64_t table, uint64_t bytes) {
    for (uint64_t at = 0; at < bytes; at += sizeof(Elf64_Rela)) {
      auto entry = ReadImage<Elf64_Rela>(table + at);
      auto type = static_cast<uint32_t>(ELF64_R_TYPE(entry.r_info));
      if (type == 0) continue;
      if (!InImage(entry.r_offset, 8) || !IsWritable(entry.r_offset))
        return Bad("a relocation writes outside the writable data");
      uint64_t value;
      if (type == kRelative) {
        if (static_cast<uint64_t>(entry.r_addend) > image.image_size_)
          return Bad("a relocation points outside the image");
        value = reinterpret_cast<uint64_t>(image.image_) + static_cast<uint64_t>(entry.r_addend);
      } else if (type == kGlobDat || type == kJumpSlot || type == kAbsolute) {
        EYRIE_ASSIGN_OR_RETURN(value, SymbolAddress(ELF64_R_SYM(entry.r_info)));
        if (type == kAbsolute || kMachine == EM_AARCH64) value += static_cast<uint64_t>(entry.r_addend);
      } else {
        return Error(EYRIE_INVALID_ARGUMENT, "native code: relocation type %u is not supported", type);
      }
      memcpy(image.image_ + entry.r_offset, &value, sizeof(value));
    }
    return {};
  }

  Status Protect() {
    // What no segment covers stays readable and writable only until here.
    if (mprotect(image.image_, image.image_size_, PROT_READ) != 0)
      return Error(EYRIE_PERMISSION_DENIED, "native code: cannot protect: %s", strerror(errno));
    for (uint16_t i = 0; i < header_.e_phnum; ++i) {
      Elf64_Phdr segment = Segment(i);
      if (segment.p_type != PT_LOAD || segment.p_memsz == 0) continue;
      int protection = (segment.p_flags & PF_W)   ? PROT_READ | PROT_WRITE
                       : (segment.p_flags & PF_X) ? PROT_READ | PROT_EXEC
                                                  : PROT_READ;
      uint64_t begin = PageDown(segment.p_vaddr), end = PageUp(segment.p_vaddr + segment.p_memsz);
      if (protection != PROT_READ && mprotect(image.image_ + begin, end - begin, protection) != 0)
        return Error(EYRIE_PERMISSION_DENIED, "native code: the system does not let memory be made executable: %s",
                     strerror(errno));
    }
    char* code = reinterpret_cast<char*>(image.image_);
    __builtin___clear_cache(code + image.code_begin_, code + image.code_end_);
    return {};
  }

  const uint8_t* object_;
  size_t size_;
  uint64_t page_;
  Elf64_Ehdr header_{};
  uint64_t dynamic_ = 0, dynamic_size_ = 0;
  uint64_t rela_ = 0, rela_size_ = 0, plt_ = 0, plt_size_ = 0;
};

ElfImage::ElfImage(ElfImage&& other) { *this = std::move(other); }

ElfImage& ElfImage::operator=(ElfImage&& other) {
  std::swap(image_, other.image_);
  std::swap(image_size_, other.image_size_);
  std::swap(symbols_, other.symbols_);
  std::swap(symbol_count_, other.symbol_count_);
  std::swap(strings_, other.strings_);
  std::swap(strings_size_, other.strings_size_);
  std::swap(code_begin_, other.code_begin_);
  std::swap(code_end_, other.code_end_);
  return *this;
}

ElfImage::~ElfImage() {
  if (image_) munmap(image_, image_size_);
}

Result<ElfImage> ElfImage::Load(const uint8_t* object, size_t size) {
  ElfLoader loader(object, size);
  EYRIE_RETURN_IF_ERROR(loader.Load());
  return std::move(loader.image);
}

void* ElfImage::FindFunction(const char* name) const {
  for (uint64_t i = 0; i < symbol_count_; ++i) {
    Elf64_Sym symbol;
    memcpy(&symbol, image_ + symbols_ + i * sizeof(symbol), sizeof(symbol));
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_name >= strings_size_) continue;
    if (strcmp(reinterpret_cast<const char*>(image_ + strings_ + symbol.st_name), name) != 0) continue;
    if (symbol.st_value < code_begin_ || symbol.st_value >= code_end_) return nullptr;
    return image_ + symbol.st_value;
  }
  return nullptr;
}

}  // namespace eyrie::rt::hal::cpu
