#pragma once

#include "support/error.hpp"

#include <string>

namespace kubestrap {

/// The message of the Error that `body` throws, "" if it throws none.
template <typename Body> std::string messageOf(Body&& body) {
  try {
    body();
    return {};
  } catch (const Error& error) {
    return error.message();
  }
}

} // namespace kubestrap
