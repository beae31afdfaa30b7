// Calibration: what finds better weights and scales than rounding each block by itself. What factorizes matrices needs
// Eigen 3 and is left out where there is none.
#ifndef BLOCQ_CALIB_ALL_HPP
#define BLOCQ_CALIB_ALL_HPP

#include <blocq/calib/abq.hpp>
#include <blocq/calib/awq.hpp>
#include <blocq/calib/bfp.hpp>
#include <blocq/calib/bitstack.hpp>
#include <blocq/calib/budget.hpp>
#include <blocq/calib/clusters.hpp>
#include <blocq/calib/dgq.hpp>
#include <blocq/calib/factorize.hpp>
#include <blocq/calib/finequant.hpp>
#include <blocq/calib/fmpq.hpp>
#include <blocq/calib/gram.hpp>
#include <blocq/calib/hadamard.hpp>
#include <blocq/calib/imatrix.hpp>
#include <blocq/calib/llm_int8.hpp>
#include <blocq/calib/low_rank.hpp>
#include <blocq/calib/mix.hpp>
#include <blocq/calib/palette.hpp>
#include <blocq/calib/power.hpp>
#include <blocq/calib/probe.hpp>
#include <blocq/calib/random.hpp>
#include <blocq/calib/rounding.hpp>
#include <blocq/calib/rtn.hpp>
#include <blocq/calib/smooth.hpp>
#include <blocq/calib/split_ranges.hpp>
#if __has_include(<Eigen/Cholesky>) || __has_include(<eigen3/Eigen/Cholesky>)
#include <blocq/calib/adadim.hpp>
#include <blocq/calib/columns.hpp>
#include <blocq/calib/gptq.hpp>
#include <blocq/calib/klt.hpp>
#include <blocq/calib/spqr.hpp>
#include <blocq/calib/vptq.hpp>
#endif

#endif
