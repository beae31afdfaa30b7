// A weight of a published checkpoint: a named matrix whose codes, scales and zero points lie in one or several tensors,
// and where each of them is to be found. Recognizing weights: recognize.hpp. Reading them: decode.hpp, blocks.hpp.
#ifndef BLOCQ_CHECKPOINT_WEIGHT_HPP
#define BLOCQ_CHECKPOINT_WEIGHT_HPP

#include <blocq/core/bits.hpp>
#include <blocq/elem/minifloat.hpp>
#include <blocq/safetensors/tensor.hpp>

namespace blocq::checkpoint::inline v0::inline BLOCQ_ISA {

// What a weight is called where it is published.
enum class layout : unsigned char {
  plain,          // floats or integers, one tensor
  mxfp4,          // E2M1 codes, an E8M0 scale for 32
  mxfp6,          // E2M3 or E3M2 codes, an E8M0 scale for 32 (Quark)
  mxfp8,          // E4M3 or E5M2 codes, an E8M0 scale for 32
  nvfp4,          // E2M1 codes, an E4M3 scale for 16, perhaps a scale for the tensor
  nvfp4_e5m3,     // the same with unsigned E5M3 scales (AutoRound)
  fp8,            // E4M3 or E5M2 codes, scales for the tensor, for rows or for blocks
  int8,           // bytes of two's complement (compressed-tensors' int-quantized)
  packed_int,     // 1 to 8 bits in words along the row (compressed-tensors' pack-quantized)
  awq,            // 4 bits in words across the rows, in AWQ's order
  gptq,           // 2, 3, 4 or 8 bits in words along the column; words of zeros less 1 in every code's place
  gptq_nibbles,   // the same with each zero stored less 1 (AutoGPTQ)
  gptq_v2,        // the same with zeros as they are
  modelopt_int4,  // nibbles of two's complement, two rows to a byte
  bnb_nf4,        // codes that choose from a table, blocks over the whole tensor (bitsandbytes)
  bnb_fp4,        // the same with another table
  matmul_nbits,   // 2, 4 or 8 bits, blocks of a row (ONNX Runtime)
  hqq,            // 2, 3, 4 or 8 bits with zeros that are floats, groups over the whole tensor
};

BLOCQ_INLINE constexpr const char* name_of(layout kind) noexcept {
  switch (kind) {
    case layout::plain: return "plain";
    case layout::mxfp4: return "mxfp4";
    case layout::mxfp6: return "mxfp6";
    case layout::mxfp8: return "mxfp8";
    case layout::nvfp4: return "nvfp4";
    case layout::nvfp4_e5m3: return "nvfp4-e5m3";
    case layout::fp8: return "fp8";
    case layout::int8: return "int8";
    case layout::packed_int: return "packed-int";
    case layout::awq: return "awq";
    case layout::gptq: return "gptq";
    case layout::gptq_nibbles: return "gptq-nibbles";
    case layout::gptq_v2: return "gptq-v2";
    case layout::modelopt_int4: return "modelopt-int4";
    case layout::bnb_nf4: return "bnb-nf4";
    case layout::bnb_fp4: return "bnb-fp4";
    case layout::matmul_nbits: return "matmul-nbits";
    case layout::hqq: return "hqq";
  }
  return "unknown";
}

// Where the code of row r and column k of a matrix lies.
enum class packing : unsigned char {
  elements,        // an element of the tensor each
  nibbles,         // byte k / 2 of row r; the even column in the low nibble
  nibble_columns,  // the transpose: byte r of row k / 2
  nibble_rows,     // byte k of row r / 2; the even row in the low nibble
  flat_nibbles,    // byte i / 2 of the whole tensor, i = r * columns + k; the even one in the high nibble
  byte_stream,     // bits * k bits into the row, which is whole bytes, the lowest first
  stream,          // bits * k bits into the row, which is whole words of 32 bits, little-endian
  words,           // word k / (32 / bits) of the row, which holds only whole codes
  awq,             // word r / 8 of row k, nibble awq_nibble(r)
  column_stream,   // bits * k bits into column r, of words of 32 bits
  sections,        // the whole tensor in lines as long as those of the codes: line l is in line l % height of them, the
                   // first `height` in the highest bits of a byte or, of 3 bits, of the lowest 30 of a word
};

// What a code stands for, and what the bytes of a scale stand for.
enum class code_kind : unsigned char { number, e2m1, e2m3, e3m2, e4m3, e5m2, signed_integer, unsigned_integer, table };
enum class scale_kind : unsigned char {
  number,  // as the tensor's dtype says
  e8m0,
  ue5m3,
  nested,  // nested_table[byte] * nested_scales[i / nested_group] + nested_offset
};

// One number for several rows and columns. That of row r and column k of matrix s of a stack is element
//   s * stack_stride + r / rows * row_stride + k / columns * column_stride
// of the tensor; with g_idx, the group that it names for k stands for k / columns.
struct scale_grid {
  const safetensors::tensor_info* tensor = nullptr;  // null: there is none
  std::uint64_t rows = 1, columns = 1;
  std::uint64_t stack_stride = 0, row_stride = 0, column_stride = 0;
};

// A stack of matrices of `rows` outputs and `columns` inputs. Element (r, k) is, in the order of the operations,
//
//   plain            the number
//   with tensor_scale   code * (scale * tensor_scale), or code * (scale / tensor_scale) where it divides
//   otherwise        (code - zero) * scale
//
// each operation rounded to binary32, the last one rounded once more to `result` by the library that reads such files:
//
//   mxfp4, mxfp8, nvfp4    compressed-tensors, transformers: bfloat16 (but for nvfp4 nothing is lost by it)
//   mxfp6                  Quark: bfloat16, nothing is lost by it
//   fp8                    transformers: binary32; compressed-tensors, whose scales have fewer bits: the scales' type
//   int8, packed_int       compressed-tensors: the scales' type
//   awq, gptq              AutoAWQ, GPTQModel: the scales' type
//   nvfp4 of ModelOpt, modelopt_int4   ModelOpt: binary32
//   bnb_nf4, bnb_fp4   bitsandbytes: the type that its state names
//   matmul_nbits       ONNX Runtime: the scales' type
//   hqq                HQQ: the scales' type, to which it rounds the difference too
struct weight {
  std::string_view name;    // of the tensor that holds the codes
  std::string_view module;  // what comes before ".weight", ".qweight", "_blocks" and the like; without one the name
  layout kind = layout::plain;
  packing place = packing::elements;
  code_kind code = code_kind::number;
  scale_kind scale_code = scale_kind::number;
  safetensors::dtype result = safetensors::dtype::f32;
  unsigned bits = 0;  // of a code
  std::uint64_t stack = 1, rows = 1, columns = 1;

  const safetensors::tensor_info* codes = nullptr;
  scale_grid scales;
  std::uint64_t group = 0;  // columns that share a scale; 0: no scales
  // Zero points, one for each scale: in `zeros`, floats in the order of the scales, or packed as the codes are but
  // across the rows (matmul_nbits: along them, in whole bytes); without it all are `zero`.
  const safetensors::tensor_info* zeros = nullptr;
  std::int32_t zero = 0;
  const safetensors::tensor_info* tensor_scale = nullptr;  // F32, one, or one for each matrix of the stack
  bool tensor_scale_divides = false;
  const safetensors::tensor_info* g_idx = nullptr;  // the group of each column
  // Groups of flat_nibbles and sections run over the whole tensor; where this is set, each has every n-th element of
  // it, n being their number.
  bool strided = false;
  // What codes choose from, and what belongs to nested scales.
  const safetensors::tensor_info* table = nullptr;
  const safetensors::tensor_info* nested_table = nullptr;
  const safetensors::tensor_info* nested_scales = nullptr;
  std::uint64_t nested_group = 0;
  float nested_offset = 0;
  bool interleaved = false;  // even rows are a gate's, odd ones those of its partner (gpt-oss)

  BLOCQ_INLINE constexpr bool is_plain() const noexcept { return kind == layout::plain; }
  BLOCQ_INLINE constexpr std::uint64_t groups() const noexcept {
    return group == 0 ? 0 : columns / group + (columns % group != 0 ? 1 : 0);
  }
};
static_assert(std::is_trivially_copyable_v<weight>);

}  // namespace blocq::checkpoint::inline v0::inline BLOCQ_ISA

#endif
