#include "phases/encryption.hpp"

#include "manifests/security.hpp"
#include "support/encoding.hpp"
#include "support/error.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kubestrap::phases::encryption {

namespace {

constexpr std::string_view apiVersion = "apiserver.config.k8s.io/v1", kind = "EncryptionConfiguration", keyPrefix = "key";

int numberOf(const Provider& provider) {
  int number = 0;
  if (provider.key.starts_with(keyPrefix)) std::from_chars(provider.key.data() + keyPrefix.size(), provider.key.data() + provider.key.size(), number);
  return number;
}

Provider identity() { return {.name = "identity", .key = {}, .secret = {}}; }

Provider another(const Keys& keys, const std::string& provider, const Secret& secret) {
  int last = 0;
  for (const auto& each : keys.providers) last = std::max(last, numberOf(each));
  return {.name = provider, .key = fmt::format("{}{}", keyPrefix, last + 1), .secret = secret};
}

[[noreturn]] void foreign(const std::string& source, const std::string& what) {
  throw Error(fmt::format("{}: {}, which kubestrap does not write", source, what), "what was made by hand goes on by hand, with apiServer.extraArgs");
}

void take(const Value& provider, const std::string& source, Keys& keys) {
  if (!provider.is_object() || provider.size() != 1) foreign(source, "a provider has more than one name");
  const auto only = provider.begin();
  const std::string& name = only.key();
  const Value& content = only.value();
  if (name == "identity") return keys.providers.push_back(identity());
  const auto* list = find(content, "keys");
  if ((name != "secretbox" && name != "aescbc" && name != "aesgcm") || !list || !list->is_array()) foreign(source, fmt::format("there is a provider {}", name));
  for (const auto& key : *list) keys.providers.push_back({.name = name, .key = stringAt(key, "name"), .secret = Secret(stringAt(key, "secret"))});
}

/// What is there, in another order: identity first, or last.
Keys withIdentity(Keys keys, bool first) {
  std::erase_if(keys.providers, [](const Provider& each) { return !each.encrypts(); });
  keys.providers.insert(first ? keys.providers.begin() : keys.providers.end(), identity());
  return keys;
}

std::vector<Provider> encrypting(const Keys& keys) {
  auto all = keys.providers;
  std::erase_if(all, [](const Provider& each) { return !each.encrypts(); });
  return all;
}

std::string keyDigest(const Provider& provider) {
  return provider.encrypts() ? sha256Hex(fmt::format("{} {} {}", provider.name, provider.key, provider.secret.reveal())) : "";
}

Move known(const Wish& wish) {
  Keys keys{.resources = wish.encryption->resources, .providers = {identity()}};
  keys.providers.push_back(another(keys, wish.encryption->provider, wish.secret));
  return {Does::file, std::move(keys)};
}

/// A key encrypts: onward to the next one, if there is one or has to be.
Move rotated(const Wish& wish, const Seen& seen) {
  const auto& keys = *seen.keys;
  const auto all = encrypting(keys);
  if (all.size() == 1) {
    if (wish.rotates || all.front().name != wish.encryption->provider) {
      auto more = keys;
      more.providers.insert(more.providers.begin() + 1, another(keys, wish.encryption->provider, wish.secret));
      return {Does::file, std::move(more)};
    }
    return {seen.configured || seen.storedAnew ? Does::nothing : Does::store};
  }
  const auto newest = std::ranges::max_element(all, {}, numberOf);
  if (newest != all.begin()) { // it is known everywhere by now
    auto turned = keys;
    const auto at = std::ranges::find(turned.providers, newest->key, &Provider::key);
    std::rotate(turned.providers.begin(), at, at + 1);
    return {Does::file, std::move(turned)};
  }
  if (!seen.storedAnew) return {Does::store};
  return {Does::file, {.resources = keys.resources, .providers = {*newest, identity()}}};
}

Move on(const Wish& wish, const Seen& seen) {
  if (!seen.keys) return known(wish);
  const auto& keys = *seen.keys;
  if (keys.providers.empty()) return known(wish);
  if (keys.providers.front().encrypts()) return seen.flagged ? rotated(wish, seen) : Move{}; // what lies encrypted is read again when API servers are told the file
  // Until API servers are told the file nothing lies encrypted, and the key may be another one.
  const auto all = encrypting(keys);
  const bool fits = all.size() == 1 && all.front().name == wish.encryption->provider && keys.resources == wish.encryption->resources;
  if (!seen.flagged) return fits ? Move{} : known(wish);
  return {Does::file, withIdentity(keys, false)};
}

Move off(const Seen& seen) {
  if (!seen.keys) return {};
  if (!seen.flagged) return {Does::forget};
  if (seen.keys->providers.front().encrypts()) return {Does::file, withIdentity(*seen.keys, true)};
  return {seen.storedAnew ? Does::nothing : Does::store};
}

} // namespace

Keys parse(std::string_view text, const std::string& source) {
  const auto document = parseYamlValue(text, source);
  const auto* groups = find(document, "resources");
  if (stringAt(document, "kind") != kind || !groups || !groups->is_array() || groups->size() != 1) foreign(source, "there is not one list of resources");
  const auto& group = groups->front();
  Keys keys;
  for (const auto& each : group.value("resources", Value::array())) keys.resources.push_back(each.get<std::string>());
  for (const auto& each : group.value("providers", Value::array())) take(each, source, keys);
  if (keys.providers.empty()) foreign(source, "there is no provider");
  return keys;
}

std::string emit(const Keys& keys) {
  Value providers = Value::array();
  for (const auto& each : keys.providers) {
    Value content = Value::object();
    if (each.encrypts()) content["keys"] = Value::array({Value::object({{"name", each.key}, {"secret", each.secret.reveal()}})});
    providers.push_back(Value::object({{each.name, std::move(content)}}));
  }
  return emitYaml(Value::object({{"apiVersion", apiVersion},
                                 {"kind", kind},
                                 {"resources", Value::array({Value::object({{"resources", keys.resources}, {"providers", std::move(providers)}})})}}));
}

std::string describe(const Keys& keys) {
  std::vector<std::string> names;
  for (const auto& each : keys.providers) names.push_back(each.encrypts() ? each.key : each.name);
  return join(names, ", ");
}

bool hasKey(const Keys& keys) { return !encrypting(keys).empty(); }

Keys withoutKeys(const Keys& keys) { return {.resources = keys.resources, .providers = {identity()}}; }

bool rotates(const Keys& keys) { return encrypting(keys).size() > 1; }

std::string digest(const Keys& keys) { return sha256Hex(emit(keys)); }

std::string writer(const Keys& keys) { return digest({.resources = keys.resources, .providers = {keys.providers.front()}}); }

std::string writingKey(const Keys& keys) { return keyDigest(keys.providers.front()); }

bool canRead(const Keys& keys, const std::string& writingKey) { return writingKey.empty() || std::ranges::find(keys.providers, writingKey, keyDigest) != keys.providers.end(); }

Keys first(const config::EncryptionAtRest& wished, const Secret& secret) {
  Keys keys{.resources = wished.resources, .providers = {}};
  keys.providers = {another(keys, wished.provider, secret), identity()};
  return keys;
}

plan::Resources begun(const config::Setup& setup) {
  const auto& encryption = setup.cluster.kubestrap.encryption;
  if (!encryption || setup.request.encryptionKey.empty()) return {};
  return {plan::File{.path = manifests::encryptionFile(setup.cluster), .content = emit(first(*encryption, setup.request.encryptionKey)), .mode = 0600,
                     .compare = plan::Compare::presence, .secrecy = plan::Secrecy::secret}};
}

Move next(const Wish& wish, const Seen& seen) { return wish.encryption ? on(wish, seen) : off(seen); }

} // namespace kubestrap::phases::encryption
