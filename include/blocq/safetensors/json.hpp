// JSON as checkpoints need it: a text is checked once, strictly, and then read in place. A value is a view over the
// text; nothing is copied and nothing allocated, so that a hostile text costs time linear in its length and no memory.
// What is looked up is found by walking: fine for a configuration, not for a database.
#ifndef BLOCQ_SAFETENSORS_JSON_HPP
#define BLOCQ_SAFETENSORS_JSON_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/maybe.hpp>
#include <blocq/file/storage.hpp>

#include <string_view>
#include <type_traits>

namespace blocq::safetensors::inline v0 {

enum class json_kind : unsigned char { missing, null, boolean, number, string, array, object };

inline constexpr std::size_t max_json_depth = 128;

}  // namespace blocq::safetensors::inline v0

namespace blocq::safetensors::inline v0::inline BLOCQ_ISA {

struct json_member;

// One value of a text that was checked, or `missing`: what a lookup gives that finds nothing. Lookups in what is not an
// object give that too, so that they can be chained: config["quantization_config"]["bits"].get<int>().
class json {
 public:
  class iterator;

  json() = default;

  // Checks a whole text by RFC 8259: UTF-8, no comments, no trailing commas, no text after the value, no lone
  // surrogates; nested at most max_json_depth deep. `text` must outlive the value. errc::bad_value names the byte.
  static result<json> parse(std::string_view text) noexcept;

  json_kind kind() const noexcept {
    switch (text_.empty() ? 0 : text_[0]) {
      case 0: return json_kind::missing;
      case 'n': return json_kind::null;
      case 't':
      case 'f': return json_kind::boolean;
      case '"': return json_kind::string;
      case '[': return json_kind::array;
      case '{': return json_kind::object;
      default: return json_kind::number;
    }
  }
  explicit operator bool() const noexcept { return !text_.empty(); }
  // As it stands in the text, a string with its quotes.
  std::string_view text() const noexcept { return text_; }

  // The value as a T if it is one without loss: bool from a boolean, any integer type from a number that is written
  // without fraction and exponent and fits, std::string_view from a string without escapes.
  template <class T>
  maybe<T> get() const noexcept;

  // A string's text, at most text().size() bytes of UTF-8, with its escapes resolved; the number of bytes.
  std::size_t unescape(char* out) const noexcept;

  // Members of an object in their order, or elements of an array as members without a key; nothing else has any.
  iterator begin() const noexcept;
  iterator end() const noexcept;

  // The value of a key that is written without escapes; of several the last, as JSON libraries have it.
  json operator[](std::string_view key) const noexcept;

 private:
  friend class iterator;
  explicit json(std::string_view text) noexcept : text_(text) {}

  std::string_view text_;
};

struct json_member {
  json key;
  json value;
};

namespace detail {

inline bool is_json_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
inline bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// The value of a hexadecimal digit; 16 if it is none.
inline unsigned hex_digit(char c) noexcept {
  const auto lower = static_cast<char>(c | 0x20);
  return is_digit(c)                    ? static_cast<unsigned>(c - '0')
         : lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10u
                                        : 16u;
}
// Four of them at p, or more than 0xffff.
inline unsigned hex_quad(const char* p) noexcept {
  unsigned code = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned digit = hex_digit(p[i]);
    if (digit > 15) return 0x10000u;
    code = code * 16 + digit;
  }
  return code;
}
inline bool is_leading_surrogate(unsigned code) noexcept { return code >= 0xd800 && code < 0xdc00; }
inline bool is_trailing_surrogate(unsigned code) noexcept { return code >= 0xdc00 && code < 0xe000; }

class json_checker {
 public:
  explicit json_checker(std::string_view text) noexcept : text_(text) {}

  // Null if the text is one value, else what is wrong at byte `at`.
  const char* run() noexcept {
    static_cast<void>(document());
    return problem_;
  }
  std::size_t at = 0;

 private:
  char peek() const noexcept { return at < text_.size() ? text_[at] : '\0'; }
  void space() noexcept {
    while (is_json_space(peek())) ++at;
  }
  bool fail(const char* problem) noexcept {
    problem_ = at < text_.size() ? problem : "the text ends too early";
    return false;
  }

  bool document() noexcept {
    if (!blocq::detail::is_name(text_)) return fail("it is not UTF-8 text without NUL");
    char open[max_json_depth];
    std::size_t depth = 0;
    for (;;) {  // a value is due
      space();
      const char c = peek();
      if (c == '{' || c == '[') {
        if (depth == max_json_depth) return fail("it is nested too deeply");
        open[depth++] = c;
        ++at;
        space();
        if (peek() != closing(c)) {
          if (c == '{' && !key()) return false;
          continue;
        }
      } else if (!scalar(c)) {
        return false;
      }
      // A value has ended, and perhaps those around it do.
      for (space(); depth != 0 && peek() == closing(open[depth - 1]); space()) {
        ++at;
        --depth;
      }
      if (depth == 0) return at == text_.size() || fail("there is text after the value");
      if (peek() != ',') return fail("a comma or a closing bracket is missing");
      ++at;
      space();
      if (open[depth - 1] == '{' && !key()) return false;
    }
  }
  static char closing(char open) noexcept { return open == '{' ? '}' : ']'; }

  bool key() noexcept {
    if (peek() != '"') return fail("a key in quotes is missing");
    if (!string()) return false;
    space();
    if (peek() != ':') return fail("a colon is missing");
    ++at;
    return true;
  }

  bool scalar(char c) noexcept {
    if (c == '"') return string();
    if (c == '-' || is_digit(c)) return number();
    return literal("true") || literal("false") || literal("null") || fail("a value is missing");
  }
  bool literal(const char* word) noexcept {
    std::size_t n = 0;
    while (word[n] != 0 && at + n < text_.size() && text_[at + n] == word[n]) ++n;
    if (word[n] != 0) return false;
    at += n;
    return true;
  }
  bool digits() noexcept {
    if (!is_digit(peek())) return fail("a digit is missing");
    while (is_digit(peek())) ++at;
    return true;
  }
  bool number() noexcept {
    if (peek() == '-') ++at;
    if (peek() == '0')
      ++at;
    else if (!digits())
      return false;
    if (peek() == '.') {
      ++at;
      if (!digits()) return false;
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at;
      if (peek() == '+' || peek() == '-') ++at;
      if (!digits()) return false;
    }
    return true;
  }
  bool string() noexcept {
    ++at;
    for (; peek() != '"'; ++at) {
      if (static_cast<unsigned char>(peek()) < 0x20) return fail("a control character is in a string");
      if (peek() == '\\' && !escape()) return false;
    }
    ++at;
    return true;
  }
  // Leaves `at` on the last character of the escape.
  bool escape() noexcept {
    ++at;
    switch (peek()) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't': return true;
      case 'u': break;
      default: return fail("an escape is not known");
    }
    const auto quad = [&](std::size_t from) {
      return from + 4 <= text_.size() ? hex_quad(text_.data() + from) : 0x10000u;
    };
    const unsigned code = quad(at + 1);
    if (code > 0xffff || is_trailing_surrogate(code)) return fail("an escape is no character");
    at += 4;
    if (!is_leading_surrogate(code)) return true;
    if (at + 2 >= text_.size() || text_[at + 1] != '\\' || text_[at + 2] != 'u' || !is_trailing_surrogate(quad(at + 3)))
      return fail("an escape is half a character");
    at += 6;
    return true;
  }

  std::string_view text_;
  const char* problem_ = nullptr;
};

// Past the value that begins at p, in a text that was checked and that ends with `end`.
inline const char* skip_json(const char* p, const char* end) noexcept {
  std::size_t depth = 0;
  do {
    if (*p == '"') {
      for (++p; *p != '"'; ++p)
        if (*p == '\\') ++p;
      ++p;
    } else if (*p == '{' || *p == '[') {
      ++depth;
      ++p;
    } else if (*p == '}' || *p == ']') {
      --depth;
      ++p;
    } else if (depth != 0) {
      ++p;
    } else {
      while (p != end && *p != ',' && *p != '}' && *p != ']' && !is_json_space(*p)) ++p;
    }
  } while (depth != 0);
  return p;
}

}  // namespace detail

class json::iterator {
 public:
  iterator() = default;
  explicit iterator(const json& of) noexcept
      : end_(of.text_.data() + of.text_.size() - 1), object_(of.text_[0] == '{') {
    read(of.text_.data() + 1);
  }

  const json_member& operator*() const noexcept { return member_; }
  const json_member* operator->() const noexcept { return &member_; }
  iterator& operator++() noexcept {
    const std::string_view last = member_.value.text_;
    const char* p = space(last.data() + last.size());
    if (p != end_)
      read(p + 1);  // behind a comma
    else
      at_ = end_ = nullptr;
    return *this;
  }
  friend bool operator==(const iterator& a, const iterator& b) noexcept { return a.at_ == b.at_; }

 private:
  const char* space(const char* p) const noexcept {
    while (p != end_ && detail::is_json_space(*p)) ++p;
    return p;
  }
  json take(const char* p) const noexcept {
    return json(std::string_view(p, static_cast<std::size_t>(detail::skip_json(p, end_) - p)));
  }
  void read(const char* p) noexcept {
    at_ = p = space(p);
    if (p == end_) {
      at_ = end_ = nullptr;
      return;
    }
    if (object_) {
      member_.key = take(p);
      p = space(space(p + member_.key.text_.size()) + 1);  // behind a colon
    }
    member_.value = take(p);
  }

  json_member member_;
  const char* at_ = nullptr;  // null behind the last
  const char* end_ = nullptr;
  bool object_ = false;
};

inline result<json> json::parse(std::string_view text) noexcept {
  detail::json_checker checker(text);
  if (const char* problem = checker.run())
    return error(errc::bad_value) << "this is not JSON: " << problem << " (byte " << checker.at << ')';
  while (detail::is_json_space(text.front())) text.remove_prefix(1);
  while (detail::is_json_space(text.back())) text.remove_suffix(1);
  return json(text);
}

inline json::iterator json::begin() const noexcept {
  const bool walks = kind() == json_kind::array || kind() == json_kind::object;
  return walks ? iterator(*this) : iterator();
}
inline json::iterator json::end() const noexcept { return {}; }

template <class T>
maybe<T> json::get() const noexcept {
  if constexpr (std::is_same_v<T, bool>) {
    if (kind() == json_kind::boolean) return text_[0] == 't';
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    if (kind() != json_kind::string) return {};
    for (const char c : text_)
      if (c == '\\') return {};
    return T(text_.data() + 1, text_.size() - 2);
  } else {
    static_assert(std::is_integral_v<T>, "json::get<T>(): T is bool, an integer type or std::string_view");
    if (kind() != json_kind::number) return {};
    const bool negative = text_[0] == '-';
    std::uint64_t magnitude = 0;
    for (std::size_t i = negative ? 1 : 0; i < text_.size(); ++i) {
      if (!detail::is_digit(text_[i])) return {};
      const auto digit = static_cast<std::uint64_t>(text_[i] - '0');
      if (magnitude > (~std::uint64_t{0} - digit) / 10) return {};
      magnitude = 10 * magnitude + digit;
    }
    const std::uint64_t bits = negative ? 0 - magnitude : magnitude;
    const T value = static_cast<T>(bits);
    const bool fits = negative ? std::is_signed_v<T> && value < 0 : value >= 0;
    if (fits && static_cast<std::uint64_t>(value) == bits) return value;
  }
  return {};
}

inline std::size_t json::unescape(char* out) const noexcept {
  if (kind() != json_kind::string) return 0;
  std::size_t n = 0;
  const auto put = [&](unsigned byte) { out[n++] = static_cast<char>(byte); };
  for (const char *p = text_.data() + 1, *end = text_.data() + text_.size() - 1; p != end; ++p) {
    if (*p != '\\') {
      out[n++] = *p;
      continue;
    }
    switch (*++p) {
      case 'b': put('\b'); continue;
      case 'f': put('\f'); continue;
      case 'n': put('\n'); continue;
      case 'r': put('\r'); continue;
      case 't': put('\t'); continue;
      case 'u': break;
      default: put(static_cast<unsigned char>(*p)); continue;
    }
    unsigned code = detail::hex_quad(p + 1);
    p += 4;
    if (detail::is_leading_surrogate(code)) {
      code = 0x10000u + ((code - 0xd800u) << 10) + (detail::hex_quad(p + 3) - 0xdc00u);
      p += 6;
    }
    const unsigned more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;  // bytes behind the first
    put(more == 0 ? code : (0xff00u >> (more + 1) & 0xffu) | code >> (6 * more));
    for (unsigned k = more; k-- > 0;) put(0x80u | (code >> (6 * k) & 0x3fu));
  }
  return n;
}

inline json json::operator[](std::string_view key) const noexcept {
  json found;
  if (kind() != json_kind::object) return found;
  for (const json_member& m : *this) {
    const std::string_view text = m.key.text_.substr(1, m.key.text_.size() - 2);
    if (blocq::detail::compare_names(text, key) == 0) found = m.value;
  }
  return found;
}

}  // namespace blocq::safetensors::inline v0::inline BLOCQ_ISA

#endif
