// Hostile copies of a model: what a GGUF file says of itself, one thing at a time, said wrongly.
//   hostile MODEL.gguf            prints how many copies there are
//   hostile MODEL.gguf N OUT      writes number N and prints what is wrong with it
// The same model gives the same copies.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {

struct patch {
  std::string what;
  std::size_t at;
  std::string bytes;  // in place of as many
  bool cuts = false;  // the file ends there
};

template <class T>
std::string image(T x) {
  std::string bytes(sizeof x, '\0');
  std::memcpy(bytes.data(), &x, sizeof x);
  return bytes;
}

[[noreturn]] void fail(const std::string& what) {
  std::cerr << "hostile: " << what << '\n';
  std::exit(2);
}

// Walks a sound little-endian file of version 3 and collects what can be said wrongly in each of its places.
class walk {
 public:
  explicit walk(std::string_view file) : file_(file) {
    numbers<std::uint32_t>("version", 4);
    at_ = 8;
    counts("the number of tensors");
    counts("the number of keys");
    const std::uint64_t tensors = read<std::uint64_t>(8), keys = read<std::uint64_t>(16);
    at_ = 24;
    for (std::uint64_t i = 0; i < keys; ++i) key();
    std::vector<tensor> list;
    for (std::uint64_t i = 0; i < tensors; ++i) list.push_back(header());
    cut("before the padding");
    data_ = (at_ + 31) / 32 * 32;
    for (const tensor& t : list) data(t);
    for (std::size_t i = 0; i < at_; i += 7) {  // any bit of the header
      patches_.push_back({"bit " + std::to_string(i % 8) + " of byte " + std::to_string(i), i,
                          image(static_cast<char>(file_[i] ^ 1 << i % 8))});
    }
    for (std::size_t i = 0; i < file_.size(); i += file_.size() / 40 + 1) {
      at_ = i;
      cut("at " + std::to_string(i));
    }
  }
  const std::vector<patch>& patches() const { return patches_; }

 private:
  struct tensor {
    std::string name;
    std::uint32_t type;
    std::uint64_t offset;
  };

  template <class T>
  T read(std::size_t at) const {
    if (at + sizeof(T) > file_.size()) fail("the model is cut off");
    T x;
    std::memcpy(&x, file_.data() + at, sizeof x);
    return x;
  }
  void add(const std::string& what, std::size_t at, std::string bytes) {
    patches_.push_back({what, at, std::move(bytes)});
  }
  void cut(const std::string& what) { patches_.push_back({"the file ends " + what, at_, "", true}); }

  // Other numbers of this type.
  template <class T>
  void numbers(const std::string& what, std::size_t at) {
    const T now = read<T>(at);
    std::vector<T> others;
    if constexpr (std::is_floating_point_v<T>) {
      using limits = std::numeric_limits<T>;
      others = {limits::quiet_NaN(), limits::infinity(),   -limits::infinity(), T{0}, -now,
                limits::max(),       limits::denorm_min(), now * 1024};
    } else {
      others = {T{0},
                T{1},
                static_cast<T>(now + 1),
                static_cast<T>(now - 1),
                static_cast<T>(now * 2),
                static_cast<T>(now / 2),
                std::numeric_limits<T>::max(),
                static_cast<T>(T{1} << (8 * sizeof(T) - 1))};
    }
    for (const T x : others)
      if (image(x) != image(now)) add(what + " is " + std::to_string(x), at, image(x));
  }
  void counts(const std::string& what) {
    numbers<std::uint64_t>(what, at_);
    at_ += 8;
  }
  std::string text(const std::string& what) {
    const std::uint64_t n = read<std::uint64_t>(at_);
    if (n > file_.size() - at_ - 8) fail("the model is cut off");
    std::string s(file_.substr(at_ + 8, n));
    counts("the length of " + what);
    if (n != 0) {
      add(what + " has another first letter", at_, image(static_cast<char>(s.front() ^ 1)));
      add(what + " has another last letter", at_ + n - 1, image(static_cast<char>(s.back() ^ 1)));
      add(what + " is not UTF-8", at_ + n / 2, "\xff");
    }
    at_ += n;
    return s;
  }
  void value(const std::string& what, std::uint32_t type) {
    switch (type) {
      case 0:
      case 1:
      case 7: numbers<std::uint8_t>(what, at_), at_ += 1; break;
      case 2:
      case 3: numbers<std::uint16_t>(what, at_), at_ += 2; break;
      case 4:
      case 5: numbers<std::uint32_t>(what, at_), at_ += 4; break;
      case 6: numbers<float>(what, at_), at_ += 4; break;
      case 10:
      case 11: numbers<std::uint64_t>(what, at_), at_ += 8; break;
      case 12: numbers<double>(what, at_), at_ += 8; break;
      case 8: text(what); break;
      default: fail("a value of type " + std::to_string(type));
    }
  }
  void key() {
    const std::string name = text("a key");
    const std::uint32_t type = read<std::uint32_t>(at_);
    for (std::uint32_t other = 0; other < 14; ++other)
      if (other != type) add(name + " is of type " + std::to_string(other), at_, image(other));
    at_ += 4;
    if (type != 9) return value(name, type);
    const std::uint32_t element = read<std::uint32_t>(at_);
    numbers<std::uint32_t>("the type of " + name, at_);
    at_ += 4;
    const std::uint64_t n = read<std::uint64_t>(at_);
    counts("the size of " + name);
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::size_t before = patches_.size();
      value(name + '[' + std::to_string(i) + ']', element);
      if (i > 3 && i + 1 < n) patches_.resize(before);  // the first and the last will do
    }
  }
  tensor header() {
    tensor t;
    t.name = text("a tensor's name");
    const std::uint32_t rank = read<std::uint32_t>(at_);
    numbers<std::uint32_t>("the rank of " + t.name, at_);
    at_ += 4;
    for (std::uint32_t d = 0; d < rank; ++d) counts("dimension " + std::to_string(d) + " of " + t.name);
    t.type = read<std::uint32_t>(at_);
    for (std::uint32_t other = 0; other < 43; ++other)
      if (other != t.type) add(t.name + " is of type " + std::to_string(other), at_, image(other));
    at_ += 4;
    t.offset = read<std::uint64_t>(at_);
    counts("the offset of " + t.name);
    add(t.name + " lies elsewhere", at_ - 8, image(t.offset + 32));
    return t;
  }
  // One number of the tensor, or a scale of one of its blocks: not finite, or as large as it can be.
  void data(const tensor& t) {
    const std::size_t at = data_ + t.offset;
    const auto with = [&](const char* what, std::size_t size, std::uint32_t pattern) {
      for (const std::size_t far : {std::size_t{0}, 17 * size, 40 * size})
        if (at + far + size <= file_.size())
          add(t.name + " has " + what + " at " + std::to_string(far), at + far, image(pattern).substr(0, size));
    };
    if (t.type == 0) {
      with("a NaN", 4, 0x7fc00000u);
      with("an infinity", 4, 0xff800000u);
      with("the largest number", 4, 0x7f7fffffu);
      with("a denormal number", 4, 1u);
    } else {
      with("a NaN", 2, 0x7e00u);
      with("an infinity", 2, 0xfc00u);
      with("the largest number", 2, 0x7bffu);
    }
  }

  std::string_view file_;
  std::size_t at_ = 0, data_ = 0;
  std::vector<patch> patches_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) fail("MODEL.gguf [N OUT]");
  std::ifstream in(argv[1], std::ios::binary);
  std::string file((std::istreambuf_iterator<char>(in)), {});
  if (file.size() < 24) fail(std::string(argv[1]) + " is no model");
  const walk places(file);
  if (argc == 2) {
    std::cout << places.patches().size() << '\n';
    return 0;
  }
  const std::size_t n = std::strtoul(argv[2], nullptr, 10);
  if (n >= places.patches().size()) fail("there is no such copy");
  const patch& p = places.patches()[n];
  if (p.cuts)
    file.resize(p.at);
  else
    file.replace(p.at, p.bytes.size(), p.bytes);
  std::ofstream(argv[3], std::ios::binary) << file;
  std::cout << p.what << '\n';
}
