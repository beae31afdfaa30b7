// A list of types and the two things the library does with one: visit every member, and ask for membership.
#ifndef BLOCQ_CORE_TYPE_LIST_HPP
#define BLOCQ_CORE_TYPE_LIST_HPP

#include <blocq/core/config.hpp>

#include <cstddef>
#include <type_traits>

namespace blocq::inline v0 {

template <class... Ts>
struct type_list {
  static constexpr std::size_t size = sizeof...(Ts);

  template <class T>
  static constexpr bool contains = (std::is_same_v<T, Ts> || ...);
};

namespace impl {
template <class... Lists>
struct concat;
template <class... Ts>
struct concat<type_list<Ts...>> {
  using type = type_list<Ts...>;
};
template <class... As, class... Bs, class... Rest>
struct concat<type_list<As...>, type_list<Bs...>, Rest...> : concat<type_list<As..., Bs...>, Rest...> {};
}  // namespace impl

// One list with the members of all `Lists`, in order.
template <class... Lists>
using concat_t = typename impl::concat<Lists...>::type;

// Calls f.template operator()<T>() for every member T, in order: for_each(list{}, [&]<class B> { ... }).
template <class... Ts, class F>
BLOCQ_INLINE constexpr void for_each(type_list<Ts...>, F&& f) {
  (f.template operator()<Ts>(), ...);
}

}  // namespace blocq::inline v0

#endif
