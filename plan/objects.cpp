// Objects of the cluster, by server-side apply (decision D11).
#include "plan/kinds.hpp"

#include "kube/jws.hpp"

#include "certs/cms.hpp"
#include "certs/seal.hpp"
#include "certs/x509.hpp"
#include "kube/client.hpp"
#include "plan/declared.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::plan {

using kube::ApiError;
using kube::Client;
using kube::ObjectKey;

Client connect(const Access& access, const Context& context) {
  Kubeconfigs once;
  const auto* kubeconfig = (context.kubeconfigs ? *context.kubeconfigs : once).read(access.kubeconfig, context.world.host);
  if (!kubeconfig)
    throw NotYet(fmt::format("{} is absent", access.kubeconfig.string()), "make it first: kubestrap init phase kubeconfig all");
  return Client(context.world.http, *kubeconfig, access.server);
}

namespace {

struct Filler {
  const Context& context;
  Client& client;
  const Value* live; ///< the value that is there now at the place to fill, or nullptr

  Value operator()(const DiscoveryKubeconfig& discovery) const {
    const auto pem = context.world.host.read(discovery.authority);
    if (!pem) throw NotYet(fmt::format("{} is absent", discovery.authority.string()));
    return kube::emitDiscoveryKubeconfig(discovery.server, authoritiesIn(*pem, discovery.authority));
  }

  Value operator()(const DiscoverySignature& signature) const {
    return kube::signDetached((*this)(signature.kubeconfig).get<std::string>(), signature.tokenId, signature.tokenSecret);
  }

  Value operator()(const SealedFile& sealed) const {
    const auto content = context.world.host.read(sealed.path);
    if (!content) return "";
    const auto key = fromHex(sealed.key.reveal());
    if (!key || key->size() != 32) throw Error("the certificate key is not 64 hexadecimal digits");
    const Secret rawKey(*key);
    if (live && live->is_string()) {
      const auto bytes = fromBase64(live->get<std::string>());
      const auto plain = bytes ? certs::unseal(*bytes, rawKey) : std::nullopt;
      if (plain && plain->reveal() == *content) return *live; // the same under another nonce
    }
    return base64(certs::seal(*content, rawKey, context.world.entropy.bytes(12)));
  }

  /// What is there already cannot be read again, and says nothing of what was in the file.
  Value operator()(const FileFor& sealed) const {
    const auto content = context.world.host.read(sealed.path);
    if (!content) throw NotYet(sealed.path.string() + " is absent");
    std::string message;
    certs::CmsWriter writer({.certificates = {sealed.certificate}, .passphrase = {}}, [&](std::string_view bytes) { message += bytes; });
    writer.write(*content);
    writer.finish();
    return base64(message);
  }

  Value operator()(const UidOf& other) const {
    const ObjectKey key{other.apiVersion, other.kind, other.nameSpace, other.name};
    const auto found = client.get(key);
    if (!found) throw NotYet(key.string() + " is absent");
    return stringAt(*found, "metadata.uid");
  }
};

Value filled(const Object& wanted, const std::optional<Value>& live, Client& client, const Context& context) {
  auto document = wanted.document;
  for (const auto& member : wanted.initialOnly)
    if (live && live->contains(member)) document[member] = live->at(member);
  for (const auto& fill : wanted.fills) {
    const Value* there = live && live->contains(fill.at) ? &live->at(fill.at) : nullptr;
    document[fill.at] = std::visit(Filler{context, client, there}, fill.with);
  }
  return document;
}

bool sameTaint(const Value& a, const Value& b) {
  return stringAt(a, "key") == stringAt(b, "key") && stringAt(a, "effect") == stringAt(b, "effect");
}

/// The taints of `live` with those of `wanted` added; nothing when none is lacking.
std::optional<Value> mergedTaints(const Value& live, const Value& wanted) {
  const auto* add = find(wanted, "spec.taints");
  if (!add || !add->is_array()) return std::nullopt;
  const auto* there = find(live, "spec.taints");
  Value merged = there && there->is_array() ? *there : Value::array();
  bool changed = false;
  for (const auto& taint : *add) {
    if (std::any_of(merged.begin(), merged.end(), [&](const Value& each) { return sameTaint(each, taint); })) continue;
    merged.push_back(taint);
    changed = true;
  }
  if (!changed) return std::nullopt;
  return merged;
}

/// The merge patch that puts labels, annotations, taints, members of data, and whether a node is closed, of `wanted` on `live`, and takes away
/// those that are null there; nothing when all is as wanted.
std::optional<Value> markPatch(const Value& live, const Value& wanted) {
  Value patch = Value::object();
  for (const auto* member : {"/metadata/labels", "/metadata/annotations", "/spec/template/metadata/annotations", "/data"}) {
    const Value::json_pointer place(member);
    if (!wanted.contains(place)) continue;
    const auto there = live.contains(place) ? live[place] : Value::object();
    for (const auto& [key, value] : wanted[place].items())
      if (value.is_null() ? there.contains(key) : !there.contains(key) || there[key] != value) patch[place][key] = value;
  }
  if (auto taints = mergedTaints(live, wanted)) patch["spec"]["taints"] = std::move(*taints);
  const auto* closed = wanted.contains("spec") && wanted["spec"].contains("unschedulable") ? &wanted["spec"]["unschedulable"] : nullptr;
  const auto* isClosed = find(live, "spec.unschedulable");
  if (closed && (closed->is_null() ? isClosed != nullptr : !isClosed || *isClosed != *closed)) patch["spec"]["unschedulable"] = *closed;
  if (patch.empty()) return std::nullopt;
  patch["metadata"]["resourceVersion"] = stringAt(live, "metadata.resourceVersion");
  return patch;
}

bool isSecret(const Object& wanted) { return wanted.secrecy == Secrecy::secret || stringAt(wanted.document, "kind") == "Secret"; }

std::string previewOf(const Object& wanted, const Value& document, const std::optional<Value>& live) {
  if (isSecret(wanted))
    return fmt::format("secret, fingerprint {}\n", sha256Hex(document.dump()).substr(0, 8));
  return lineDiff(live ? emitYaml(asDeclared(*live, document)) : "", emitYaml(document));
}

/// A document as far as it says what is wanted, and not what the server keeps of it.
Value withoutBookkeeping(Value document) {
  for (const auto* member : {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"}) document["metadata"].erase(member);
  document.erase("status");
  return document;
}

/// What the server would make of the document; nothing: it cannot be asked.
std::optional<Value> asServed(const Value& document, Client& client) {
  try {
    return client.apply(document, kube::DryRun::yes);
  } catch (const ApiError& error) {
    log::info(2, "{}: not compared by the server: {}", kube::keyOf(document).string(), error.message());
    return std::nullopt;
  }
}

/// One look at the live object; throws NotYet, ApiError, TransportError.
Change look(const Object& wanted, const Context& context) {
  const auto key = kube::keyOf(wanted.document);
  auto client = connect(wanted.access, context);
  const auto live = client.get(key);
  Change change{.subject = subject(wanted), .seen = live ? stringAt(*live, "metadata.resourceVersion") : ""};
  switch (wanted.mode) {
  case ApplyMode::absent:
    if (live) change.verb = Verb::remove, change.reason = "not wanted any more";
    return change;
  case ApplyMode::createOnly:
    if (!live) change.verb = Verb::create, change.reason = "missing", change.preview = previewOf(wanted, filled(wanted, live, client, context), live);
    return change;
  case ApplyMode::mark:
    if (!live) throw NotYet(key.string() + " is not registered yet");
    if (const auto patch = markPatch(*live, wanted.document)) {
      change.verb = Verb::update;
      change.reason = "lacks what marks it";
      auto shown = *patch;
      shown["metadata"].erase("resourceVersion");
      change.preview = emitYaml(shown);
    }
    return change;
  case ApplyMode::apply: break;
  }
  if (live && find(*live, "metadata.deletionTimestamp")) throw NotYet(key.string() + " is being deleted");
  const auto document = filled(wanted, live, client, context);
  if (!live) {
    change.verb = Verb::create;
    change.reason = "missing";
    change.preview = previewOf(wanted, document, live);
    return change;
  }
  auto differing = differences(*live, document);
  if (differing.empty()) {
    for (const auto& place : ownedButUnwanted(*live, document)) differing.push_back(place.dotted);
    if (differing.empty()) return change;
    change.reason = "no longer wanted: " + join(differing, ", ");
  } else {
    change.reason = "differs in " + join(differing, ", ");
  }
  change.verb = Verb::update;
  change.preview = previewOf(wanted, document, live);
  if (wanted.judge == Judge::engine) return change;
  const auto served = asServed(document, client);
  if (!served) return change;
  const auto before = withoutBookkeeping(*live), after = withoutBookkeeping(*served);
  if (sameDocument(before, after)) return {.subject = change.subject, .seen = change.seen};
  if (const auto places = differences(before, after); !places.empty()) change.reason = "differs in " + join(places, ", ");
  if (!isSecret(wanted)) change.preview = lineDiff(emitYaml(sorted(before)), emitYaml(sorted(after)));
  return change;
}

/// Waits until what was deleted is gone.
void awaitGone(const ObjectKey& key, const Value& deleted, const Change& change, Client& client, const Context& context) {
  const Condition gone{.what = fmt::format("{} is gone", key.string()),
                       .probe = {},
                       .patience = std::chrono::minutes(5),
                       .hint = "see which of its metadata.finalizers is left, and who was to take it off; then run the command again",
                       .fatal = {}};
  await(gone, change, context, [&]() -> std::optional<std::string> {
    const auto live = client.get(key);
    if (!live || stringAt(*live, "metadata.uid") != stringAt(deleted, "metadata.uid")) return std::nullopt;
    return "it is being deleted";
  });
}

/// Whether what would be overwritten is what was seen when it was planned: others may have changed what is none of ours. Of a secret object
/// the verdicts do not say.
bool overwritesTheSame(const Object& wanted, const Change& now, const Change& planned) {
  return !isSecret(wanted) && now.verb == planned.verb && now.reason == planned.reason && now.preview == planned.preview;
}

} // namespace

const kube::Kubeconfig* Kubeconfigs::read(const Path& path, host::Host& host) {
  const auto text = host.read(path);
  if (!text) return nullptr;
  auto& parsed = parsed_[path];
  if (auto seen = fingerprint(text); parsed.seen != seen)
    parsed = {.seen = std::move(seen), .kubeconfig = kube::parseKubeconfig(*text, path.string())};
  // The kubelet's lie in a file that comes after its kubeconfig, and is rotated.
  kube::readCredentials(parsed.kubeconfig, [&](const auto& file) { return host.read(file); });
  return &parsed.kubeconfig;
}

void withPatience(const Context& context, std::string_view what, const std::function<void()>& call) {
  auto& clock = context.world.clock;
  const auto begin = clock.now();
  constexpr auto settling = std::chrono::seconds(10);
  Duration pause = std::chrono::milliseconds(50);
  for (;;) {
    const auto elapsed = clock.now() - begin;
    std::string trouble;
    try {
      call();
      return;
    } catch (const net::TransportError& error) {
      if (!context.applying || elapsed >= context.apiPatience) throw;
      trouble = error.message();
    } catch (const ApiError& error) {
      // Rights that were granted, and namespaces that were made, a moment ago may not be seen everywhere yet.
      const bool maySettle = (error.status() == 403 || error.status() == 404 || error.status() == 401) && elapsed < settling;
      if (!context.applying || !(maySettle || (error.retriable() && elapsed < context.apiPatience))) throw;
      trouble = error.message();
    } catch (const net::GrpcError& error) {
      if (!context.applying || elapsed >= context.apiPatience || !etcd::isPassing(error)) throw;
      trouble = error.message();
    } catch (const NotYet& error) {
      if (!context.applying || elapsed >= context.apiPatience) throw;
      trouble = error.message();
    } catch (const Conflict& error) {
      if (!context.applying || elapsed >= settling) throw;
      trouble = error.message();
    }
    if (context.reporter)
      context.reporter->waiting(context.phase,
                                Change{.verb = Verb::wait, .subject = fmt::format("the cluster answers about {}", what)}, elapsed,
                                context.apiPatience, trouble);
    clock.sleep(pause);
    pause = std::min<Duration>(pause * 2, std::chrono::milliseconds(500));
  }
}

Change diff(const Object& wanted, const Context& context) {
  Change change;
  try {
    withPatience(context, subject(wanted), [&] { change = look(wanted, context); });
    return change;
  } catch (const net::TransportError&) {
    if (context.applying) throw;
    return {.verb = Verb::unknown, .subject = subject(wanted), .reason = "no API server yet"};
  } catch (const NotYet& error) {
    if (context.applying) throw;
    return {.verb = Verb::unknown, .subject = subject(wanted), .reason = error.message()};
  } catch (const ApiError& error) {
    if (context.applying) throw;
    return {.verb = Verb::unknown, .subject = subject(wanted), .reason = error.message()};
  }
}

void enact(const Object& wanted, const Change& change, const Context& context) {
  const auto key = kube::keyOf(wanted.document);
  std::optional<Change> otherwise;
  // Looks again each time: what a conflict showed to be outdated is compared anew, and nothing is overwritten unseen.
  withPatience(context, subject(wanted), [&] {
    auto client = connect(wanted.access, context);
    const auto live = client.get(key);
    const auto version = live ? stringAt(*live, "metadata.resourceVersion") : "";
    switch (wanted.mode) {
    case ApplyMode::absent:
      client.remove(key);
      if (live && wanted.awaited) awaitGone(key, *live, change, client, context);
      return;
    case ApplyMode::createOnly:
      if (!live) client.create(filled(wanted, live, client, context));
      return;
    case ApplyMode::mark:
      if (!live) throw NotYet(key.string() + " is not registered yet");
      if (const auto patch = markPatch(*live, wanted.document)) client.mergePatch(key, *patch);
      return;
    case ApplyMode::apply: break;
    }
    if (version != change.seen) {
      auto now = look(wanted, context);
      if (!now.changes()) return;
      if (!overwritesTheSame(wanted, now, change)) return void(otherwise = std::move(now));
    }
    auto document = filled(wanted, live, client, context);
    if (live && key.kind == "Job") {
      // What a Job does cannot be changed: it is made anew.
      client.remove(key);
      awaitGone(key, *live, change, client, context);
    } else if (live) {
      document["metadata"]["resourceVersion"] = version;
    }
    client.apply(document);
  });
  if (otherwise)
    throw Conflict(fmt::format("{} was changed by somebody else just now: it {}", key.string(), otherwise->reason), "run the command again");
}

} // namespace kubestrap::plan
