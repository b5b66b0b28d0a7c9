// libcurl brings some thirty libraries with it (Kerberos, LDAP, ...), and loading them is two thirds of the time of a start that needs no
// network. So it is not linked but loaded at the first call: these functions have libcurl's names and hand on to it.
#include "support/error.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <cstdarg>
#include <dlfcn.h>

namespace {

void* library() {
  static void* const handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    throw kubestrap::Error(fmt::format("libcurl cannot be loaded: {}", dlerror()), "install it; on Debian and Ubuntu: apt-get install libcurl4");
  return handle;
}

template <typename Function> Function* find(const char* name) {
  void* const symbol = dlsym(library(), name);
  if (!symbol) throw kubestrap::Error(fmt::format("this machine's libcurl has no {}", name), "install libcurl 7.88 or newer");
  return reinterpret_cast<Function*>(symbol);
}

// The variadic functions take a long, a curl_off_t or a pointer, which are handed on alike.
static_assert(sizeof(long) == sizeof(void*) && sizeof(curl_off_t) == sizeof(void*), "only 64-bit machines are supported");

} // namespace

// Names in brackets: curl.h has macros of the same names.
CURLcode(curl_global_init)(long flags) {
  static auto* const call = find<decltype(curl_global_init)>("curl_global_init");
  return call(flags);
}

CURL*(curl_easy_init)() {
  static auto* const call = find<decltype(curl_easy_init)>("curl_easy_init");
  return call();
}

void(curl_easy_cleanup)(CURL* curl) {
  static auto* const call = find<decltype(curl_easy_cleanup)>("curl_easy_cleanup");
  call(curl);
}

void(curl_easy_reset)(CURL* curl) {
  static auto* const call = find<decltype(curl_easy_reset)>("curl_easy_reset");
  call(curl);
}

CURLcode(curl_easy_perform)(CURL* curl) {
  static auto* const call = find<decltype(curl_easy_perform)>("curl_easy_perform");
  return call(curl);
}

CURLcode(curl_easy_setopt)(CURL* curl, CURLoption option, ...) {
  static auto* const call = find<CURLcode(CURL*, CURLoption, ...)>("curl_easy_setopt");
  va_list values;
  va_start(values, option);
  void* const value = va_arg(values, void*);
  va_end(values);
  return call(curl, option, value);
}

CURLcode(curl_easy_getinfo)(CURL* curl, CURLINFO info, ...) {
  static auto* const call = find<CURLcode(CURL*, CURLINFO, ...)>("curl_easy_getinfo");
  va_list values;
  va_start(values, info);
  void* const value = va_arg(values, void*);
  va_end(values);
  return call(curl, info, value);
}

const char*(curl_easy_strerror)(CURLcode code) {
  static auto* const call = find<decltype(curl_easy_strerror)>("curl_easy_strerror");
  return call(code);
}

struct curl_slist*(curl_slist_append)(struct curl_slist* list, const char* text) {
  static auto* const call = find<decltype(curl_slist_append)>("curl_slist_append");
  return call(list, text);
}

void(curl_slist_free_all)(struct curl_slist* list) {
  static auto* const call = find<decltype(curl_slist_free_all)>("curl_slist_free_all");
  call(list);
}

CURLU*(curl_url)() {
  static auto* const call = find<decltype(curl_url)>("curl_url");
  return call();
}

void(curl_url_cleanup)(CURLU* url) {
  static auto* const call = find<decltype(curl_url_cleanup)>("curl_url_cleanup");
  call(url);
}

CURLUcode(curl_url_get)(CURLU* url, CURLUPart part, char** text, unsigned int flags) {
  static auto* const call = find<decltype(curl_url_get)>("curl_url_get");
  return call(url, part, text, flags);
}

CURLUcode(curl_url_set)(CURLU* url, CURLUPart part, const char* text, unsigned int flags) {
  static auto* const call = find<decltype(curl_url_set)>("curl_url_set");
  return call(url, part, text, flags);
}

const char*(curl_url_strerror)(CURLUcode code) {
  static auto* const call = find<decltype(curl_url_strerror)>("curl_url_strerror");
  return call(code);
}

void(curl_free)(void* memory) {
  static auto* const call = find<decltype(curl_free)>("curl_free");
  call(memory);
}
