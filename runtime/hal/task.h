// A piece of the host's work that a device's threads run.
#ifndef EYRIE_RUNTIME_HAL_TASK_H_
#define EYRIE_RUNTIME_HAL_TASK_H_

namespace eyrie::rt::hal {

// Whoever posts a task keeps its memory until `run` has been called; `run` may post it again.
struct Task {
  void (*run)(Task* task);
  Task* next = nullptr;  // of those who queue it
};

}  // namespace eyrie::rt::hal

#endif  // EYRIE_RUNTIME_HAL_TASK_H_
