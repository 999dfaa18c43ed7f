// Computes AMX's instructions where the processor lacks them: it refuses them, and the signal's handler does what they
// would.
#pragma once

namespace eyrie::target::cpu::test {

/// While one of these exists, code of this process may use AMX: the processor's where it has it and the system grants
/// it, else the model's, on one thread at a time.
class AmxModel {
public:
  AmxModel();
  ~AmxModel();
  AmxModel(const AmxModel &) = delete;

  /// False where there is neither.
  bool isReady() const { return ready; }

private:
  bool ready = false, isInstalled = false;
};

} // namespace eyrie::target::cpu::test
