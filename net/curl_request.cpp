#include "net/curl_request.hpp"

#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace kubestrap::net {

namespace {

constexpr auto connectLimit = std::chrono::seconds(10);

/// The bytes stay the caller's, so that a key is not copied; the handle is reset before they go.
void setBlob(CURL* curl, CURLoption option, std::string_view bytes) {
  curl_blob blob{const_cast<char*>(bytes.data()), bytes.size(), CURL_BLOB_NOCOPY};
  set(curl, option, &blob);
}

std::string part(const Url& url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return {};
  const std::unique_ptr<char, Freed<curl_free>> owned(text);
  return text;
}

void refuseLineBreaks(std::string_view what, std::string_view text) {
  if (text.find_first_of("\r\n", 0, 2) != std::string_view::npos || text.find('\0') != std::string_view::npos)
    throw Error(fmt::format("{} of a request contains a line break", what));
}

void setMethod(CURL* curl, const Request& request) {
  if (request.method == "GET" && request.body.empty()) return set(curl, CURLOPT_HTTPGET, 1L);
  if (request.method == "HEAD") return set(curl, CURLOPT_NOBODY, 1L);
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
    set(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(curl, CURLOPT_POSTFIELDS, request.body.data());
  }
  set(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void setTls(CURL* curl, const TlsIdentity& tls) {
  set(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (tls.verify == TlsIdentity::Verify::no) {
    set(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    set(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  } else if (!tls.authorities.empty()) {
    setBlob(curl, CURLOPT_CAINFO_BLOB, tls.authorities);
    set<const char*>(curl, CURLOPT_CAPATH, nullptr); // else the machine's authorities are trusted beside the given ones
  }
  if (tls.certificate.empty()) return;
  setBlob(curl, CURLOPT_SSLCERT_BLOB, tls.certificate);
  setBlob(curl, CURLOPT_SSLKEY_BLOB, tls.key.reveal());
}

long milliseconds(Duration duration) {
  return std::max<long>(1, std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

void setConnection(CURL* curl, const Request& request) {
  set(curl, CURLOPT_NOSIGNAL, 1L);
  set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  set(curl, CURLOPT_TCP_KEEPALIVE, 1L); // a watch shall notice a machine that vanished
  set(curl, CURLOPT_TCP_KEEPIDLE, 15L);
  set(curl, CURLOPT_TCP_KEEPINTVL, 5L);
  const bool limited = request.timeout > Duration::zero();
  set(curl, CURLOPT_CONNECTTIMEOUT_MS,
      milliseconds(limited ? std::min<Duration>(request.timeout, connectLimit) : connectLimit));
  if (limited) set(curl, CURLOPT_TIMEOUT_MS, milliseconds(request.timeout));
  if (request.proxy == Request::Proxy::none) set(curl, CURLOPT_PROXY, "");
  if (!request.unixSocket.empty()) set(curl, CURLOPT_UNIX_SOCKET_PATH, request.unixSocket.c_str());
  const bool plainTwo = request.protocol == Request::Protocol::two && request.url.starts_with("http:");
  const bool one = request.protocol == Request::Protocol::one;
  set(curl, CURLOPT_HTTP_VERSION,
      static_cast<long>(plainTwo ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE : one ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
  // libcurl 7.88 switches a connection to HTTP/2 a second time when it uses it again, and then fails with code 16.
  set(curl, CURLOPT_FORBID_REUSE, plainTwo ? 1L : 0L);
}

} // namespace

Url parseUrl(const std::string& text) {
  Url url(curl_url());
  if (const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0); code != CURLUE_OK)
    throw Error(fmt::format("\"{}\" is not a URL: {}", text, lower(curl_url_strerror(code))));
  if (const std::string scheme = part(url, CURLUPART_SCHEME); scheme != "http" && scheme != "https")
    throw Error(fmt::format("\"{}\" is neither http:// nor https://", text));
  return url;
}

std::string connectionKey(const Request& request, const Url& url) {
  std::string all;
  for (const std::string& item :
       {part(url, CURLUPART_SCHEME), part(url, CURLUPART_HOST), part(url, CURLUPART_PORT), request.unixSocket,
        request.tls.authorities, request.tls.certificate, sha256(request.tls.key.reveal()), request.tls.serverName,
        fmt::format("{}{}{}", static_cast<int>(request.tls.verify), static_cast<int>(request.proxy),
                    static_cast<int>(request.protocol))})
    all += fmt::format("{}:", item.size()) + item;
  return sha256(all);
}

List headerLines(const Request& request) {
  curl_slist* lines = nullptr;
  const auto add = [&](const std::string& line) {
    if (auto* longer = curl_slist_append(lines, line.c_str())) lines = longer;
  };
  bool typed = false;
  for (const auto& [name, value] : request.headers) {
    refuseLineBreaks("the header " + name, value);
    typed = typed || lower(name) == "content-type";
    add(value.empty() ? name + ";" : name + ": " + value);
  }
  if (!typed) add("Content-Type:"); // else curl calls a body a web form
  add("Expect:");                   // a second round trip for nothing
  if (!request.bearerToken.empty()) {
    refuseLineBreaks("the bearer token", request.bearerToken.reveal());
    std::string line = "Authorization: Bearer " + request.bearerToken.reveal();
    add(line);
    explicit_bzero(line.data(), line.size());
  }
  return List(lines);
}

void setRequest(CURL* curl, const Request& request) {
  setConnection(curl, request);
  setMethod(curl, request);
  setTls(curl, request.tls);
}

List verifyAnotherName(CURL* curl, const Request& request, const Url& url) {
  const std::string& name = request.tls.serverName;
  if (name.empty() || !request.url.starts_with("https:")) return {};
  const std::string to = fmt::format("::{}:{}", part(url, CURLUPART_HOST), part(url, CURLUPART_PORT));
  List redirect(curl_slist_append(nullptr, to.c_str()));
  set(curl, CURLOPT_CONNECT_TO, redirect.get());
  const bool bareV6 = name.find(':') != std::string::npos && name.front() != '[';
  const std::string host = bareV6 ? "[" + name + "]" : name;
  if (curl_url_set(url.get(), CURLUPART_HOST, host.c_str(), 0) != CURLUE_OK)
    throw Error(fmt::format("\"{}\" cannot be the name of a TLS server", name));
  return redirect;
}

} // namespace kubestrap::net
