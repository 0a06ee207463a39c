# SPDX-License-Identifier: Apache-2.0
# cmake --install: bin/lunex, a link for each bundled exporter, share/lunex.
# The build folder gets the same shape, so that the program finds its scripts
# there too.

include(GNUInstallDirs)

set(share ${CMAKE_BINARY_DIR}/share/lunex)
file(MAKE_DIRECTORY ${share} ${CMAKE_BINARY_DIR}/bin)
foreach(folder exporters lua)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${share}/${folder} SYMBOLIC)
endforeach()

install(TARGETS lunex)
install(DIRECTORY exporters lua DESTINATION ${CMAKE_INSTALL_DATADIR}/lunex
  FILES_MATCHING PATTERN *.lua)
install(DIRECTORY docs/ examples DESTINATION ${CMAKE_INSTALL_DOCDIR}
  PATTERN *.1 EXCLUDE)
install(FILES README.md CHANGELOG.md LICENSE
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(EXISTS ${PROJECT_SOURCE_DIR}/docs/lunex.1)
  install(FILES docs/lunex.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

foreach(name IN LISTS LUNEX_EXPORTERS)
  file(CREATE_LINK lunex ${CMAKE_BINARY_DIR}/bin/${name} SYMBOLIC)
  install(CODE "file(CREATE_LINK lunex
    \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/${name}\"
    SYMBOLIC)")
endforeach()
