#include "phases/encryption.hpp"

#include "support/encoding.hpp"
#include "support/error.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

using namespace kubestrap;
using namespace kubestrap::phases::encryption;

namespace {

using Lines = std::vector<std::string>;

Wish wish(const std::string& provider = "secretbox", bool rotates = false) {
  return {.encryption = config::EncryptionAtRest{provider, {"secrets"}}, .rotates = rotates, .secret = Secret(base64(std::string(32, 'n')))};
}

/// What is done until nothing is left that files can do: "identity, key1", "store", "forget".
Lines road(const Wish& wish, Seen& seen) {
  Lines done;
  auto wanted = wish;
  for (int i = 0; i < 20; ++i) {
    if (seen.keys && rotates(*seen.keys)) wanted.rotates = false;
    const auto move = next(wanted, seen);
    if (move.does == Does::nothing) return done;
    if (move.does == Does::store) {
      done.push_back("store");
      seen.storedAnew = true;
    } else if (move.does == Does::forget) {
      done.push_back("forget");
      seen.keys.reset();
    } else {
      done.push_back(describe(move.keys));
      seen.storedAnew = seen.storedAnew && writer(*seen.keys) == writer(move.keys);
      seen.keys = move.keys;
    }
  }
  return {"no end"};
}

Keys of(const Lines& names, const std::string& provider = "secretbox") {
  Keys keys{.resources = {"secrets"}, .providers = {}};
  for (const auto& name : names) {
    if (name == "identity") keys.providers.push_back({.name = name, .key = {}, .secret = {}});
    else keys.providers.push_back({.name = provider, .key = name, .secret = Secret(base64(name))});
  }
  return keys;
}

} // namespace

TEST_CASE("encryption comes known first, then used, then for all that was there") {
  Seen seen;
  CHECK(road(wish(), seen) == Lines{"identity, key1"}); // from here on API servers can be told the file
  CHECK(road(wish(), seen).empty());
  seen.flagged = true;
  CHECK(road(wish(), seen) == Lines{"key1, identity", "store"});
  seen.configured = true;
  seen.storedAnew = false;
  CHECK(road(wish(), seen).empty());
}

TEST_CASE("another key takes the place of the one that there is") {
  Seen seen{.keys = of({"key1", "identity"}), .flagged = true, .storedAnew = false, .configured = true};
  CHECK(road(wish("secretbox", true), seen) == Lines{"key1, key2, identity", "key2, key1, identity", "store", "key2, identity"});
  CHECK(seen.keys->providers.front().secret.reveal() == base64(std::string(32, 'n')));
  CHECK(road(wish(), seen).empty());
}

TEST_CASE("a rotation that was left half-way is gone on with, whether it is asked for or not") {
  for (const bool asked : {false, true}) {
    CAPTURE(asked);
    Seen known{.keys = of({"key4", "key5", "identity"}), .flagged = true, .storedAnew = false, .configured = true};
    CHECK(road(wish("secretbox", asked), known) == Lines{"key5, key4, identity", "store", "key5, identity"});
    Seen used{.keys = of({"key5", "key4", "identity"}), .flagged = true, .storedAnew = false, .configured = true};
    CHECK(road(wish("secretbox", asked), used) == Lines{"store", "key5, identity"});
  }
}

TEST_CASE("another cipher is another key") {
  Seen seen{.keys = of({"key1", "identity"}), .flagged = true, .storedAnew = false, .configured = false};
  CHECK(road(wish("aesgcm"), seen) == Lines{"key1, key2, identity", "key2, key1, identity", "store", "key2, identity"});
  CHECK(seen.keys->providers.front().name == "aesgcm");
}

TEST_CASE("encryption goes: what is written lies as it is, then all that was there, and the keys last of all") {
  for (const auto& keys : {Lines{"key1", "identity"}, Lines{"key2", "key1", "identity"}, Lines{"key1", "key2", "identity"}}) {
    Seen seen{.keys = of(keys), .flagged = true, .storedAnew = false, .configured = false};
    const auto done = road({}, seen);
    REQUIRE(done.size() == 2);
    CHECK(done.front().starts_with("identity, key"));
    CHECK(seen.keys->providers.size() == keys.size());
    CHECK(done.back() == "store");
    seen.flagged = false; // the API servers have begun without it
    CHECK(road({}, seen) == Lines{"forget"});
    CHECK(road({}, seen).empty());
  }
}

TEST_CASE("a change of mind leads to what is wished last, from everywhere") {
  for (const auto& keys : {Lines{"identity", "key1"}, Lines{"key1", "identity"}, Lines{"key1", "key2", "identity"}, Lines{"key2", "key1", "identity"}, Lines{"identity", "key1", "key2"}}) {
    CAPTURE(describe(of(keys)));
    Seen on{.keys = of(keys), .flagged = true, .storedAnew = false, .configured = false};
    road(wish(), on);
    CHECK(on.keys->providers.size() == 2);
    CHECK(on.keys->providers.front().encrypts());
    CHECK(on.storedAnew);
    Seen off{.keys = of(keys), .flagged = true, .storedAnew = false, .configured = false};
    road({}, off);
    CHECK_FALSE(off.keys->providers.front().encrypts());
    CHECK(off.storedAnew);
  }
  // Nothing lies encrypted before API servers know the file.
  Seen other{.keys = of({"identity", "key1"}, "aescbc"), .flagged = false, .storedAnew = false, .configured = false};
  CHECK(road(wish(), other) == Lines{"identity, key1"});
  CHECK(other.keys->providers.back().name == "secretbox");
}

TEST_CASE("on no road is anything written by a key that others may not know, or a key dropped by which something lies there") {
  // Between two files, some API servers go by the one and some by the other: whatever one of them writes, each can read.
  for (const bool rotates : {false, true})
    for (const auto& target : {std::optional<std::string>("secretbox"), std::optional<std::string>("aesgcm"), std::optional<std::string>()}) {
      Seen seen{.keys = of({"key1", "identity"}), .flagged = true, .storedAnew = false, .configured = true};
      std::set<std::string> stored{"key1"};
      auto wanted = target ? wish(*target, rotates) : Wish{};
      for (int i = 0; i < 20; ++i) {
        if (rotates && phases::encryption::rotates(*seen.keys)) wanted.rotates = false;
        const auto move = next(wanted, seen);
        if (move.does == Does::nothing) break;
        const auto writer = [](const Keys& keys) { return keys.providers.front().key; };
        const auto knows = [](const Keys& keys, const std::string& key) { return std::ranges::any_of(keys.providers, [&](const auto& each) { return each.key == key; }); };
        if (move.does == Does::store) {
          stored = {writer(*seen.keys)};
          seen.storedAnew = true;
        } else {
          REQUIRE(move.does == Does::file);
          CHECK(knows(*seen.keys, writer(move.keys)));
          for (const auto& key : stored) CHECK(knows(move.keys, key));
          stored.insert(writer(move.keys));
          seen.storedAnew = seen.storedAnew && writer(*seen.keys) == writer(move.keys);
          seen.keys = move.keys;
        }
      }
    }
}

TEST_CASE("the file says in Kubernetes' words what it was made of, and is read back") {
  const auto keys = of({"key2", "key1", "identity"});
  const auto text = emit(keys);
  CHECK(text == "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources:\n  - secrets\n  providers:\n"
                "  - secretbox:\n      keys:\n      - name: key2\n        secret: a2V5Mg==\n  - secretbox:\n      keys:\n      - name: key1\n        secret: a2V5MQ==\n  - identity: {}\n");
  CHECK(emit(parse(text, "encryption.yaml")) == text);
  CHECK(digest(keys).find("a2V5") == std::string::npos);
  CHECK_THROWS_AS(parse("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n  - kms: {name: a}\n", "x"), Error);
  CHECK_THROWS_AS(parse("kind: EncryptionConfiguration\nresources: []\n", "x"), Error);
}
