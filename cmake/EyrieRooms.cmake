# Adds every direct subfolder of `folder` that has a CMakeLists.txt of its own: adding a room, a target, an importer
# or a tool is adding its folder.
function(eyrie_add_subrooms folder)
  file(GLOB rooms CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/${folder}
       ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*/CMakeLists.txt)
  list(SORT rooms)
  foreach(room ${rooms})
    get_filename_component(room ${room} DIRECTORY)
    add_subdirectory(${CMAKE_CURRENT_SOURCE_DIR}/${folder}/${room})
  endforeach()
endfunction()

# eyrie_room(name SOURCES ... [LINK rooms...] [DEPENDS targets...] [TABLEGEN file.td ...])
# A room of the compiler: a static library eyrie_<name>, compiled with the shared precompiled header of MLIR.
function(eyrie_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINK;DEPENDS" ${ARGN})
  add_library(eyrie_${name} STATIC ${ROOM_SOURCES})
  target_precompile_headers(eyrie_${name} REUSE_FROM eyrie_pch)
  foreach(other ${ROOM_LINK})
    target_link_libraries(eyrie_${name} PUBLIC eyrie_${other})
  endforeach()
  target_link_libraries(eyrie_${name} PUBLIC eyrie_mlir)
  if(ROOM_DEPENDS)
    add_dependencies(eyrie_${name} ${ROOM_DEPENDS})
  endif()
  # Dialect headers are generated; whoever includes them must wait for them.
  if(TARGET eyrie_tablegen)
    add_dependencies(eyrie_${name} eyrie_tablegen)
  endif()
  set_property(GLOBAL APPEND PROPERTY EYRIE_ROOMS eyrie_${name})
endfunction()

# eyrie_compiler_executable(name SOURCES ... LINK rooms...): a program that uses MLIR, with the shared header.
function(eyrie_compiler_executable name)
  cmake_parse_arguments(EXE "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${EXE_SOURCES})
  # The header was compiled as -fPIC; an executable's own -fPIE would not accept it.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  target_precompile_headers(${name} REUSE_FROM eyrie_pch)
  target_link_libraries(${name} PRIVATE ${EXE_LINK})
endfunction()

# eyrie_tablegen(file.td output.inc -gen-... [more pairs]): runs mlir-tblgen into the build tree, same relative path.
function(eyrie_tablegen_file td)
  file(RELATIVE_PATH here ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set(outputs)
  set(args ${ARGN})
  while(args)
    list(POP_FRONT args out)
    list(POP_FRONT args flags)
    separate_arguments(flags)
    set(file ${CMAKE_BINARY_DIR}/${here}/${out})
    add_custom_command(OUTPUT ${file}
      COMMAND ${MLIR_TABLEGEN_EXE} ${flags} -I ${CMAKE_SOURCE_DIR} -I ${EYRIE_MLIR_INCLUDE}
              ${CMAKE_CURRENT_SOURCE_DIR}/${td} -o ${file}
      DEPENDS ${td} VERBATIM)
    list(APPEND outputs ${file})
  endwhile()
  string(MAKE_C_IDENTIFIER "${here}_${td}" id)
  add_custom_target(eyrie_td_${id} DEPENDS ${outputs})
  add_dependencies(eyrie_tablegen eyrie_td_${id})
endfunction()
