#include "runtime/vm/disassembler.h"

#include "abi/element_types.h"
#include "abi/vm_encoding.h"

namespace eyrie::rt::vm {
namespace {

// Text that the model or its author chose. Lines stay lines: what is not printable is an escape, and so are quotes.
void PrintEscaped(const char* chosen, Text& text) {
  for (; *chosen; ++chosen) {
    unsigned char c = static_cast<unsigned char>(*chosen);
    if (c == '"' || c == '\\')
      text.Print("\\%c", c);
    else if (c < ' ' || c == 0x7f)
      text.Print("\\x%02x", c);
    else
      text.Print("%c", c);
  }
}

// A name, and the number that tells it from others of the same name; in quotes if it has uncommon letters.
void PrintName(const char* name, uint32_t number, Text& text) {
  bool is_plain = *name;
  for (const char* c = name; *c; ++c)
    is_plain &= (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_' ||
                *c == '.' || *c == '$' || *c == '/' || *c == '=' || *c == '-';
  if (!is_plain) text.Print("\"");
  PrintEscaped(name, text);
  text.Print(is_plain ? "#%u" : "\"#%u", number);
}

// Prints one operand from `word` on; returns the word behind it.
const uint32_t* PrintOperand(char kind, const uint32_t* word, const Names& names, Text& text) {
  uint32_t value = *word++;
  switch (kind) {
    case 'd':
    case 's':
      text.Print("r%u", value);
      break;
    case 'b':
    case 'B':
      text.Print("b%u", value);
      break;
    case 'l':
    case 'L':
      text.Print("l%u", value);
      break;
    case 'k':
      text.Print("block%u", value);
      break;
    case 'a':
      text.Print("arg%u", value);
      break;
    case 'o':
      text.Print("res%u", value);
      break;
    case 't':
      text.Print("\"");
      PrintEscaped(names.String(value), text);
      text.Print("\"#%u", value);
      break;
    case 'x':
      PrintName(names.Export(value), value, text);
      break;
    case 'c':
    case 'f':
      text.Print("@");
      PrintName(names.Function(value), value, text);
      break;
    case 'h':
      PrintName(names.HostFunction(value), value, text);
      break;
    case 'g':
      PrintName(names.Global(value), value, text);
      break;
    case 'e': {
      const abi::ElementTypeInfo* type = abi::FindElementType(value);
      text.Print("%s", type ? type->name : "?");
      break;
    }
    case 'I':
      text.Print("%lld", static_cast<long long>(value | static_cast<uint64_t>(*word++) << 32));
      break;
    case 'R':
    case 'W': {
      const char* space = "";
      text.Print("(");
      for (char bank : {'r', 'b', 'l'}) {
        for (; value; --value, space = ", ") text.Print("%s%c%u", space, bank, *word++);
        if (bank != 'l') value = *word++;
      }
      text.Print(")");
      break;
    }
    case 'S':
      text.Print("[");
      for (uint32_t i = 0; i < value; ++i) text.Print(i ? ", r%u" : "r%u", *word++);
      text.Print("]");
      break;
    case 'P':
      text.Print("{");
      for (uint32_t i = 0; i < value; ++i, word += 4)
        text.Print("%sr%u -> r%u in %u..%u", i ? ", " : "", word[0], word[1], word[2], word[3]);
      text.Print("}");
      break;
    case 'G':
      text.Print("{");
      for (uint32_t i = 0; i < value; ++i, word += 3)
        text.Print("%sb%u[r%u, r%u]", i ? ", " : "", word[0], word[1], word[2]);
      text.Print("}");
      break;
    default:
      text.Print("%u", value);
      break;
  }
  return word;
}

}  // namespace

void Disassemble(const Function& function, const Names& names, Text& text) {
  text.Print("function ");
  PrintName(function.name, function.index, text);
  text.Print(": %u integer registers, %u buffer registers, %u list registers", function.int_registers,
             function.buffer_registers, function.list_registers);
  const Banks &takes = function.parameters, &gives = function.returned;
  if (function.is_callee)
    text.Print(", takes %u, %u, %u, gives %u, %u, %u", takes.ints, takes.buffers, takes.lists, gives.ints,
               gives.buffers, gives.lists);
  text.Print("\n");
  for (size_t block = 0; block < function.blocks.size(); ++block) {
    size_t at = function.blocks[block];
    size_t end = block + 1 < function.blocks.size() ? function.blocks[block + 1] : function.code.size();
    text.Print("block%u:\n", static_cast<unsigned>(block));
    const char* shown = nullptr;
    while (at < end) {
      uint32_t header = function.code[at];
      const abi::VmOpInfo* info = abi::FindVmOp(abi::VmOpcodeOf(header));
      text.Print("  %5u  %s", static_cast<unsigned>(at), info->name);
      const uint32_t* word = &function.code[at] + 1;
      const char* node = names.Node(function.first_word + static_cast<uint32_t>(at));
      for (const char* kind = info->operands; *kind; ++kind) {
        text.Print(kind == info->operands ? " " : ", ");
        word = PrintOperand(*kind, word, names, text);
      }
      // Where another node begins.
      if (node && node != shown) {
        text.Print("  ; ");
        PrintEscaped(node, text);
      }
      shown = node;
      text.Print("\n");
      at += abi::VmLengthOf(header);
    }
  }
}

}  // namespace eyrie::rt::vm
