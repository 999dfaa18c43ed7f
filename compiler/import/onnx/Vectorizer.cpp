// Features from sequences of tokens.
#include "compiler/import/onnx/Registry.h"
#include "compiler/import/onnx/Strings.h"
#include "compiler/ops/Text.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

Result tfIdfVectorizer(OpNode &n) {
  using Mode = ops::TfIdfAttrs::Mode;
  if (n.has("pool_strings") != n.required(0).isString)
    return n.fail(n.has("pool_strings") ? "attribute 'pool_strings' is for strings, found " + n.required(0).str()
                                        : "strings need the attribute 'pool_strings'");
  ops::TfIdfAttrs attrs;
  attrs.mode = n.choice<Mode>("mode", Mode::Tf, {{"TF", Mode::Tf}, {"IDF", Mode::Idf}, {"TFIDF", Mode::TfIdf}});
  attrs.minLength = n.requiredInteger("min_gram_length"), attrs.maxLength = n.requiredInteger("max_gram_length");
  attrs.maxSkip = n.requiredInteger("max_skip_count");
  attrs.pool = n.integers("pool_int64s"), attrs.counts = n.integers("ngram_counts");
  for (StringRef token : n.strings("pool_strings"))
    attrs.pool.push_back(n.texts->idOf(token));
  attrs.columns = n.integers("ngram_indexes");
  attrs.weights = n.numbers("weights");
  if (!n.isGood())
    return failure();
  return ops::tfIdfVectorizer(n.b, n.required(0), attrs);
}

const OpRow rows[] = {{"TfIdfVectorizer", {9}, 1, 1, tfIdfVectorizer}};

} // namespace

ArrayRef<OpRow> vectorizerOps() { return rows; }

} // namespace eyrie::import::onnx
