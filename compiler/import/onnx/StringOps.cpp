// Operations that compute with strings: the host does.
#include "abi/letter_case.h"
#include "compiler/import/onnx/Registry.h"
#include "compiler/import/onnx/Strings.h"
#include "compiler/import/onnx/Text.h"
#include "compiler/ops/Host.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

Result stringConcat(OpNode &n) { return ops::concatStrings(n.b, n.required(0), n.required(1)); }

Result stringSplit(OpNode &n) {
  ops::SplitAttrs attrs;
  attrs.delimiter = n.string("delimiter", "").str();
  if (n.has("maxsplit"))
    attrs.most = n.integer("maxsplit", 0);
  if (attrs.most && *attrs.most < 0)
    attrs.most.reset();
  if (!n.isGood())
    return failure();
  return ops::splitStrings(n.b, n.required(0), attrs);
}

Result regexFullMatch(OpNode &n) {
  StringRef pattern = n.string("pattern", "");
  if (!n.isGood())
    return failure();
  return ops::matchStrings(n.b, n.required(0), pattern);
}

std::string toLower(StringRef text) {
  std::string lower(text.size() * 2, '\0');
  lower.resize(abi::ChangeCase(text.data(), text.size(), false, lower.data()));
  return lower;
}

/// Letters are mapped by Unicode, whatever the locale: those of the ones that differ (Turkish, Azeri, Lithuanian) are
/// refused.
Result stringNormalizer(OpNode &n) {
  using ops::Case;
  ops::NormalizeAttrs attrs;
  attrs.to = n.choice<Case>("case_change_action", Case::Same,
                            {{"NONE", Case::Same}, {"LOWER", Case::Lower}, {"UPPER", Case::Upper}});
  attrs.isSensitive = n.flag("is_case_sensitive", false);
  StringRef locale = n.string("locale", "en_US");
  for (StringRef other : {"tr", "az", "lt"})
    if (locale.starts_with_insensitive(other) && attrs.to != Case::Same)
      return n.unsupported("letters of the locale " + quote(locale) + " are not supported");
  for (StringRef stop : n.strings("stopwords"))
    attrs.stops.push_back(n.texts->idOf(attrs.isSensitive ? stop.str() : toLower(stop)));
  if (!n.isGood())
    return failure();
  return ops::normalizeStrings(n.b, n.required(0), attrs);
}

const OpRow rows[] = {
    {"RegexFullMatch", {20}, 1, 1, regexFullMatch},
    {"StringConcat", {20}, 2, 2, stringConcat},
    {"StringNormalizer", {10}, 1, 1, stringNormalizer},
    {"StringSplit", {20}, 1, 1, stringSplit},
};

} // namespace

ArrayRef<OpRow> stringOps() { return rows; }

} // namespace eyrie::import::onnx
