#pragma once
// libcurl's handles with an owner, and its options with their errors looked at. For net/ alone.

#include "support/error.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <cstring>
#include <memory>

namespace kubestrap::net {

template <auto Free> struct Freed {
  template <typename T> void operator()(T* pointer) const { Free(pointer); }
};

/// Headers may carry a token: they are wiped before they go.
inline void wipeList(curl_slist* list) {
  for (auto* item = list; item; item = item->next) explicit_bzero(item->data, std::strlen(item->data));
  curl_slist_free_all(list);
}

using Curl = std::unique_ptr<CURL, Freed<curl_easy_cleanup>>;
using Url = std::unique_ptr<CURLU, Freed<curl_url_cleanup>>;
using List = std::unique_ptr<curl_slist, Freed<wipeList>>;

template <typename T> void set(CURL* curl, CURLoption option, T value) {
  if (const CURLcode code = curl_easy_setopt(curl, option, value); code != CURLE_OK)
    throw Error(
        fmt::format("this libcurl does not take option {}: {}", static_cast<int>(option), curl_easy_strerror(code)));
}

} // namespace kubestrap::net
