#pragma once
// Lists of lines, shown whole where a check fails.

#include "support/text.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using Lines = std::vector<std::string>;

template <> struct doctest::StringMaker<Lines> {
  static String convert(const Lines& lines) { return ("\n    " + kubestrap::join(lines, "\n    ") + "\n").c_str(); }
};
