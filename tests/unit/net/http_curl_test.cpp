#include "net/http_curl.hpp"
#include "support/value.hpp"
#include "tests/unit/net/server.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

using namespace kubestrap;
using namespace kubestrap::net;
using namespace std::chrono_literals;
using tests::Server;
using Kind = TransportError::Kind;

namespace {

struct Fixture {
  Server server;
  CurlTransport transport;
  Value told(const Request& request) { return parseJson(transport.perform(request).body); }
};

/// The error that a call ends with.
TransportError failureOf(Transport& transport, const Request& request) {
  try {
    transport.perform(request);
  } catch (const TransportError& error) {
    return error;
  }
  FAIL("the call was answered");
  throw std::logic_error("not reached");
}

auto elapsed(const std::function<void()>& call) {
  const auto begin = std::chrono::steady_clock::now();
  call();
  return std::chrono::steady_clock::now() - begin;
}

/// A port of loopback that nobody listens on.
std::string deadUrl() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address);
  socklen_t size = sizeof address;
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  close(socket);
  return "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

} // namespace

TEST_CASE_FIXTURE(Fixture, "method, headers, token and body arrive as given") {
  const Value told = this->told({.method = "PATCH",
                                 .url = server.http + "/api?x=1",
                                 .headers = {{"Content-Type", "application/merge-patch+json"}},
                                 .bearerToken = Secret("abcdef.0123456789abcdef"),
                                 .body = "{}"});
  CHECK(told["method"] == "PATCH");
  CHECK(told["path"] == "/api?x=1");
  CHECK(told["body"] == "{}");
  CHECK(told["headers"]["content-type"] == "application/merge-patch+json");
  CHECK(told["headers"]["authorization"] == "Bearer abcdef.0123456789abcdef");
  CHECK_FALSE(told["headers"].contains("expect"));
}

TEST_CASE_FIXTURE(Fixture, "a body is never called a web form, and one call's method does not stick to the next") {
  CHECK_FALSE(told({.method = "POST", .url = server.http + "/", .body = "{}"})["headers"].contains("content-type"));
  CHECK(told({.method = "DELETE", .url = server.http + "/"})["method"] == "DELETE");
  const Value last = told({.url = server.http + "/"});
  CHECK(last["method"] == "GET");
  CHECK(last["body"] == "");
}

TEST_CASE_FIXTURE(Fixture, "a status is a value, and headers come in lower case with repeated ones joined") {
  const Response response = transport.perform({.url = server.http + "/status/503"});
  CHECK(response.status == 503);
  CHECK(response.body == "told so");
  CHECK(transport.perform({.url = server.http + "/"}).headers.at("x-twice") == "a, b");
}

TEST_CASE_FIXTURE(Fixture, "a connection is used again by the same identity and by no other") {
  const auto connections = [&](const TlsIdentity& tls) {
    return told({.url = server.https + "/", .tls = tls})["connections"].get<int>();
  };
  const int first = connections(server.trusting());
  CHECK(connections(server.trusting()) == first);
  CHECK(connections(server.as(server.client)) == first + 1);
  CHECK(connections(server.trusting()) == first + 1);
}

TEST_CASE_FIXTURE(Fixture, "the server's name can be another than the URL's host") {
  const Value told = this->told({.url = server.https + "/", .tls = server.trusting()});
  CHECK(told["sni"] == "kubernetes");
}

TEST_CASE_FIXTURE(Fixture, "a server whose certificate has another name is not trusted") {
  TlsIdentity tls = server.trusting();
  tls.serverName.clear();
  const auto error = failureOf(transport, {.url = server.https + "/", .tls = tls});
  CHECK(error.kind() == Kind::tls);
  CHECK(error.message().find(server.https) != std::string::npos);
  CHECK(error.message().find("127.0.0.1") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a server of another authority is not trusted, whatever the machine trusts") {
  TlsIdentity tls = server.trusting();
  tls.authorities = server.otherAuthority.certificate;
  const auto error = failureOf(transport, {.url = server.https + "/", .tls = tls});
  CHECK(error.kind() == Kind::tls);
  CHECK(error.hint().find("authority") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a connection that was made without verification is not used with it") {
  TlsIdentity tls = server.trusting();
  tls.authorities = server.otherAuthority.certificate;
  tls.verify = TlsIdentity::Verify::no;
  CHECK(transport.perform({.url = server.https + "/", .tls = tls}).status == 200);
  tls.verify = TlsIdentity::Verify::yes;
  CHECK(failureOf(transport, {.url = server.https + "/", .tls = tls}).kind() == Kind::tls);
}

TEST_CASE_FIXTURE(Fixture, "a client certificate and its key come from memory") {
  CHECK(told({.url = server.mutual + "/", .tls = server.as(server.client)})["client"] == "kubernetes-admin");
  CHECK(told({.url = server.mutual12 + "/", .tls = server.as(server.client)})["client"] == "kubernetes-admin");
}

TEST_CASE_FIXTURE(Fixture, "a refused client certificate is named as such with TLS 1.3 and 1.2") {
  for (const std::string& url : {server.mutual, server.mutual12})
    for (const TlsIdentity& tls : {server.as(server.stranger), server.trusting()}) {
      const auto error = failureOf(transport, {.url = url + "/", .tls = tls});
      CAPTURE(error.message());
      CHECK(error.kind() == Kind::clientCertificateRefused);
      CHECK(error.message().find("did not accept our client certificate") != std::string::npos);
    }
}

TEST_CASE_FIXTURE(Fixture, "a key that does not belong to its certificate is told before anything is sent") {
  TlsIdentity tls = server.as(server.client);
  tls.key = server.stranger.key;
  CHECK(failureOf(transport, {.url = server.mutual + "/", .tls = tls}).kind() == Kind::tls);
}

TEST_CASE_FIXTURE(Fixture, "no answer in time is a timeout") {
  const auto took = elapsed(
      [&] { CHECK(failureOf(transport, {.url = server.http + "/slow", .timeout = 300ms}).kind() == Kind::timeout); });
  CHECK(took >= 300ms);
  CHECK(took < 20s);
}

TEST_CASE_FIXTURE(Fixture, "a closed connection and half an answer are no answer") {
  CHECK(failureOf(transport, {.url = server.http + "/close"}).kind() == Kind::closed);
  CHECK(failureOf(transport, {.url = server.http + "/half"}).kind() == Kind::closed);
  CHECK(transport.perform({.url = server.http + "/"}).status == 200);
}

TEST_CASE_FIXTURE(Fixture, "an answer that is longer than it may be is no answer, however long it would go on") {
  const auto error = failureOf(transport, {.url = server.http + "/watch", .largestAnswer = 50});
  CHECK(error.kind() == Kind::other);
  CHECK(error.message() == "GET " + server.http + "/watch: the answer is longer than 50 octets");
  CHECK(transport.perform({.url = server.http + "/status/503", .largestAnswer = 7}).body == "told so");
  CHECK_FALSE(failureOf(transport, {.url = server.http + "/status/503", .largestAnswer = 6}).message().empty());
}

TEST_CASE("nobody listening is told with method, URL and peer") {
  CurlTransport transport;
  const std::string url = deadUrl() + "/livez";
  const auto error = failureOf(transport, {.url = url});
  CHECK(error.kind() == Kind::refused);
  CHECK(error.message().starts_with("GET " + url + ": nobody listens there"));
  const auto noSocket = failureOf(transport, {.url = "http://localhost/", .unixSocket = "/nonexistent/socket"});
  CHECK(noSocket.kind() == Kind::refused);
  CHECK(noSocket.message().find("/nonexistent/socket") != std::string::npos);
}

TEST_CASE("a name that is not known is told as such") {
  CurlTransport transport;
  CHECK(failureOf(transport, {.url = "http://no-such-host.invalid/"}).kind() == Kind::resolve);
}

TEST_CASE("what is no web address is refused") {
  CurlTransport transport;
  CHECK_THROWS_WITH_AS(transport.perform({.url = "file:///etc/passwd"}),
                       "\"file:///etc/passwd\" is neither http:// nor https://", Error);
  CHECK_THROWS_AS(transport.perform({.url = "http://[::1"}), Error);
  CHECK_THROWS_AS(transport.perform({.url = "http://127.0.0.1/", .headers = {{"A", "b\r\nC: d"}}}), Error);
}

TEST_CASE_FIXTURE(Fixture, "a stream is handed over as it arrives and ends when its reader has enough") {
  std::string seen;
  const auto took = elapsed([&] {
    const Response response =
        transport.stream({.url = server.http + "/watch", .timeout = {}}, [&](std::string_view data) {
          seen += data;
          return seen.find("event 3\n") == std::string::npos;
        });
    CHECK(response.status == 200);
    CHECK(response.body.empty());
  });
  CHECK(seen.starts_with("event 0\nevent 1\n"));
  CHECK(took < 9s); // all of it would be ten seconds
}

TEST_CASE_FIXTURE(Fixture, "the body of a failed stream is in the response") {
  const auto never = [](std::string_view) -> bool { throw Error("was handed over"); };
  CHECK(transport.stream({.url = server.http + "/status/410"}, never).body == "told so");
}

TEST_CASE_FIXTURE(Fixture, "what the reader of a stream throws reaches the caller, who can go on") {
  const auto fails = [](std::string_view) -> bool { throw Conflict("enough"); };
  CHECK_THROWS_WITH_AS(transport.stream({.url = server.http + "/watch"}, fails), "enough", Conflict);
  CHECK(transport.perform({.url = server.http + "/"}).status == 200);
}

TEST_CASE_FIXTURE(Fixture, "a call may be made while a stream's data are read") {
  int status = 0;
  transport.stream({.url = server.http + "/watch"}, [&](std::string_view) {
    status = transport.perform({.url = server.http + "/status/201"}).status;
    return false;
  });
  CHECK(status == 201);
}

TEST_CASE("a stop request ends a call within about a second and forbids new ones") {
  Server server;
  std::stop_source stop;
  CurlTransport transport(stop.get_token());
  std::jthread later([&] {
    std::this_thread::sleep_for(200ms);
    stop.request_stop();
  });
  const auto took = elapsed([&] { CHECK_THROWS_AS(transport.perform({.url = server.http + "/slow"}), Interrupted); });
  CHECK(took < 20s);
  CHECK_THROWS_AS(transport.perform({.url = server.http + "/"}), Interrupted);
}

TEST_CASE_FIXTURE(Fixture, "a proxy of the environment is used when asked for and only then") {
  setenv("http_proxy", deadUrl().c_str(), 1);
  CHECK(transport.perform({.url = server.http + "/"}).status == 200);
  CHECK(failureOf(transport, {.url = server.http + "/", .proxy = Request::Proxy::environment}).kind() == Kind::refused);
  unsetenv("http_proxy");
}

TEST_CASE_FIXTURE(Fixture, "threads use one transport at once, and each gets its own answers") {
  std::atomic<int> right = 0;
  std::vector<std::jthread> threads;
  for (int number = 0; number < 8; ++number)
    threads.emplace_back([&, number] {
      for (int call = 0; call < 40; ++call) {
        const auto path = "/" + std::to_string(number) + "/" + std::to_string(call);
        if (stringAt(parseJson(transport.perform({.method = "GET", .url = server.http + path}).body), "path") == path) ++right;
      }
    });
  threads.clear(); // joins them
  CHECK(right == 8 * 40);
}
