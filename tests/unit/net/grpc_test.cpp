#include "net/grpc.hpp"
#include "net/http_curl.hpp"
#include "tests/unit/net/server.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::net;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

/// Gives one prepared answer and keeps what was asked.
struct Prepared : Transport {
  Response response{.status = 200, .headers = {{"grpc-status", "0"}}};
  Request asked;
  Response perform(const Request& request) override {
    asked = request;
    return response;
  }
  Response stream(const Request& request, const std::function<bool(std::string_view)>& onData) override {
    asked = request;
    for (const char octet : response.body)
      if (!onData({&octet, 1})) break;
    return response;
  }
};

GrpcError failureOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const GrpcError& error) {
    return error;
  }
  FAIL("the call succeeded");
  throw std::logic_error("not reached");
}

struct Socket {
  tests::Server server;
  CurlTransport transport;
  GrpcClient client{transport, {.unixSocket = server.grpcSocket}};
};

} // namespace

TEST_CASE("a message travels behind a zero and its length") {
  CHECK(grpcFrame("abc") == "\0\0\0\0\3abc"s);
  CHECK(grpcFrame(std::string(0x10203, 'x')).substr(0, 5) == "\0\0\1\2\3"s);
}

TEST_CASE("a call says what it is, and how long it may take") {
  Prepared transport;
  transport.response.body = grpcFrame("answer");
  GrpcClient client(transport, {.url = "https://10.0.0.1:2379"});
  CHECK(client.unary("/etcdserverpb.Cluster/MemberList", "question", 1500ms) == "answer");
  CHECK(transport.asked.method == "POST");
  CHECK(transport.asked.url == "https://10.0.0.1:2379/etcdserverpb.Cluster/MemberList");
  CHECK(transport.asked.protocol == Request::Protocol::two);
  CHECK(transport.asked.body == grpcFrame("question"));
  const std::map<std::string, std::string> headers(transport.asked.headers.begin(), transport.asked.headers.end());
  CHECK(headers.at("Content-Type") == "application/grpc");
  CHECK(headers.at("TE") == "trailers");
  CHECK(headers.at("grpc-timeout") == "1500m");
  CHECK(transport.asked.timeout > 1500ms);
}

TEST_CASE("messages are put together from any pieces") {
  Prepared transport; // hands over octet by octet
  transport.response.body = grpcFrame("one") + grpcFrame("") + grpcFrame("three");
  std::vector<std::string> seen;
  GrpcClient(transport, {}).serverStream("/a/B", "", 0s, [&](std::string_view message) {
    seen.emplace_back(message);
    return true;
  });
  CHECK(seen == std::vector<std::string>{"one", "", "three"});
}

TEST_CASE("an answer that is not whole, or not ours to read, is an error") {
  Prepared transport;
  GrpcClient client(transport, {});
  const auto codeOf = [&](const std::string& body) {
    transport.response.body = body;
    return failureOf([&] { client.unary("/a/B", ""); }).code();
  };
  CHECK(codeOf("") == GrpcCode::internal);
  CHECK(codeOf(grpcFrame("abc").substr(0, 7)) == GrpcCode::internal);
  CHECK(codeOf(grpcFrame("a") + grpcFrame("b")) == GrpcCode::internal);
  CHECK(codeOf("\1\0\0\0\1a"s) == GrpcCode::internal);
  CHECK(codeOf("\0\xff\xff\xff\xff"s) == GrpcCode::resourceExhausted);
}

TEST_CASE("an answer of a web server that speaks no gRPC is told by its HTTP status") {
  Prepared transport;
  GrpcClient client(transport, {});
  const auto codeOf = [&](int status) {
    transport.response = {.status = status};
    return failureOf([&] { client.unary("/a/B", ""); }).code();
  };
  CHECK(codeOf(200) == GrpcCode::unknown);
  CHECK(codeOf(401) == GrpcCode::unauthenticated);
  CHECK(codeOf(404) == GrpcCode::unimplemented);
  CHECK(codeOf(503) == GrpcCode::unavailable);
}

TEST_CASE_FIXTURE(Socket, "a unix socket is spoken to in HTTP/2 from the first octet") {
  CHECK(client.unary("/runtime.v1.RuntimeService/Version", "hello") == "hello");
  CHECK(client.unary("/runtime.v1.RuntimeService/Version", "") == "");
  CHECK(client.unary("/runtime.v1.RuntimeService/Version", std::string(10'000, 'x')) == std::string(10'000, 'x'));
}

TEST_CASE_FIXTURE(Socket, "a refusal carries code and the server's decoded words") {
  const auto error = failureOf([&] { client.unary("/runtime.v1.ImageService/PullImage", "refuse"); });
  CHECK(error.code() == GrpcCode::notFound);
  CHECK(error.detail() == "no such \"image\"\nat all");
  CHECK(error.message() == "/runtime.v1.ImageService/PullImage: no such \"image\"\nat all (not found)");
  CHECK(client.unary("/a/B", "still there") == "still there");
}

TEST_CASE_FIXTURE(Socket, "a server's stream comes message by message and can be left early") {
  std::vector<std::string> seen;
  const auto collect = [&](std::string_view message) {
    seen.emplace_back(message);
    return true;
  };
  client.serverStream("/a/B", "three", 5s, collect);
  CHECK(seen == std::vector<std::string>{"one", "", "three"});
  int count = 0;
  client.serverStream("/a/B", "three", 5s, [&](std::string_view) { return ++count < 2; });
  CHECK(count == 2);
}

TEST_CASE_FIXTURE(Socket, "a server that begins an answer and stays silent is a timeout") {
  try {
    client.unary("/a/B", "hang", 200ms);
    FAIL("it was answered");
  } catch (const TransportError& error) {
    CHECK(error.kind() == TransportError::Kind::timeout);
  }
}
