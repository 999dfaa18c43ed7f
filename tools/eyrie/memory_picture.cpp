#include "tools/eyrie/memory_picture.h"

#include <algorithm>
#include <cstdio>

#include "tools/eyrie/command.h"

namespace eyrie::cli {
namespace {

constexpr double kWidth = 1200, kHeight = 640, kLeft = 90, kTop = 56, kRight = 20, kBottom = 40;

std::string Escaped(const std::string& text) {
  std::string result;
  for (char c : Printable(text)) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string Format(const char* format, double a, double b = 0, double c = 0, double d = 0) {
  char text[320];
  std::snprintf(text, sizeof(text), format, a, b, c, d);
  return text;
}

// The same name always has the same colour.
int HueOf(const std::string& name) {
  uint32_t hash = 2166136261u;
  for (unsigned char c : name) hash = (hash ^ c) * 16777619u;
  return static_cast<int>(hash % 360);
}

// Where commands and addresses lie in the picture.
struct Scale {
  double commands, bytes;
  double X(double command) const { return kLeft + command / commands * (kWidth - kLeft - kRight); }
  double Y(double address) const { return kHeight - kBottom - address / bytes * (kHeight - kTop - kBottom); }
};

std::string Box(const eyrie_transient_info_t& row, const Scale& scale) {
  std::string name = row.name && *row.name ? row.name : "?";
  double x = scale.X(row.first_use), width = scale.X(row.last_use + 1.0) - x;
  double y = scale.Y(static_cast<double>(row.offset + row.size)), height = scale.Y(static_cast<double>(row.offset)) - y;
  std::string text = Format("<g><rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"", x, y, width, height);
  text += Format(" fill=\"hsl(%.0f,55%%,72%%)\"/>", HueOf(name));
  text += "<title>" + Escaped(name) + ": " + SizeText(static_cast<uint64_t>(row.size)) + " at " +
          std::to_string(row.offset) + ", commands " + std::to_string(row.first_use) + " to " +
          std::to_string(row.last_use) + "</title>";
  // A label where it fits: about 6 units for each character.
  size_t letters = static_cast<size_t>(width / 6);
  if (height >= 12 && letters >= 4)
    text += Format("<text x=\"%.2f\" y=\"%.2f\">", x + 3, y + height / 2 + 4) + Escaped(name.substr(0, letters)) +
            "</text>";
  return text + "</g>\n";
}

std::string Line(int64_t bytes, const char* style, const std::string& label, const Scale& scale) {
  double y = scale.Y(static_cast<double>(bytes));
  return Format("<line x1=\"%.2f\" x2=\"%.2f\" y1=\"%.2f\" y2=\"%.2f\" ", kLeft, kWidth - kRight, y, y) + style + "/>" +
         Format("<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"end\">", kLeft - 6, y + 4) + label + "</text>\n";
}

}  // namespace

std::string MemoryPicture(const std::string& function, const eyrie_function_info_t& info,
                          const std::vector<eyrie_transient_info_t>& transients) {
  if (info.arena_bytes < 0)
    Fail("the memory plan of '" + function +
         "' depends on sizes that are known only at run time; compile the model with --shape to see it for one size");
  Scale scale{1, std::max<double>(1, static_cast<double>(info.arena_bytes))};
  for (const eyrie_transient_info_t& row : transients) scale.commands = std::max(scale.commands, row.last_use + 1.0);
  auto size = [](int64_t bytes) { return SizeText(static_cast<uint64_t>(std::max<int64_t>(0, bytes))); };
  std::string text =
      Format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" ", kWidth, kHeight) +
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n" +
      Format("<text x=\"%.0f\" y=\"24\" font-size=\"15\">", kLeft) + "Memory of " + Escaped(function) + "</text>\n" +
      Format("<text x=\"%.0f\" y=\"42\">", kLeft) + "arena " + size(info.arena_bytes) + ", lower bound " +
      size(info.lower_bound) + ", sum of all tensors " + size(info.total_bytes) + ", " +
      std::to_string(transients.size()) +
      " tensors</text>\n<style>g rect { stroke: #555; stroke-width: 0.3 }</style>\n";
  for (const eyrie_transient_info_t& row : transients)
    if (row.offset >= 0 && row.size > 0) text += Box(row, scale);
  text += Line(0, "stroke=\"black\"", "0", scale) +
          Line(info.arena_bytes, "stroke=\"black\"", size(info.arena_bytes), scale);
  if (info.lower_bound >= 0 && info.lower_bound < info.arena_bytes)
    text += Line(info.lower_bound, "stroke=\"#b00\" stroke-dasharray=\"6 4\"", "bound", scale);
  text += Format("<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">", kWidth - kRight, kHeight - 14) + "commands 0 to " +
          Format("%.0f", scale.commands - 1) + "</text>\n</svg>\n";
  return text;
}

}  // namespace eyrie::cli
