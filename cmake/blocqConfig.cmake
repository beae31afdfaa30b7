include("${CMAKE_CURRENT_LIST_DIR}/blocqTargets.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/BlocqKernels.cmake")

# Optional: without it the encoders take one block at a time. No version is asked for (see BlocqDependencies.cmake).
find_package(xsimd QUIET)
if(TARGET xsimd)
  target_link_libraries(blocq::blocq INTERFACE xsimd)
endif()
