#include "net/peer.hpp"

#include "net/http.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <array>
#include <memory>

namespace kubestrap::net {

std::vector<std::string> peerCertificates(const std::string& host, int port, Duration timeout) {
  const auto release = [](CURL* handle) { curl_easy_cleanup(handle); };
  const std::unique_ptr<CURL, decltype(release)> curl(curl_easy_init(), release);
  if (!curl) throw Error("libcurl gives no handle");
  const auto url = fmt::format("https://{}:{}/", host.find(':') == std::string::npos ? host : "[" + host + "]", port);
  std::array<char, CURL_ERROR_SIZE> said{};
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, said.data());
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_CERTINFO, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_SSL_VERIFYPEER, 0L); // it is shown, not believed
  curl_easy_setopt(curl.get(), CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count()));
  if (const auto code = curl_easy_perform(curl.get()); code != CURLE_OK)
    throw TransportError(code == CURLE_COULDNT_CONNECT ? TransportError::Kind::refused : TransportError::Kind::tls,
                         fmt::format("{}:{} shows no certificate: {}", host, port, said[0] ? said.data() : curl_easy_strerror(code)),
                         "see whether it serves TLS there");
  curl_certinfo* information = nullptr;
  curl_easy_getinfo(curl.get(), CURLINFO_CERTINFO, &information);
  std::vector<std::string> certificates;
  constexpr std::string_view label = "Cert:";
  for (int i = 0; information && i < information->num_of_certs; ++i)
    for (const curl_slist* line = information->certinfo[i]; line; line = line->next)
      if (const std::string_view text = line->data; text.starts_with(label)) certificates.emplace_back(text.substr(label.size()));
  if (certificates.empty()) throw Error(fmt::format("{}:{} shows no certificate", host, port));
  return certificates;
}

} // namespace kubestrap::net
