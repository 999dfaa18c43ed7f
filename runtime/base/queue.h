// A first-in, first-out queue of objects that hold the link themselves. It owns nothing and takes no lock.
#ifndef EYRIE_RUNTIME_BASE_QUEUE_H_
#define EYRIE_RUNTIME_BASE_QUEUE_H_

namespace eyrie::rt {

template <typename T, T* T::* kNext>
class Queue {
 public:
  Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  T* first() const { return first_; }
  bool empty() const { return !first_; }
  void Push(T* element) {
    element->*kNext = nullptr;
    *last_ = element;
    last_ = &(element->*kNext);
  }
  // Null if the queue is empty.
  T* Pop() {
    T* element = first_;
    if (!element) return nullptr;
    first_ = element->*kNext;
    if (!first_) last_ = &first_;
    element->*kNext = nullptr;
    return element;
  }
  // False if it is not in the queue.
  bool Remove(T* element) {
    T** at = &first_;
    while (*at && *at != element) at = &((*at)->*kNext);
    if (!*at) return false;
    *at = element->*kNext;
    if (last_ == &(element->*kNext)) last_ = at;
    element->*kNext = nullptr;
    return true;
  }

 private:
  T* first_ = nullptr;
  T** last_ = &first_;
};

}  // namespace eyrie::rt

#endif  // EYRIE_RUNTIME_BASE_QUEUE_H_
