// The numbers of Winograd's F(4x4, 3x3) (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015) for
// the points 0, +-kNear, +-kFar and infinity: G and A hold their powers, and the rows of B are the products of the
// other points' linear factors. With points whose product is near one no power of them is large or small: errors are a
// quarter of those with the usual 1 and 2 (after Barabasz and others, Error Analysis and Improving the Accuracy of
// Winograd Convolution for Deep Neural Networks, 2020). B and G have no rounded number; A is divided by the points'
// distances.
#pragma once

namespace eyrie::graph::winograd {

inline constexpr double kNear = 3. / 4, kFar = 3. / 2;
inline constexpr double kNear2 = kNear * kNear, kFar2 = kFar * kFar, kSum2 = kNear2 + kFar2, kProduct2 = kNear2 * kFar2;
/// Inverse products of the distances from zero, kNear and kFar to the other points.
inline constexpr double kAtZero = 1 / kProduct2, kAtNear = 1 / (2 * kNear2 * (kNear2 - kFar2)),
                        kAtFar = 1 / (2 * kFar2 * (kFar2 - kNear2));

} // namespace eyrie::graph::winograd
