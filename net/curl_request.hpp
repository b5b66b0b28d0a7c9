#pragma once

#include "net/curl_handle.hpp"
#include "net/http.hpp"

#include <string>

namespace kubestrap::net {

/// Throws where it is not a URL of http or https.
Url parseUrl(const std::string& text);

/// What a connection depends on: only an equal one may be used again.
std::string connectionKey(const Request& request, const Url& url);

/// The request's headers, for the handle; the list has to live as long as the call.
List headerLines(const Request& request);

/// Tells the handle method, body, identity, limits and proxy of a request, which has to live as long as the call.
void setRequest(CURL* curl, const Request& request);

/// To verify another name than the URL's, the URL gets that name and the connection is led to where the URL pointed.
/// The list has to live as long as the call.
List verifyAnotherName(CURL* curl, const Request& request, const Url& url);

} // namespace kubestrap::net
