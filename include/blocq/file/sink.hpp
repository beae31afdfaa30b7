// Where the writers send their bytes.
#ifndef BLOCQ_FILE_SINK_HPP
#define BLOCQ_FILE_SINK_HPP

#include <blocq/core/config.hpp>

#include <cstddef>
#include <type_traits>

namespace blocq::inline v0::inline BLOCQ_ISA {

// Where bytes go: refers to a callable `bool(const void* data, std::size_t size)`, which has to outlive it and which
// gives false when it could not take all of them.
class sink_ref {
 public:
  sink_ref() = default;
  template <class F>
  requires(!std::is_same_v<std::remove_cv_t<F>, sink_ref>) sink_ref(F& f)
  noexcept
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* object, const void* data, std::size_t size) -> bool {
          return (*static_cast<F*>(object))(data, size);
        }) {}

  bool operator()(const void* data, std::size_t size) const { return call_(object_, data, size); }

 private:
  void* object_ = nullptr;
  bool (*call_)(void*, const void*, std::size_t) = nullptr;
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
