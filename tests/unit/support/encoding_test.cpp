#include "support/encoding.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;

TEST_CASE("base64 follows the examples of RFC 4648") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foob") == "Zm9vYg==");
  CHECK(base64("fooba") == "Zm9vYmE=");
  CHECK(base64("foobar") == "Zm9vYmFy");
}

TEST_CASE("base64 is read back, with white space in between") {
  CHECK(fromBase64("Zm9v\nYm\tFy \r\n") == "foobar");
  CHECK(fromBase64("Zg==") == "f");
  CHECK(fromBase64("") == "");
}

TEST_CASE("malformed base64 is nothing") {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "=", "====", "Zm9*", "Zg==Zg==", "Z=g="}) {
    CAPTURE(text);
    CHECK_FALSE(fromBase64(text));
  }
}

TEST_CASE("base64url uses - and _ and no padding") {
  CHECK(base64Url("\xfb\xff\xfe") == "-__-");
  CHECK(base64Url("f") == "Zg");
  CHECK(fromBase64Url("-__-") == "\xfb\xff\xfe");
  CHECK(fromBase64Url("Zg") == "f");
  CHECK_FALSE(fromBase64Url("Zg=="));
  CHECK_FALSE(fromBase64Url("Zm9vY"));
  CHECK_FALSE(fromBase64Url("+/+/"));
}

TEST_CASE("all octets survive base64 and hex") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  CHECK(fromBase64(base64(bytes)) == bytes);
  CHECK(fromBase64Url(base64Url(bytes)) == bytes);
  CHECK(fromHex(hex(bytes)) == bytes);
}

TEST_CASE("hex is written in lower case and read in both") {
  CHECK(hex(std::string_view("\x00\xaf", 2)) == "00af");
  CHECK(fromHex("00AF") == std::string("\x00\xaf", 2));
  CHECK_FALSE(fromHex("0"));
  CHECK_FALSE(fromHex("0g"));
}

TEST_CASE("everything but unreserved characters is percent-encoded") {
  CHECK(percentEncode("a-b.c_d~9") == "a-b.c_d~9");
  CHECK(percentEncode("a/b c%?ä") == "a%2Fb%20c%25%3F%C3%A4");
}

TEST_CASE("SHA-256 of known texts") {
  CHECK(sha256Hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abc").size() == 32);
}
