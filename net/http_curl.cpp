#include "net/http_curl.hpp"

#include "support/encoding.hpp"
#include "support/text.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>

namespace kubestrap::net {

namespace {

constexpr std::size_t idleHandles = 16;
constexpr auto connectLimit = std::chrono::seconds(10);

using Kind = TransportError::Kind;

template <auto Free> struct Freed {
  template <typename T> void operator()(T* pointer) const { Free(pointer); }
};

/// Headers may carry a token: they are wiped before they go.
void wipeList(curl_slist* list) {
  for (auto* item = list; item; item = item->next) explicit_bzero(item->data, std::strlen(item->data));
  curl_slist_free_all(list);
}

using Curl = std::unique_ptr<CURL, Freed<curl_easy_cleanup>>;
using Url = std::unique_ptr<CURLU, Freed<curl_url_cleanup>>;
using List = std::unique_ptr<curl_slist, Freed<wipeList>>;

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

template <typename T> void set(CURL* curl, CURLoption option, T value) {
  if (const CURLcode code = curl_easy_setopt(curl, option, value); code != CURLE_OK)
    throw Error(
        fmt::format("this libcurl does not take option {}: {}", static_cast<int>(option), curl_easy_strerror(code)));
}

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

Url parseUrl(const std::string& text) {
  Url url(curl_url());
  if (const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0); code != CURLUE_OK)
    throw Error(fmt::format("\"{}\" is not a URL: {}", text, lower(curl_url_strerror(code))));
  if (const std::string scheme = part(url, CURLUPART_SCHEME); scheme != "http" && scheme != "https")
    throw Error(fmt::format("\"{}\" is neither http:// nor https://", text));
  return url;
}

/// What a connection depends on: only an equal one may be used again.
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

bool mentions(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

/// A TLS alert with which a server says that it does not want our certificate, in OpenSSL's words.
bool refusesCertificate(std::string_view text) {
  return mentions(text, {"alert certificate", "alert bad certificate", "alert unknown ca",
                         "alert unsupported certificate", "alert access denied", "alert handshake failure"});
}

Kind kindOf(CURLcode code, long osError, std::string_view text, bool tls, bool freshAndSilent) {
  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY: return Kind::resolve;
  case CURLE_OPERATION_TIMEDOUT: return Kind::timeout;
  case CURLE_COULDNT_CONNECT:
    if (osError == ETIMEDOUT) return Kind::timeout;
    return osError == ECONNREFUSED || osError == ENOENT || osError == 0 ? Kind::refused : Kind::other;
  case CURLE_SSL_CONNECT_ERROR:
    if (refusesCertificate(text)) return Kind::clientCertificateRefused;
    if (osError == ECONNRESET || mentions(text, {"SSL_ERROR_SYSCALL", "reset by peer", "unexpected eof"}))
      return Kind::closed;
    return Kind::tls;
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_ISSUER_ERROR: return Kind::tls;
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
    if (tls && refusesCertificate(text)) return Kind::clientCertificateRefused;
    // With TLS 1.3 our certificate is judged after the handshake has ended for us; the socket may be gone before the
    // alert was read, and then this is all that curl can say.
    if (tls && freshAndSilent && mentions(text, {"getpeername", "Broken pipe"})) return Kind::clientCertificateRefused;
    return Kind::closed;
  case CURLE_GOT_NOTHING:
  case CURLE_PARTIAL_FILE:
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM: return Kind::closed;
  default: return Kind::other;
  }
}

struct Wording {
  Kind kind;
  std::string_view what, hint;
};
constexpr Wording wordings[] = {
    {Kind::refused, "nobody listens there", ""},
    {Kind::timeout, "no answer in time", ""},
    {Kind::resolve, "the name is not known", "check the name, /etc/hosts and the machine's DNS servers"},
    {Kind::tls, "no trusted TLS connection",
     "check that the authority, the names in the server's certificate and the clocks of both machines fit"},
    {Kind::clientCertificateRefused, "the server did not accept our client certificate",
     "check that it was issued by the authority that the server trusts, and that it has not expired"},
    {Kind::closed, "the connection was closed before the answer was complete", ""},
    {Kind::other, "no answer", ""},
};

[[noreturn]] void fail(const Request& request, CURL* curl, CURLcode code, std::string_view diagnosis, bool answered) {
  long osError = 0, connections = 0;
  curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &osError);
  curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connections);
  const bool tls = request.url.starts_with("https:");
  std::string text(trim(diagnosis));
  if (text.empty()) text = curl_easy_strerror(code);
  const Kind kind = kindOf(code, osError, text, tls, connections > 0 && !answered);
  const auto* wording =
      std::find_if(std::begin(wordings), std::end(wordings), [&](auto& row) { return row.kind == kind; });

  std::string peer;
  if (!request.unixSocket.empty()) peer = fmt::format(" (socket {})", request.unixSocket);
  if (!request.tls.serverName.empty()) peer += fmt::format(" (as {})", request.tls.serverName);
  throw TransportError(kind,
                       fmt::format("{} {}{}: {}: {} (curl {})", request.method, request.url, peer, wording->what, text,
                                   static_cast<int>(code)),
                       std::string(wording->hint));
}

void refuseLineBreaks(std::string_view what, std::string_view text) {
  if (text.find_first_of("\r\n", 0, 2) != std::string_view::npos || text.find('\0') != std::string_view::npos)
    throw Error(fmt::format("{} of a request contains a line break", what));
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

void setCallbacks(CURL* curl, Transfer& transfer) {
  set(curl, CURLOPT_NOPROGRESS, 0L);
  set(curl, CURLOPT_XFERINFOFUNCTION, onProgress);
  set<void*>(curl, CURLOPT_XFERINFODATA, &transfer);
  set(curl, CURLOPT_HEADERFUNCTION, onHeader);
  set<void*>(curl, CURLOPT_HEADERDATA, &transfer);
  set(curl, CURLOPT_WRITEFUNCTION, onBody);
  set<void*>(curl, CURLOPT_WRITEDATA, &transfer);
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
  set(curl, CURLOPT_HTTP_VERSION,
      static_cast<long>(plainTwo ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE : CURL_HTTP_VERSION_2TLS));
  // libcurl 7.88 switches a connection to HTTP/2 a second time when it uses it again, and then fails with code 16.
  set(curl, CURLOPT_FORBID_REUSE, plainTwo ? 1L : 0L);
}

/// To verify another name than the URL's, the URL gets that name and the connection is led to where the URL pointed.
/// The list has to live as long as the call.
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
  const auto found = std::find_if(idle_.begin(), idle_.end(), [&](const auto& handle) { return handle->key == key; });
  if (found == idle_.end()) return std::make_unique<Handle>(key);
  auto handle = std::move(*found);
  idle_.erase(found);
  return handle;
}

void CurlTransport::keep(std::unique_ptr<Handle> handle) {
  curl_easy_reset(handle->curl.get()); // forgets options and blobs, keeps the connection
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
  setConnection(curl, request);
  setMethod(curl, request);
  setTls(curl, request.tls);

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

} // namespace kubestrap::net
