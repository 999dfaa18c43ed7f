// The operation library: one function builds one model operation as core IR (linalg on tensors), for every importer.
// Each infers the result's shape (static or symbolic), folds when the operands' elements are known, and otherwise emits
// IR at the builder's insertion point. A wrong model gives an error at the builder's location and failure.
// Operands given by pointer are optional (null: absent). Axes may be negative everywhere.
#pragma once
#include "compiler/ops/Tensor.h"
#include <limits>

namespace eyrie::ops {

//===- elementwise --------------------------------------------------------------------------------------------------===

enum class Unary {
  Neg,
  Abs,
  Exp,
  Log,
  Sqrt,
  Rsqrt,
  Reciprocal,
  Erf,
  Tanh,
  Sigmoid,
  Relu,
  LeakyRelu /*alpha*/,
  Elu /*alpha*/,
  Selu /*alpha, beta = gamma*/,
  Celu /*alpha*/,
  Gelu,
  GeluTanh,
  HardSigmoid /*alpha, beta*/,
  HardSwish,
  Softplus,
  Softsign,
  Mish,
  Swish /*alpha*/,
  ThresholdedRelu /*alpha*/,
  Shrink /*alpha = lambd, beta = bias*/,
  Floor,
  Ceil,
  Round /*half to even*/,
  Sign,
  Not /*bool*/,
  BitwiseNot,
  Sin,
  Cos,
  Tan,
  Asin,
  Acos,
  Atan,
  Sinh,
  Cosh,
  Asinh,
  Acosh,
  Atanh,
  IsNan
};
FailureOr<Tensor> unary(Builder &b, Unary kind, const Tensor &x, double alpha = 0, double beta = 0);
FailureOr<Tensor> isInf(Builder &b, const Tensor &x, bool detectPositive, bool detectNegative);

/// With numpy's broadcasting. Operands have one element type, except Pow (the exponent's may differ).
/// Div truncates on integers; Mod has the divisor's sign, Fmod the dividend's; Min and Max propagate NaN.
enum class Binary {
  Add,
  Sub,
  Mul,
  Div,
  Pow,
  Mod,
  Fmod,
  Min,
  Max,
  Equal,
  Less,
  LessOrEqual,
  Greater,
  GreaterOrEqual,
  And,
  Or,
  Xor,
  BitwiseAnd,
  BitwiseOr,
  BitwiseXor,
  ShiftLeft,
  ShiftRight,
  PRelu
};
FailureOr<Tensor> binary(Builder &b, Binary kind, const Tensor &x, const Tensor &y);
/// Left to right over one or more operands (Sum = Add, Min, Max).
FailureOr<Tensor> variadic(Builder &b, Binary kind, ArrayRef<Tensor> xs);
FailureOr<Tensor> mean(Builder &b, ArrayRef<Tensor> xs);
FailureOr<Tensor> where(Builder &b, const Tensor &condition, const Tensor &x, const Tensor &y);
FailureOr<Tensor> clip(Builder &b, const Tensor &x, const Tensor *min, const Tensor *max);
/// How numbers become floats of 8 or 4 bits. `saturate`: numbers too large (infinities, too, but for f8E8M0FNU) become
/// the largest, else infinity or NaN. `powers`: how numbers between two become powers of two (f8E8M0FNU); others are
/// rounded to the nearest, ties to even.
struct TinyRounding {
  enum class Powers { Up, Down, Nearest };
  bool saturate = true;
  Powers powers = Powers::Up;
};
/// Float to integer truncates and saturates; to boolean is != 0.
FailureOr<Tensor> cast(Builder &b, const Tensor &x, mlir::Type elementType, bool isUnsigned,
                       TinyRounding rounding = {});
/// The same bits as another type of the same width.
FailureOr<Tensor> bitCast(Builder &b, const Tensor &x, mlir::Type elementType, bool isUnsigned);

/// One scale and zero point for all, one per index of `axis`, or with a `blockSize` one per block along `axis`.
/// `precision`: the type of the division (null: x's).
FailureOr<Tensor> quantizeLinear(Builder &b, const Tensor &x, const Tensor &scale, const Tensor *zeroPoint,
                                 int64_t axis, mlir::Type elementType, bool isUnsigned, int64_t blockSize = 0,
                                 mlir::Type precision = {}, bool saturate = true);
/// `resultType` null: the scale's.
FailureOr<Tensor> dequantizeLinear(Builder &b, const Tensor &x, const Tensor &scale, const Tensor *zeroPoint,
                                   int64_t axis, int64_t blockSize = 0, mlir::Type resultType = {});

//===- contractions -------------------------------------------------------------------------------------------------===

/// numpy's matmul: 1-D operands, broadcast batch dimensions.
FailureOr<Tensor> matmul(Builder &b, const Tensor &x, const Tensor &y);
/// alpha * op(x) op(y) + beta * c
FailureOr<Tensor> gemm(Builder &b, const Tensor &x, const Tensor &y, const Tensor *c, double alpha, double beta,
                       bool transX, bool transY);
/// Any explicit or implicit equation over the operands, with repeated indices (diagonals) and ellipsis.
FailureOr<Tensor> einsum(Builder &b, llvm::StringRef equation, ArrayRef<Tensor> xs);

enum class AutoPad { NotSet, Valid, SameUpper, SameLower };
/// Attributes of a sliding window over the spatial dimensions (1, 2 or 3 of them). Empty lists mean the defaults
/// (strides and dilations 1, pads 0; kernel from the filter's shape). Pads: all begins, then all ends.
struct WindowAttrs {
  SmallVector<int64_t> kernel, strides, dilations, pads;
  AutoPad autoPad = AutoPad::NotSet;
};
/// x [N, C, spatial...], filter [CO, C/groups, kernel...], bias [CO].
FailureOr<Tensor> conv(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias, const WindowAttrs &attrs,
                       int64_t groups);
/// x [N, C, spatial...], filter [C, CO/groups, kernel...], bias [CO]. Empty outputPadding and outputShape: absent.
FailureOr<Tensor> convTranspose(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias,
                                const WindowAttrs &attrs, int64_t groups, ArrayRef<int64_t> outputPadding,
                                ArrayRef<int64_t> outputShape);

//===- pooling ------------------------------------------------------------------------------------------------------===

struct PoolAttrs : WindowAttrs {
  bool ceilMode = false;
  bool countIncludePad = false; // average
  int64_t p = 2;                // lp
  bool columnMajor = false;     // order of the indices of maxPool
};
enum class Pool { Max, Average, Lp };
FailureOr<Tensor> pool(Builder &b, Pool kind, const Tensor &x, const PoolAttrs &attrs);
/// Max pooling with the second result: flat positions in the whole input (i64).
FailureOr<SmallVector<Tensor>> maxPoolWithIndices(Builder &b, const Tensor &x, const PoolAttrs &attrs);
/// Over all spatial dimensions, kept as ones.
FailureOr<Tensor> globalPool(Builder &b, Pool kind, const Tensor &x, int64_t p = 2);

//===- reductions and normalisation ---------------------------------------------------------------------------------===

enum class Reduce { Sum, Mean, Max, Min, Prod, L1, L2, LogSum, LogSumExp, SumSquare };
/// No axes: all of them, or none when `noopWithEmptyAxes`.
FailureOr<Tensor> reduce(Builder &b, Reduce kind, const Tensor &x, ArrayRef<int64_t> axes, bool keepDims,
                         bool noopWithEmptyAxes = false);
/// i64 positions. `lastIndex`: of equal values the last one wins.
FailureOr<Tensor> argReduce(Builder &b, bool isMax, const Tensor &x, int64_t axis, bool keepDims, bool lastIndex);
FailureOr<Tensor> cumSum(Builder &b, const Tensor &x, int64_t axis, bool exclusive, bool reverse);
FailureOr<Tensor> cumProd(Builder &b, const Tensor &x, int64_t axis, bool exclusive, bool reverse);

/// Over one axis; `flattened` (opset < 13): over all axes from `axis` on, together.
FailureOr<Tensor> softmax(Builder &b, const Tensor &x, int64_t axis, bool flattened = false);
FailureOr<Tensor> logSoftmax(Builder &b, const Tensor &x, int64_t axis, bool flattened = false);
FailureOr<Tensor> hardmax(Builder &b, const Tensor &x, int64_t axis, bool flattened = false);

/// Results: y, mean, 1/stddev (the two with the normalised axes as ones).
FailureOr<SmallVector<Tensor>> layerNorm(Builder &b, const Tensor &x, const Tensor &scale, const Tensor *bias,
                                         int64_t axis, double epsilon);
FailureOr<Tensor> rmsNorm(Builder &b, const Tensor &x, const Tensor &scale, int64_t axis, double epsilon);
FailureOr<Tensor> instanceNorm(Builder &b, const Tensor &x, const Tensor &scale, const Tensor &bias, double epsilon);
/// scale and bias: one per channel, or one per group when `perGroup` (opset 18).
FailureOr<Tensor> groupNorm(Builder &b, const Tensor &x, const Tensor &scale, const Tensor &bias, int64_t groups,
                            double epsilon, bool perGroup = false);
FailureOr<Tensor> batchNorm(Builder &b, const Tensor &x, const Tensor &scale, const Tensor &bias, const Tensor &mean,
                            const Tensor &variance, double epsilon);
/// With the mean and variance of x itself. Results: y, and mean and variance moved towards those of x by 1 - momentum.
FailureOr<SmallVector<Tensor>> batchNormTraining(Builder &b, const Tensor &x, const Tensor &scale, const Tensor &bias,
                                                 const Tensor &mean, const Tensor &variance, double epsilon,
                                                 double momentum);
FailureOr<Tensor> lrn(Builder &b, const Tensor &x, int64_t size, double alpha, double beta, double bias);
FailureOr<Tensor> meanVarianceNorm(Builder &b, const Tensor &x, ArrayRef<int64_t> axes);
FailureOr<Tensor> lpNorm(Builder &b, const Tensor &x, int64_t axis, int64_t p);

//===- movement -----------------------------------------------------------------------------------------------------===

/// [N, C, spatial...] to [N, spatial..., C] and back.
Tensor toChannelsLast(Builder &b, const Tensor &x);
Tensor toChannelsFirst(Builder &b, const Tensor &x);
/// Empty permutation: reversed.
FailureOr<Tensor> transpose(Builder &b, const Tensor &x, ArrayRef<int64_t> permutation);
/// Elements of `shape`: a size, -1 (inferred, at most one), 0 (copied from x unless `allowZero`).
FailureOr<Tensor> reshape(Builder &b, const Tensor &x, const Tensor &shape, bool allowZero = false);
FailureOr<Tensor> flatten(Builder &b, const Tensor &x, int64_t axis);
/// No axes: all dimensions of size 1.
FailureOr<Tensor> squeeze(Builder &b, const Tensor &x, ArrayRef<int64_t> axes);
FailureOr<Tensor> unsqueeze(Builder &b, const Tensor &x, ArrayRef<int64_t> axes);
FailureOr<Tensor> expand(Builder &b, const Tensor &x, const Tensor &shape);
FailureOr<Tensor> tile(Builder &b, const Tensor &x, const Tensor &repeats);
FailureOr<Tensor> concat(Builder &b, ArrayRef<Tensor> xs, int64_t axis);
/// Parts of the given sizes (constants or symbolic).
FailureOr<SmallVector<Tensor>> split(Builder &b, const Tensor &x, int64_t axis, ArrayRef<Dim> sizes);
/// Equal parts, the last one smaller when they do not fit.
FailureOr<SmallVector<Tensor>> splitEqually(Builder &b, const Tensor &x, int64_t axis, int64_t parts);
/// ONNX's Slice: starts and ends are clamped; steps may be negative. Null axes: the first ones.
FailureOr<Tensor> slice(Builder &b, const Tensor &x, const Tensor &starts, const Tensor &ends, const Tensor *axes,
                        const Tensor *steps);
enum class PadMode { Constant, Reflect, Edge, Wrap };
/// `pads`: all begins, then all ends (of `axes`, or of all dimensions); negative ones crop.
FailureOr<Tensor> pad(Builder &b, const Tensor &x, const Tensor &pads, PadMode mode, const Tensor *value,
                      const Tensor *axes = nullptr);
/// Cut or padded evenly on both sides to `sizes`, of `axes` (empty: all).
FailureOr<Tensor> centerCropPad(Builder &b, const Tensor &x, const Tensor &sizes, ArrayRef<int64_t> axes);
FailureOr<Tensor> depthToSpace(Builder &b, const Tensor &x, int64_t blockSize, bool columnRowDepth);
FailureOr<Tensor> spaceToDepth(Builder &b, const Tensor &x, int64_t blockSize, bool columnRowDepth = false);
FailureOr<Tensor> reverseSequence(Builder &b, const Tensor &x, const Tensor &lengths, int64_t timeAxis,
                                  int64_t batchAxis);

FailureOr<Tensor> gather(Builder &b, const Tensor &x, const Tensor &indices, int64_t axis);
FailureOr<Tensor> gatherElements(Builder &b, const Tensor &x, const Tensor &indices, int64_t axis);
FailureOr<Tensor> gatherND(Builder &b, const Tensor &x, const Tensor &indices, int64_t batchDims);
enum class Scatter { Set, Add, Mul, Min, Max };
/// x with elements of `updates` combined in at `indices`; of several for one place, in row-major order. The work grows
/// with the product of the sizes of x and of the scattered axis (or of the list of indices).
FailureOr<Tensor> scatterElements(Builder &b, const Tensor &x, const Tensor &indices, const Tensor &updates,
                                  int64_t axis, Scatter kind);
FailureOr<Tensor> scatterND(Builder &b, const Tensor &x, const Tensor &indices, const Tensor &updates, Scatter kind);
/// The k largest (or smallest) along an axis in order, and their positions (i64); of equal ones the first. Results:
/// values, positions. Compares every pair along the axis.
FailureOr<SmallVector<Tensor>> topK(Builder &b, const Tensor &x, const Tensor &k, int64_t axis, bool largest);
FailureOr<Tensor> oneHot(Builder &b, const Tensor &indices, const Tensor &depth, const Tensor &values, int64_t axis);
FailureOr<Tensor> trilu(Builder &b, const Tensor &x, const Tensor *k, bool upper);

//===- shapes and made-up tensors -----------------------------------------------------------------------------------===

FailureOr<Tensor> shape(Builder &b, const Tensor &x, int64_t start = 0, std::optional<int64_t> end = std::nullopt);
FailureOr<Tensor> size(Builder &b, const Tensor &x);
FailureOr<Tensor> range(Builder &b, const Tensor &start, const Tensor &limit, const Tensor &delta);
/// `value`: one element of the result's type.
FailureOr<Tensor> constantOfShape(Builder &b, const Tensor &shape, mlir::DenseElementsAttr value,
                                  bool isUnsigned = false);
FailureOr<Tensor> eyeLike(Builder &b, const Tensor &x, int64_t k, mlir::Type elementType, bool isUnsigned);

//===- resize -------------------------------------------------------------------------------------------------------===

enum class ResizeMode { Nearest, Linear, Cubic };
enum class CoordinateMode {
  HalfPixel,
  HalfPixelSymmetric,
  PytorchHalfPixel,
  AlignCorners,
  Asymmetric,
  TfHalfPixelForNn,
  TfCropAndResize
};
enum class NearestMode { RoundPreferFloor, RoundPreferCeil, Floor, Ceil };
enum class AspectPolicy { Stretch, NotLarger, NotSmaller };
struct ResizeAttrs {
  ResizeMode mode = ResizeMode::Nearest;
  CoordinateMode coordinates = CoordinateMode::HalfPixel;
  NearestMode nearest = NearestMode::RoundPreferFloor;
  AspectPolicy policy = AspectPolicy::Stretch;
  double cubicCoefficient = -0.75;
  bool excludeOutside = false;
  bool antialias = false; // linear and cubic: the kernel is stretched where the axis shrinks
  double extrapolationValue = 0;
  SmallVector<int64_t> axes; // empty: all
};
/// Exactly one of scales and sizes; roi only for TfCropAndResize. All may be known at run time only.
FailureOr<Tensor> resize(Builder &b, const Tensor &x, const Tensor *roi, const Tensor *scales, const Tensor *sizes,
                         const ResizeAttrs &attrs);

//===- recurrent ----------------------------------------------------------------------------------------------------===

enum class Cell { Rnn, Gru, Lstm };
enum class Direction { Forward, Reverse, Bidirectional };
struct RecurrentAttrs {
  Direction direction = Direction::Forward;
  int64_t hiddenSize = 0;
  /// Per direction (Rnn 1, Gru 2, Lstm 3 each); empty: the defaults.
  struct Activation {
    Unary kind;
    double alpha = 0, beta = 0;
  };
  SmallVector<Activation> activations;
  std::optional<double> clip;
  bool linearBeforeReset = false; // gru
  bool inputForget = false;       // lstm
  bool batchFirst = false;        // layout = 1
};
/// Operands as in ONNX: x [T, N, I], w [D, G*H, I], r [D, G*H, H], bias [D, 2*G*H], sequence lengths, h0 [D, N, H],
/// c0 (lstm), peephole (lstm). Results: y [T, D, N, H], yH [D, N, H], and for lstm yC. The gates of an ONNX order.
FailureOr<SmallVector<Tensor>> recurrent(Builder &b, Cell cell, const Tensor &x, const Tensor &w, const Tensor &r,
                                         const Tensor *bias, const Tensor *sequenceLengths, const Tensor *h0,
                                         const Tensor *c0, const Tensor *peephole, const RecurrentAttrs &attrs);

//===- attention ----------------------------------------------------------------------------------------------------===

struct AttentionAttrs {
  std::optional<double> scale; // absent: 1 / sqrt(head size)
  double softcap = 0;          // 0: none
  /// Query i stands at place p = i + offset among the keys; with `isOffsetFromCounts` at i + count - S of its batch.
  Dim offset = 0;
  bool isOffsetFromCounts = false;
  bool isCausal = false;                                    // it sees keys up to p,
  int64_t leftWindow = -1;                                  // from p - leftWindow (-1: no bound),
  int64_t rightWindow = -1;                                 // to p + rightWindow (-1: no bound)
  mlir::Type softmaxType;                                   // null: the operands' type
  double masked = -std::numeric_limits<double>::infinity(); // the score of what a query must not see
  /// What becomes of the scores before the softmax and of its results, both of the softmax's type (null: nothing).
  llvm::function_ref<FailureOr<Tensor>(const Tensor &)> changeScores, changeProbabilities;
  bool isWideValueSum = false; // values are weighted and summed in the softmax's type

  /// Whether the places of queries and keys matter.
  bool hasPlaces() const { return isCausal || leftWindow >= 0 || rightWindow >= 0; }
};
struct AttentionResult {
  Tensor y;                                  // [B, H, S, DV]
  Tensor raw, capped, biased, probabilities; // [B, H, S, T]: the scores after each step, in their order
};
/// q [B, H, S, D], k [B, HK, T, D], v [B, HK, T, DV]; H is a multiple of HK, and neighbouring heads share one of k and
/// v. A mask is boolean (true: seen) or added to the scores, and broadcasts to [B, H, S, T]; where its last dimension
/// is shorter than T, the rest is not seen. `firstKeys` and `keyCounts`, integers that broadcast to [B, S]: a query
/// sees keys from the first up to, not including, the count. The result of a query that sees no key is 0, unless
/// `masked` is a number.
FailureOr<AttentionResult> attention(Builder &b, const Tensor &q, const Tensor &k, const Tensor &v,
                                     ArrayRef<Tensor> masks, const Tensor *firstKeys, const Tensor *keyCounts,
                                     const AttentionAttrs &attrs);
/// [B, S, heads * D] to [B, heads, S, D] and back.
FailureOr<Tensor> splitHeads(Builder &b, const Tensor &x, int64_t heads);
Tensor mergeHeads(Builder &b, const Tensor &x);
/// x [B, H, S, D]; the first `rotaryDim` of D (0: all) are rotated. cos, sin: [B, S, rotaryDim/2], or with `positions`
/// [B, S] (or one offset, to which the place in S is added) [positions, rotaryDim/2].
FailureOr<Tensor> rotaryEmbedding(Builder &b, const Tensor &x, const Tensor &cos, const Tensor &sin,
                                  const Tensor *positions, bool interleaved, int64_t rotaryDim);
/// `past` with `update` along `axis`, from the place that `starts` [batch] gives (absent: 0); circular: modulo its
/// size.
FailureOr<Tensor> updateCache(Builder &b, const Tensor &past, const Tensor &update, const Tensor *starts, int64_t axis,
                              bool circular);

//===- quantised arithmetic -----------------------------------------------------------------------------------------===

/// A quantised operand: 8-bit integers with a scale and a zero point (null: 0), one for all or one per row, column or
/// channel, as the operation says.
struct Quantized {
  const Tensor &x;
  const Tensor *scale;
  const Tensor *zeroPoint;
};
/// Exact i32 products of 8-bit integers without their zero points: x's one per row [M], y's one per column [N], or with
/// their batch dimensions.
FailureOr<Tensor> matmulInteger(Builder &b, const Tensor &x, const Tensor &y, const Tensor *xZero, const Tensor *yZero);
/// As conv, exactly in i32; the filter's zero point may be one per output channel. The padding is the zero point.
FailureOr<Tensor> convInteger(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *xZero,
                              const Tensor *filterZero, const WindowAttrs &attrs, int64_t groups);
/// The results have the type of `outZero`.
FailureOr<Tensor> qlinearMatmul(Builder &b, Quantized x, Quantized y, const Tensor &outScale, const Tensor &outZero);
/// bias: i32, in steps of x's scale times the filter's.
FailureOr<Tensor> qlinearConv(Builder &b, Quantized x, Quantized filter, const Tensor *bias, const Tensor &outScale,
                              const Tensor &outZero, const WindowAttrs &attrs, int64_t groups);
/// f32 to u8 over the range of the data (with 0 in it). Results: y, scale, zero point.
FailureOr<SmallVector<Tensor>> dynamicQuantizeLinear(Builder &b, const Tensor &x);
/// Float factors of integer sums: value * x's scale * y's scale (laid out like the zero points of matmulInteger), as
/// f32, plus bias.
FailureOr<Tensor> scaledMatmulInteger(Builder &b, Quantized x, Quantized y, const Tensor *bias);
/// Weights [rows, columns] of the scales' type from numbers of 2, 4 or 8 bits: blocks of `blockSize` along the columns
/// (the last one filled up) have one scale and one zero point each (absent: half of the range). `packed` u8, numbers
/// from the lowest bits on; zero points packed in the same way, or floats.
FailureOr<Tensor> unpackWeights(Builder &b, const Tensor &packed, const Tensor &scales, const Tensor *zeroPoints,
                                int64_t rows, int64_t columns, int64_t bits, int64_t blockSize);

} // namespace eyrie::ops
