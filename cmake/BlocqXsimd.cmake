# blocq_find_xsimd(VARIABLE)
#
# Sets VARIABLE to the include directory of the package xsimd, or to nothing: it is optional. No version is asked for,
# because xsimd's version file refuses every other major version than the one asked for; the headers check what they get
# (8.1 and later). It is the directory that is passed on and not the target, which a parent project would not see, and
# which Debian links to another package: where that is missing, the xsimd 8 of Debian 12 still configures and then fails
# to link, and xsimd 14 stops.
function(blocq_find_xsimd variable)
  if(NOT TARGET xsimd AND NOT DEFINED XSIMD_ENABLE_XTL_COMPLEX)
    find_package(xtl QUIET)
    if(NOT xtl_FOUND)
      set(XSIMD_ENABLE_XTL_COMPLEX OFF)
    endif()
  endif()
  if(NOT TARGET xsimd)
    find_package(xsimd QUIET)
  endif()
  set(directory "")
  if(TARGET xsimd)
    get_target_property(directory xsimd INTERFACE_INCLUDE_DIRECTORIES)
  endif()
  set(${variable} "${directory}" PARENT_SCOPE)
endfunction()
