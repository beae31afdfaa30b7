// Calibration: what finds better weights and scales than rounding each block by itself.
#ifndef BLOCQ_CALIB_ALL_HPP
#define BLOCQ_CALIB_ALL_HPP

#include <blocq/calib/imatrix.hpp>

#endif
