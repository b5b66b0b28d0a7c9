#include "net/http_curl.hpp"

#include "net/peer.hpp"

#include "net/curl_failure.hpp"
#include "net/curl_request.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <exception>

namespace kubestrap::net {

namespace {

constexpr std::size_t idleHandles = 16;

using Kind = TransportError::Kind;

/// OpenSSL writes to sockets with write(): a peer that went away would end the program by SIGPIPE. Blocked in this
/// thread only (ignoring it would be inherited by every program that is started).
class WithoutBrokenPipe {
public:
  WithoutBrokenPipe() {
    sigset_t pending;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigpending(&pending);
    wasPending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutBrokenPipe() {
    const timespec now{};
    if (!wasPending_)
      while (sigtimedwait(&pipe_, nullptr, &now) == -1 && errno == EINTR) {
      }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutBrokenPipe(const WithoutBrokenPipe&) = delete;
  WithoutBrokenPipe& operator=(const WithoutBrokenPipe&) = delete;

private:
  sigset_t pipe_{}, before_{};
  bool wasPending_ = false;
};

/// One call under way: what the callbacks fill.
struct Transfer {
  const std::stop_token& stop;
  const std::function<bool(std::string_view)>* onData = nullptr;
  std::size_t largest = 0;
  CURL* curl = nullptr;
  Response response;
  bool answered = false, ended = false, tooLarge = false;
  std::exception_ptr thrown;
};

std::size_t onHeader(char* bytes, std::size_t size, std::size_t count, void* user) noexcept {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line = trim({bytes, size * count});
  transfer.answered = true;
  if (line.starts_with("HTTP/")) { // also the final status after "100 continue" or a proxy's answer
    transfer.response.headers.clear();
    return size * count;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return size * count;
  const std::string_view value = trim(line.substr(colon + 1));
  const auto [found, isNew] = transfer.response.headers.try_emplace(lower(trim(line.substr(0, colon))), value);
  if (!isNew) found->second.append(", ").append(value);
  return size * count;
}

std::size_t onBody(char* bytes, std::size_t size, std::size_t count, void* user) noexcept {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view data(bytes, size * count);
  long status = 0;
  curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
  try {
    if (transfer.onData && status < 300) {
      transfer.ended = !(*transfer.onData)(data);
      return transfer.ended ? CURL_WRITEFUNC_ERROR : data.size();
    }
    transfer.tooLarge = data.size() > transfer.largest - transfer.response.body.size();
    if (transfer.tooLarge) return CURL_WRITEFUNC_ERROR;
    transfer.response.body.append(data);
    return data.size();
  } catch (...) {
    transfer.thrown = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
}

int onProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept {
  return static_cast<Transfer*>(user)->stop.stop_requested() ? 1 : 0;
}

void setCallbacks(CURL* curl, Transfer& transfer) {
  set(curl, CURLOPT_NOPROGRESS, 0L);
  set(curl, CURLOPT_XFERINFOFUNCTION, onProgress);
  set<void*>(curl, CURLOPT_XFERINFODATA, &transfer);
  set(curl, CURLOPT_HEADERFUNCTION, onHeader);
  set<void*>(curl, CURLOPT_HEADERDATA, &transfer);
  set(curl, CURLOPT_WRITEFUNCTION, onBody);
  set<void*>(curl, CURLOPT_WRITEDATA, &transfer);
}

/// A gRPC server that does not know a method answers when it has seen the headers, and closes the stream. Where that is
/// faster than our body, libcurl 7.88 ends with code 92, either with the answer, whose status stands in the headers, or
/// without it; then the call is made again, since the server has not got the request.
enum class Early { no, answered, lost };
Early earlyAnswer(CURL* curl, CURLcode code, const Transfer& transfer) {
  curl_off_t sent = 0;
  curl_easy_getinfo(curl, CURLINFO_SIZE_UPLOAD_T, &sent);
  if (code != CURLE_HTTP2_STREAM || sent != 0) return Early::no;
  if (transfer.response.headers.contains("grpc-status")) return Early::answered;
  return transfer.answered || transfer.stop.stop_requested() ? Early::no : Early::lost;
}

void startUp() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) throw Error(fmt::format("libcurl does not start: {}", curl_easy_strerror(started)));
}

} // namespace

/// An easy handle with the connection that it keeps.
class CurlTransport::Handle {
public:
  explicit Handle(std::string connectionKey) : key(std::move(connectionKey)), curl(curl_easy_init()) {
    if (!curl) throw Error("libcurl gives no handle");
  }
  ~Handle() {
    const WithoutBrokenPipe quiet; // a TLS connection says goodbye
    curl.reset();
  }
  const std::string key;
  Curl curl;
};

CurlTransport::CurlTransport(std::stop_token stop) : stop_(std::move(stop)) {}
CurlTransport::~CurlTransport() = default;

std::unique_ptr<CurlTransport::Handle> CurlTransport::take(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(idle_.begin(), idle_.end(), [&](const auto& handle) { return handle->key == key; });
  if (found == idle_.end()) return std::make_unique<Handle>(key);
  auto handle = std::move(*found);
  idle_.erase(found);
  return handle;
}

void CurlTransport::keep(std::unique_ptr<Handle> handle) {
  curl_easy_reset(handle->curl.get()); // forgets options and blobs, keeps the connection
  const std::lock_guard lock(mutex_);
  if (idle_.size() >= idleHandles) idle_.erase(idle_.begin());
  idle_.push_back(std::move(handle));
}

Response CurlTransport::run(const Request& request, const std::function<bool(std::string_view)>* onData) {
  if (stop_.stop_requested()) throw Interrupted();
  startUp();
  const WithoutBrokenPipe quiet;
  const Url url = parseUrl(request.url);
  auto handle = take(connectionKey(request, url));
  CURL* curl = handle->curl.get();

  const List redirect = verifyAnotherName(curl, request, url);
  const List headers = headerLines(request);
  char diagnosis[CURL_ERROR_SIZE] = "";
  Transfer transfer{.stop = stop_, .onData = onData, .largest = request.largestAnswer, .curl = curl};
  set(curl, CURLOPT_CURLU, url.get());
  set(curl, CURLOPT_ERRORBUFFER, diagnosis);
  set(curl, CURLOPT_HTTPHEADER, headers.get());
  setCallbacks(curl, transfer);
  setRequest(curl, request);

  CURLcode code = curl_easy_perform(curl);
  for (int again = 0; again < 20 && earlyAnswer(curl, code, transfer) == Early::lost; ++again)
    code = curl_easy_perform(curl);
  if (earlyAnswer(curl, code, transfer) == Early::answered) code = CURLE_OK;
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  if (code == CURLE_ABORTED_BY_CALLBACK || (code != CURLE_OK && stop_.stop_requested())) throw Interrupted();
  if (transfer.tooLarge)
    throw TransportError(Kind::other,
                         fmt::format("{} {}: the answer is longer than {} octets", request.method, request.url,
                                     request.largestAnswer));
  if (code != CURLE_OK && !transfer.ended) fail(request, curl, code, diagnosis, transfer.answered);

  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  transfer.response.status = static_cast<int>(status);
  keep(std::move(handle));
  return std::move(transfer.response);
}

Response CurlTransport::perform(const Request& request) { return run(request, nullptr); }

Response CurlTransport::stream(const Request& request, const std::function<bool(std::string_view)>& onData) {
  return run(request, &onData);
}

std::vector<std::string> CurlTransport::peerCertificates(const std::string& host, int port, Duration timeout) {
  if (stop_.stop_requested()) throw Interrupted();
  return net::peerCertificates(host, port, timeout);
}

} // namespace kubestrap::net
