// Every reference encoder.
#ifndef BLOCQ_ENCODE_ALL_HPP
#define BLOCQ_ENCODE_ALL_HPP

#include <blocq/encode/q_legacy.hpp>

#endif
