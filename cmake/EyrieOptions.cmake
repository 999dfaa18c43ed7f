# Flags that hold for every file of the project.
add_compile_options(-Wall -Wextra -Werror -fno-strict-aliasing
                    $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>
                    $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>
                    -ffunction-sections -fdata-sections)
# Assertions stay on in the default build: an assertion is how a bug of ours is found.
foreach(config RELEASE RELWITHDEBINFO)
  string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_${config} "${CMAKE_CXX_FLAGS_${config}}")
  string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${config} "${CMAKE_C_FLAGS_${config}}")
endforeach()
string(REPLACE "-O3" "-O2" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")

if(EYRIE_SANITIZE)
  add_compile_options(-fsanitize=${EYRIE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${EYRIE_SANITIZE})
endif()

find_program(EYRIE_CCACHE ccache)
if(EYRIE_CCACHE)
  # The sloppiness lets ccache see through a precompiled header.
  set(EYRIE_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${EYRIE_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${EYRIE_LAUNCHER})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${EYRIE_LAUNCHER})
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # Only the compiler's rooms (and whoever links them) need the newer linker; it is much faster than ld.
  find_program(EYRIE_LLD NAMES ld.lld-22 ld.lld)
  if(EYRIE_LLD)
    add_link_options(-fuse-ld=${EYRIE_LLD})
  endif()
endif()
add_link_options(-Wl,--gc-sections)

# Links all of the runtime, whose C interface plug-ins (eyrie_runtime_add_plugin) find in the program.
function(eyrie_link_runtime_for_plugins program)
  target_link_libraries(${program} PRIVATE eyrie_runtime)
  set_property(TARGET ${program} APPEND PROPERTY LINK_LIBRARY_OVERRIDE WHOLE_ARCHIVE,eyrie_runtime)
  target_link_options(${program} PRIVATE -Wl,--export-dynamic-symbol=eyrie_*)
endfunction()
include_directories(${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR})
