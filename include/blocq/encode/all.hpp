// Every reference encoder.
#ifndef BLOCQ_ENCODE_ALL_HPP
#define BLOCQ_ENCODE_ALL_HPP

#include <blocq/encode/float16.hpp>
#include <blocq/encode/iq1.hpp>
#include <blocq/encode/iq23.hpp>
#include <blocq/encode/iq4.hpp>
#include <blocq/encode/mx.hpp>
#include <blocq/encode/nf4.hpp>
#include <blocq/encode/nvfp4.hpp>
#include <blocq/encode/q_k.hpp>
#include <blocq/encode/q_legacy.hpp>
#include <blocq/encode/tq.hpp>

#endif
