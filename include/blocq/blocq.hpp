// The library's core: formats and the operations on them. Files are in <blocq/gguf/all.hpp>.
#ifndef BLOCQ_BLOCQ_HPP
#define BLOCQ_BLOCQ_HPP

#include <blocq/core/view.hpp>
#include <blocq/format/all.hpp>
#include <blocq/format/int4_layouts.hpp>
#include <blocq/format/split.hpp>
#include <blocq/op/activations.hpp>
#include <blocq/op/convert.hpp>
#include <blocq/op/dequantize.hpp>
#include <blocq/op/dot.hpp>
#include <blocq/op/gemm.hpp>
#include <blocq/op/gemv.hpp>
#include <blocq/op/interleave.hpp>
#include <blocq/op/parallel.hpp>
#include <blocq/op/quantize.hpp>
#include <blocq/op/split.hpp>

#endif
