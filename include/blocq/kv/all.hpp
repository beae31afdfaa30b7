// Caches for the keys and values of attention.
#ifndef BLOCQ_KV_ALL_HPP
#define BLOCQ_KV_ALL_HPP

#include <blocq/kv/kivi.hpp>
#include <blocq/kv/kvquant.hpp>
#include <blocq/kv/minicache.hpp>
#include <blocq/kv/rotated.hpp>
#include <blocq/kv/rows.hpp>
#include <blocq/kv/think.hpp>

#endif
