# One object library per folder of src/, so that a test binary links only the seams that it tests and a change in one
# seam rebuilds nothing above its interface.
set(TESSERA_SEAMS "" CACHE INTERNAL "")

# The objects are compiled against one precompiled header of the slow, stable includes. It is built once; the seams that
# include no LibTorch do without it.
file(WRITE ${CMAKE_BINARY_DIR}/pch/pch.cpp "")
add_library(tessera_pch OBJECT ${CMAKE_BINARY_DIR}/pch/pch.cpp)
target_link_libraries(tessera_pch PUBLIC tessera_flags)
target_precompile_headers(tessera_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)
set(TESSERA_WITHOUT_TORCH text)

# tessera_seam(NAME [DEPENDS seam...] [LINK library...])
function(tessera_seam name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  if(NOT sources)
    file(WRITE ${CMAKE_BINARY_DIR}/empty/${name}.cpp "")
    set(sources ${CMAKE_BINARY_DIR}/empty/${name}.cpp)
  endif()
  add_library(tessera_${name} OBJECT ${sources})
  target_link_libraries(tessera_${name} PUBLIC tessera_flags ${ARG_LINK})
  if(NOT name IN_LIST TESSERA_WITHOUT_TORCH)
    target_precompile_headers(tessera_${name} REUSE_FROM tessera_pch)
  endif()
  set(closure ${name})
  foreach(dependency ${ARG_DEPENDS})
    list(APPEND closure ${TESSERA_CLOSURE_${dependency}})
  endforeach()
  list(REMOVE_DUPLICATES closure)
  set(TESSERA_CLOSURE_${name} ${closure} CACHE INTERNAL "")
  set(TESSERA_SEAMS ${TESSERA_SEAMS} ${name} CACHE INTERNAL "")
endfunction()

# tessera_link_seams(TARGET seam...): the objects of the seams and of all that they depend on.
function(tessera_link_seams target)
  foreach(seam ${ARGN})
    list(APPEND closure ${TESSERA_CLOSURE_${seam}})
  endforeach()
  list(REMOVE_DUPLICATES closure)
  foreach(seam ${closure})
    target_link_libraries(${target} PRIVATE tessera_${seam})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:tessera_${seam}>)
  endforeach()
endfunction()

# libtessera, with the headers and the CMake package that `find_package(Tessera)` finds. It is a shared library because
# the models register themselves while their objects are loaded; an archive would drop objects that nothing names.
function(tessera_library)
  include(GNUInstallDirs)
  include(CMakePackageConfigHelpers)
  add_library(tessera SHARED)
  set_target_properties(tessera PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  foreach(seam ${TESSERA_SEAMS})
    target_sources(tessera PRIVATE $<TARGET_OBJECTS:tessera_${seam}>)
    target_link_libraries(tessera PRIVATE tessera_${seam})
  endforeach()
  target_link_libraries(tessera PUBLIC torch c10 nlohmann_json::nlohmann_json)
  target_include_directories(tessera PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/tessera>
                                            $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
  target_compile_features(tessera PUBLIC cxx_std_20)
  add_dependencies(tessera tessera_sentencepiece)
  install(TARGETS tessera EXPORT TesseraTargets)
  install(TARGETS tessera_sentencepiece LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/src/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tessera
          FILES_MATCHING PATTERN "*.h" PATTERN "apps" EXCLUDE PATTERN "parity" EXCLUDE)
  install(EXPORT TesseraTargets DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Tessera NAMESPACE Tessera::)
  configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/TesseraConfig.cmake.in ${CMAKE_BINARY_DIR}/TesseraConfig.cmake
                                INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Tessera)
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/TesseraConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_BINARY_DIR}/TesseraConfig.cmake ${CMAKE_BINARY_DIR}/TesseraConfigVersion.cmake
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Tessera)
endfunction()

# build/tessera: one thin file per verb in apps/, and the parity adapters, which are no part of the library.
function(tessera_program)
  file(GLOB parity CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/parity/*.cpp)
  add_library(tessera_parity OBJECT ${parity})
  target_link_libraries(tessera_parity PUBLIC tessera_flags)
  target_precompile_headers(tessera_parity REUSE_FROM tessera_pch)
  file(GLOB apps CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/apps/*.cpp)
  add_executable(tessera_cli ${apps} $<TARGET_OBJECTS:tessera_parity>)
  include(GNUInstallDirs)
  # Installed, it finds the library beside its own folder, wherever the prefix is moved to.
  file(RELATIVE_PATH library_folder ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(tessera_cli PROPERTIES OUTPUT_NAME tessera INSTALL_RPATH "$ORIGIN/${library_folder}")
  target_link_libraries(tessera_cli PRIVATE tessera_flags tessera CLI11::CLI11)
  target_compile_definitions(tessera_cli PRIVATE TESSERA_VERSION="${PROJECT_VERSION}")
  install(TARGETS tessera_cli)
endfunction()
