// What each bit of a block stands for, and which weights depend on it. Nothing of it is written down here: a bit is
// flipped, and the format's own accessors (get_codes, get_scale, get_index, get_signs ...) say which number changed,
// its decoder which weights.
#ifndef BLOCQ_EXAMPLES_LAYOUT_HPP
#define BLOCQ_EXAMPLES_LAYOUT_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// One bit of a block: bit `place` of the number `name`[`index`].
struct block_bit {
  std::string_view name;  // "q" codes, "index" of a point, "sign", "shift", "s" and "min" of a group, or a field's name
  int index = -1;         // -1: there is one of its name only
  int place = 0;          // -1: a digit in another base than 2, which all bits of its byte are part of
  std::vector<int> others;   // further indices that share the bit, ascending
  std::vector<int> weights;  // those whose value it changes, ascending
};

// A member of the wire struct.
struct block_field {
  std::string_view name;
  std::size_t offset, bytes, count;  // `count` numbers in `bytes` bytes
};

struct block_layout {
  std::string formula;              // what weight i is, in the names of the bits
  std::string values;               // what a code stands for
  std::vector<block_field> fields;  // by offset; together they are the block
  std::vector<block_bit> bits;      // bit i % 8 of byte i / 8
};

// Throws failure if `format` is none of the library's rows of blocks.
block_layout layout_of(std::string_view format);

// A piece of a byte whose bits belong to one number.
struct byte_cell {
  int high, low;         // bits of the byte
  const block_bit* top;  // what bit `high` is; bit `low` is (high - low) places below in the same number
  int low_place() const { return top->place < 0 ? -1 : top->place - (high - low); }
};
// From bit 7 down.
std::vector<byte_cell> cells_of(const block_layout& layout, std::size_t byte);

// The bit diagram: as text, with equal bytes in one line, and as an SVG file in which a weight and its bits light up
// together under the mouse or with the focus, without a script.
std::string diagram_text(const block_layout& layout, std::size_t block_size);
std::string diagram_svg(std::string_view format, const block_layout& layout, std::size_t block_size);

#endif
