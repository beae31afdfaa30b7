// The only place where a version number is written; CMake and the packages read it from here.
#ifndef BLOCQ_VERSION_HPP
#define BLOCQ_VERSION_HPP

#define BLOCQ_VERSION_MAJOR 0
#define BLOCQ_VERSION_MINOR 1
#define BLOCQ_VERSION_PATCH 0

#endif
