// A packed matrix of any scheme (blocq/packed/all.hpp) behind one run-time interface, compiled once, with what the rest
// of the program is compiled for.
#ifndef LLAMA_PACKED_WEIGHT_HPP
#define LLAMA_PACKED_WEIGHT_HPP

#include <blocq/packed/matrix.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

class packed_weight {
 public:
  // The first of the two conditions keeps the second from asking whether this constructor can be called.
  template <class M>
  requires(!std::is_same_v<M, packed_weight>) && blocq::packed::packed_matrix<M> explicit packed_weight(M m)
      : held_(std::make_shared<const holder<M>>(std::move(m))) {}
  // The error says why, if the parts are not those of a matrix of their scheme.
  static blocq::result<packed_weight> from_parts(const blocq::packed::part_set& parts);

  blocq::packed::part_set parts() const { return held_->parts(); }
  std::size_t rows() const { return held_->rows; }
  std::size_t cols() const { return held_->cols; }
  std::size_t bytes() const { return stored_bytes(parts()); }
  // Adds row r to out.
  void add_row(std::size_t r, std::span<float> out) const { held_->add_row(r, out); }
  // Whether the product rounds what goes in, as it is the method to do.
  bool rounds_inputs() const { return held_->rounds_inputs; }
  // y = W x with rows() numbers. space: of scratch() floats.
  std::size_t scratch() const { return held_->scratch(); }
  void multiply(std::span<const float> x, std::span<float> y, std::span<float> space) const {
    held_->multiply(x, y, space);
  }
  // "palette bits=3"
  std::string text() const;

 private:
  struct interface {
    std::size_t rows, cols;
    bool rounds_inputs;
    interface(std::size_t r, std::size_t c, bool rounds) : rows(r), cols(c), rounds_inputs(rounds) {}
    virtual ~interface() = default;
    virtual blocq::packed::part_set parts() const = 0;
    virtual void add_row(std::size_t r, std::span<float> out) const = 0;
    virtual std::size_t scratch() const = 0;
    virtual void multiply(std::span<const float> x, std::span<float> y, std::span<float> space) const = 0;
  };
  template <class M>
  struct holder final : interface {
    M matrix;
    explicit holder(M m) : interface(m.rows(), m.cols(), M::rounds_inputs), matrix(std::move(m)) {}
    blocq::packed::part_set parts() const override { return matrix.parts(); }
    void add_row(std::size_t r, std::span<float> out) const override {
      std::vector<float> row(out.size());
      matrix.dequantize_row(r, row);
      for (std::size_t k = 0; k < row.size(); ++k) out[k] += row[k];
    }
    std::size_t scratch() const override { return matrix.scratch(); }
    void multiply(std::span<const float> x, std::span<float> y, std::span<float> space) const override {
      matrix.gemv(x, y, space, 0);
    }
  };

  std::shared_ptr<const interface> held_;
};

#endif
