#pragma once

#include "net/http.hpp"

#include <curl/curl.h>

#include <string_view>

namespace kubestrap::net {

/// Throws the TransportError that says in which way a call has failed, from curl's code, its words (`diagnosis`), and whether
/// anything was answered before.
[[noreturn]] void fail(const Request& request, CURL* curl, CURLcode code, std::string_view diagnosis, bool answered);

} // namespace kubestrap::net
