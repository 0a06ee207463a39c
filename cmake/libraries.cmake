# SPDX-License-Identifier: Apache-2.0
# What lunex stands on. Small libraries are linked statically where Debian has
# an archive (each shared object costs start-up time and pages); what few need,
# or not at once, is loaded when it is first needed.

find_package(Threads REQUIRED)

# libmicrohttpd; with its archive host/web/no_tls.c is in the place of GnuTLS
find_path(MHD_INCLUDE_DIR microhttpd.h REQUIRED)
find_library(MHD_LIBRARY NAMES libmicrohttpd.a microhttpd REQUIRED)
if(MHD_LIBRARY MATCHES "[.]a$")
  add_library(lunex_mhd STATIC IMPORTED)
  add_library(lunex_no_tls STATIC host/web/no_tls.c)
  target_link_libraries(lunex_mhd INTERFACE lunex_no_tls Threads::Threads)
else()
  add_library(lunex_mhd SHARED IMPORTED)
endif()
set_target_properties(lunex_mhd PROPERTIES
  IMPORTED_LOCATION ${MHD_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${MHD_INCLUDE_DIR})

# libuv
find_path(UV_INCLUDE_DIR uv.h REQUIRED)
find_library(UV_LIBRARY NAMES libuv_a.a uv REQUIRED)
add_library(lunex_uv INTERFACE)
target_include_directories(lunex_uv SYSTEM INTERFACE ${UV_INCLUDE_DIR})
target_link_libraries(lunex_uv
  INTERFACE ${UV_LIBRARY} Threads::Threads ${CMAKE_DL_LIBS} rt)

# zlib
find_path(Z_INCLUDE_DIR zlib.h REQUIRED)
find_library(Z_LIBRARY NAMES libz.a z REQUIRED)
add_library(lunex_zlib INTERFACE)
target_include_directories(lunex_zlib SYSTEM INTERFACE ${Z_INCLUDE_DIR})
target_link_libraries(lunex_zlib INTERFACE ${Z_LIBRARY})

# lunex_opened(LIBRARY HEADER): headers of what is opened when it is first used,
# not linked (host/core/opened.h), and the name of the shared object, as
# LUNEX_LIBRARY.
function(lunex_opened library header)
  string(TOUPPER ${library} name)
  find_path(${name}_INCLUDE_DIR ${header} PATH_SUFFIXES lib${library} REQUIRED)
  find_library(${name}_LIBRARY ${library} REQUIRED)
  file(REAL_PATH ${${name}_LIBRARY} file)
  string(REGEX MATCH "lib${library}[^/]*[.]so[.][0-9]+" object ${file})
  if(NOT object)
    message(FATAL_ERROR "${file} is not a shared lib${library}")
  endif()
  add_library(lunex_${library} INTERFACE)
  target_include_directories(lunex_${library} SYSTEM
    INTERFACE ${${name}_INCLUDE_DIR})
  target_compile_definitions(lunex_${library}
    INTERFACE LUNEX_${name}="${object}")
  target_link_libraries(lunex_${library} INTERFACE ${CMAKE_DL_LIBS})
endfunction()

lunex_opened(cares ares.h)
lunex_opened(curl curl/curl.h)
lunex_opened(snappy snappy-c.h)
lunex_opened(xml2 libxml/parser.h)
lunex_opened(zstd zstd.h)

# gzip: zlib, and ISA-L where there is one (LUNEX_ISAL)
add_library(lunex_deflate INTERFACE)
target_link_libraries(lunex_deflate INTERFACE lunex_zlib)
find_path(ISAL_INCLUDE_DIR isa-l/igzip_lib.h)
find_library(ISAL_LIBRARY isal)
if(ISAL_INCLUDE_DIR AND ISAL_LIBRARY)
  lunex_opened(isal isa-l/igzip_lib.h)
  target_link_libraries(lunex_deflate INTERFACE lunex_isal)
else()
  message(STATUS "ISA-L not found: gzip by zlib")
endif()

# Lua, with all of its interface exported: a C module such as cjson.so takes it
# from the program. A call through an archive costs 15 % less, too.
find_path(LUA_INCLUDE_DIR lua.h PATH_SUFFIXES lua5.4 REQUIRED)
find_library(LUA_LIBRARY liblua5.4.a REQUIRED)
add_library(lunex_lua INTERFACE)
target_include_directories(lunex_lua SYSTEM INTERFACE ${LUA_INCLUDE_DIR})
target_link_libraries(lunex_lua
  INTERFACE $<LINK_LIBRARY:WHOLE_ARCHIVE,${LUA_LIBRARY}> m ${CMAKE_DL_LIBS})
target_link_options(lunex_lua INTERFACE
  LINKER:--dynamic-list=${CMAKE_CURRENT_LIST_DIR}/lua_api.list)
set_property(TARGET lunex_lua PROPERTY
  INTERFACE_LINK_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/lua_api.list)

# lunex_embed(TARGET NAME=PATH...): Lua modules become part of TARGET.
find_program(LUA_PROGRAM NAMES lua5.4 REQUIRED)
find_file(ARGPARSE_LUA argparse.lua PATHS /usr/share/lua/5.4 REQUIRED)

function(lunex_embed target)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded_files.c)
  set(pairs)
  set(files)
  foreach(pair IN LISTS ARGN)
    string(REGEX MATCH "^([^=]+)=(.+)$" _ ${pair})
    set(module ${CMAKE_MATCH_1})
    cmake_path(ABSOLUTE_PATH CMAKE_MATCH_2 OUTPUT_VARIABLE file)
    list(APPEND pairs ${module}=${file})
    list(APPEND files ${file})
  endforeach()
  add_custom_command(OUTPUT ${out}
    COMMAND ${LUA_PROGRAM} ${PROJECT_SOURCE_DIR}/cmake/embed.lua
            ${out} ${pairs}
    DEPENDS cmake/embed.lua ${files}
    COMMENT "Embedding Lua modules" VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
