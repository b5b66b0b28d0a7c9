# One set of warnings for all of our own code; errors everywhere, so that a warning is never merged.
add_library(kubestrap_warnings INTERFACE)
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  return() # the fuzzers' compiler has other names for them, and judges nothing that g++ has not judged
endif()
target_compile_options(kubestrap_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  # Designated initialisers that leave out defaulted members are how tables are written here.
  -Wno-missing-field-initializers)
