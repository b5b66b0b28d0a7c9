// bundle: one file with all that machines without a network need.
#include "cmd/bundle.hpp"
#include "cmd/bundle_images.hpp"
#include "cmd/cfssl.hpp"
#include "cmd/commands.hpp"
#include "cmd/look.hpp"
#include "cmd/output.hpp"
#include "cmd/progress.hpp"

#include "archive/compare.hpp"
#include "archive/create.hpp"
#include "archive/image.hpp"
#include "archive/scratch.hpp"
#include "config/load.hpp"
#include "manifests/components.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace kubestrap::cmd {

namespace {

namespace fs = std::filesystem;
using archive::Lock;

const fs::path trustedKeysFile = "/etc/kubestrap/trusted-keys.pem";

// ---- create

struct CreateOptions {
  std::optional<std::string> from, architecture, kubernetesVersion, signKey;
  std::string criSocket = "unix:///run/containerd/containerd.sock";
  std::vector<std::string> images;
  bool offline = false, exitCode = false;
};

/// The moment that files made by a build say, where there is one; else none in particular.
std::string created() {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  return formatRfc3339(TimePoint(std::chrono::seconds(epoch ? std::strtoll(epoch, nullptr, 10) : 0)));
}

/// The images that a control plane of that version runs.
std::vector<std::string> imagesOfKubernetes(const std::string& version, Machine& machine) {
  std::vector<std::string> warnings;
  config::InitFlags flags;
  flags.kubernetesVersion = version;
  return manifests::imageList(config::loadInit({}, flags, look(machine, Judging::no), machine.random(), warnings).cluster);
}

archive::Inputs inputsFor(const CreateOptions& options) {
  archive::Inputs inputs;
  if (options.from) inputs = archive::inputsIn(*options.from);
  auto& configuration = inputs.configuration;
  if (options.architecture) configuration.architecture = *options.architecture;
  if (configuration.architecture.empty()) configuration.architecture = archive::ownArchitecture();
  if (!archive::isArchitecture(configuration.architecture)) throw Error(fmt::format("the architecture {} is not known", configuration.architecture), "amd64 or arm64", ExitCode::usage);
  if (options.kubernetesVersion) configuration.kubernetesVersion = *options.kubernetesVersion;
  if (!configuration.kubernetesVersion.empty()) configuration.kubernetesVersion = parseVersion(configuration.kubernetesVersion).tag();
  for (auto& input : inputs.files)
    if (input.member.version.empty() && (input.member.path == "bin/kubelet" || input.member.path == "bin/kubectl" || input.member.path == "bin/kubeadm"))
      input.member.version = configuration.kubernetesVersion;
  for (const auto& image : options.images) configuration.images.push_back(image);
  for (auto& image : configuration.images) image = archive::fullName(image);
  return inputs;
}

/// What a control plane of its version runs, and it lacks.
void addMissingOfKubernetes(const Lock& lock, archive::Missing& missing, Machine& machine) {
  if (lock.kubernetesVersion.empty()) return;
  for (const auto& image : imagesOfKubernetes(lock.kubernetesVersion, machine))
    if (std::ranges::none_of(lock.images, [&](const archive::Image& each) { return each.name == image; })) missing[image].push_back("Kubernetes " + lock.kubernetesVersion);
}

Value missingAsValue(const archive::Missing& missing) {
  Value list = Value::array();
  for (const auto& [image, by] : missing) list.push_back({{"name", image}, {"wantedBy", by}});
  return list;
}

/// "an add-on names an image that is not in it", one a line.
void tellMissing(const archive::Missing& missing) {
  for (const auto& [image, by] : missing) fmt::print(stderr, "warning: {} is not in the bundle, and is wanted by {}\n", image, join(by, ", "));
  if (!missing.empty()) fmt::print(stderr, "bundle create takes them as --image NAME, or as archives in images/\n");
}

ExitCode runCreate(const CreateOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1 || (!options.from && options.images.empty()))
    throw Error("say which file is made, and of what", "kubestrap bundle create FILE --from FOLDER --image NAME ...", ExitCode::usage);
  Machine machine(globals().rootfs);
  archive::Making making{.target = arguments.front(), .inputs = inputsFor(options), .key = {}, .created = created(), .tool = "kubestrap-" KUBESTRAP_VERSION};
  if (options.signKey) making.key = certs::PrivateKey::parse(Secret(readInput(machine, *options.signKey)), *options.signKey);
  const auto& configuration = making.inputs.configuration;

  const archive::Scratch exports(making.target, "exports");
  ImageSource source(options.criSocket, configuration.architecture, options.offline ? ImageSource::Pulls::no : ImageSource::Pulls::yes, machine.host());
  for (const auto& image : configuration.images) {
    const auto file = exports.folder() / fmt::format("{}.tar", making.inputs.archives.size());
    source.write(image, file);
    making.inputs.archives.push_back(file);
  }
  auto made = [&] {
    ProgressLine progress("packing");
    return archive::create(making, [&](std::uint64_t done, std::uint64_t of) { progress(done, of); });
  }();
  addMissingOfKubernetes(made.lock, made.missing, machine);

  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("BundleCreation");
    document.update({{"file", making.target.string()}, {"lockDigest", made.lockDigest}, {"signed", making.key.has_value()}, {"parts", made.lock.members.size()}, {"missingImages", missingAsValue(made.missing)}});
    printResult(document, as);
  } else {
    tellMissing(made.missing);
    fmt::print(stderr, "{}: {} parts, {} images, {} in all, {} packed; {}\n", making.target.string(), made.lock.members.size(), made.lock.images.size(), humanSize(made.lock.size()),
               humanSize(fs::file_size(making.target)), making.key ? "signed" : "not signed");
  }
  return options.exitCode && !made.missing.empty() ? ExitCode::differs : ExitCode::done;
}

// ---- inspect and verify

Value describedAs(std::string_view kind, const Lock& lock, const std::string& digest, const fs::path& file) {
  auto document = result(kind);
  document.update({{"file", file.string()}, {"lockDigest", digest}});
  document["lock"] = archive::asValue(lock);
  return document;
}

void printContents(const Lock& lock) {
  std::vector<std::vector<std::string>> rows{{"PART", "VERSION", "SIZE", "LICENCE"}};
  for (const auto& member : lock.members)
    if (member.kind != archive::Kind::blob) rows.push_back({member.path, orDash(member.version), humanSize(member.size), member.licence});
  fmt::print("{}", table(rows));
  if (lock.images.empty()) return;
  rows = {{"IMAGE", "SIZE", "LICENCE"}};
  for (const auto& image : lock.images) {
    std::uint64_t size = 0;
    for (const auto& blob : image.blobs()) size += lock.find(archive::blobPath(blob))->size;
    rows.push_back({image.name, humanSize(size), image.licence});
  }
  fmt::print("\n{}", table(rows));
}

/// Keeps the add-ons.
class Addons : public archive::Sink {
public:
  void begin(const archive::Member& member) override {
    text_ = nullptr;
    if (member.kind != archive::Kind::manifest) return;
    small_.add(member);
    text_ = &texts[member.path];
  }
  void data(std::string_view bytes) override {
    if (text_) *text_ += bytes;
  }
  void end(const archive::Member&) override {}
  std::map<std::string, std::string> texts; ///< by path

private:
  SmallParts small_;
  std::string* text_ = nullptr;
};

/// Add-ons name theirs in parts that may be the last. Whether the bundle is good is for `verify` to say.
archive::Missing missingIn(archive::Reader& bundle) {
  archive::Missing missing;
  try {
    Addons addons;
    {
      ProgressLine progress("reading");
      bundle.walk(addons, [&](std::uint64_t done, std::uint64_t of) { progress(done, of); });
    }
    missing = archive::missingImages(bundle.lock(), addons.texts);
    Machine machine(globals().rootfs);
    addMissingOfKubernetes(bundle.lock(), missing, machine);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    log::warn(fmt::format("which images are missing is not known in full: {}", error.message()));
  }
  return missing;
}

ExitCode runInspect(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw Error("say which bundle", "kubestrap bundle inspect FILE", ExitCode::usage);
  archive::Reader bundle(arguments.front());
  const auto& lock = bundle.lock();
  const auto missing = missingIn(bundle);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = describedAs("Bundle", lock, bundle.lockDigest(), bundle.file());
    document["signed"] = bundle.signature().has_value();
    if (bundle.base()) document["base"] = *bundle.base();
    document["missingImages"] = missingAsValue(missing);
    printResult(document, as);
    return ExitCode::done;
  }
  fmt::print("for {}{}{}, {} unpacked, lock file {}\n", lock.architecture, lock.kubernetesVersion.empty() ? "" : ", Kubernetes ", lock.kubernetesVersion, humanSize(lock.size()), bundle.lockDigest());
  if (bundle.base()) fmt::print("a delta: it has what the bundle with the lock file {} lacks\n", *bundle.base());
  fmt::print("{}; kubestrap bundle verify says whether all of it is good\n\n", bundle.signature() ? "signed" : "not signed");
  printContents(lock);
  tellMissing(missing);
  return ExitCode::done;
}

ExitCode runVerify(const BundleOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw Error("say which bundle", "kubestrap bundle verify FILE", ExitCode::usage);
  Machine machine(globals().rootfs);
  archive::NoSink none;
  const auto found = [&] {
    ProgressLine progress("verifying");
    return archive::verify(sourceOf(arguments.front(), options), trustedKeys(options.keys, machine), none, archive::Alone::yes, [&](std::uint64_t done, std::uint64_t of) { progress(done, of); });
  }();
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("BundleVerification");
    document.update({{"file", arguments.front()}, {"valid", true}, {"lockDigest", found.lockDigest}, {"signature", asValue(found.signature)}, {"delta", found.delta}, {"lacking", found.lacking}});
    printResult(document, as);
    return ExitCode::done;
  }
  fmt::print("{}: {} parts are whole and what the lock file says; {}\n", arguments.front(), found.lock.members.size() - found.lacking.size(), signedBy(found.signature));
  if (!found.lacking.empty()) fmt::print("{} more are in the bundle that it goes by: --base OLD verifies both\n", found.lacking.size());
  return ExitCode::done;
}

// ---- diff and delta

std::string_view name(archive::Difference::What what) {
  using What = archive::Difference::What;
  return what == What::added ? "added" : what == What::removed ? "removed" : "changed";
}

ExitCode runDiff(bool exitCode, const std::vector<std::string>& arguments) {
  if (arguments.size() != 2) throw Error("two bundles are compared", "kubestrap bundle diff OLD NEW", ExitCode::usage);
  const archive::Reader older(arguments[0]), newer(arguments[1]);
  const auto differences = archive::compare(older.lock(), newer.lock());
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("BundleDifference");
    document["items"] = Value::array();
    for (const auto& each : differences)
      document["items"].push_back({{"name", each.name}, {"change", name(each.what)}, {"before", each.before}, {"after", each.after}, {"octets", each.octets}});
    printResult(document, as);
  } else if (differences.empty()) {
    fmt::print("both hold the same\n");
  } else {
    std::vector<std::vector<std::string>> rows{{"CHANGE", "NAME", "BEFORE", "AFTER", "SIZE"}};
    for (const auto& each : differences)
      rows.push_back({std::string(name(each.what)), each.name, orDash(each.before), orDash(each.after),
                      (each.octets < 0 ? "-" : "+") + humanSize(static_cast<std::uint64_t>(std::abs(each.octets)))});
    fmt::print("{}", table(rows));
  }
  return exitCode && !differences.empty() ? ExitCode::differs : ExitCode::done;
}

ExitCode runDelta(const BundleOptions& options, const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) throw Error("say which bundle is there, which is wanted, and which file is made", "kubestrap bundle delta OLD NEW FILE", ExitCode::usage);
  Machine machine(globals().rootfs);
  ProgressLine progress("comparing");
  const auto made = archive::makeDelta(arguments[0], arguments[1], arguments[2], trustedKeys(options.keys, machine), [&](std::uint64_t done, std::uint64_t of) { progress(done, of); });
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("BundleDelta");
    document.update({{"file", arguments[2]}, {"parts", made.parts}, {"octets", made.octets}});
    printResult(document, as);
  } else {
    fmt::print(stderr, "{}: {} parts that {} lacks, {}, {} packed; it is used with --base {}\n", arguments[2], made.parts, arguments[0], humanSize(made.octets), humanSize(fs::file_size(arguments[2])), arguments[0]);
  }
  return ExitCode::done;
}

// ---- keys

ExitCode runKeygen(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw Error("say where the key shall be", "kubestrap bundle keygen FILE, which makes FILE and FILE.pub", ExitCode::usage);
  Machine machine(globals().rootfs);
  const auto file = fs::absolute(arguments.front());
  for (const auto& each : {file, fs::path(file.string() + ".pub")})
    if (machine.host().status(each)) throw Error(fmt::format("{} is there already: a key is never overwritten", each.string()), {}, ExitCode::usage);
  const auto key = certs::PrivateKey::generate(certs::KeyAlgorithm::ed25519);
  machine.host().write(file, key.pem().reveal(), 0600);
  machine.host().write(file.string() + ".pub", key.publicPem(), 0644);
  fmt::print(stderr, "{} signs, and is yours alone; {}.pub verifies: add it to {} on every machine\n", file.string(), file.string(), trustedKeysFile.string());
  return ExitCode::done;
}

std::vector<Flag> createFlags(CreateOptions& options) {
  return {{.name = "from", .into = &options.from, .doc = "A folder with bin/, cni/, units/, packages/, manifests/, images/ and bundle.yaml, each of which may be missing", .value = "FOLDER"},
          {.name = "image", .into = &options.images, .doc = "An image of the container runtime, which pulls it where it lacks it; several may be given", .value = "NAME"},
          {.name = "architecture", .into = &options.architecture, .doc = "For which machines it is", .value = "NAME", .standard = "this one's", .choices = {"amd64", "arm64", "s390x", "ppc64le"}},
          {.name = "kubernetes-version", .into = &options.kubernetesVersion, .doc = "The version of Kubernetes that it is for; images of its control plane that are missing are named", .value = "VERSION"},
          {.name = "sign-key", .into = &options.signKey, .doc = "The private key that signs the lock file: Ed25519, ECDSA or RSA, in PEM", .value = "FILE"},
          {.name = "cri-socket", .into = &options.criSocket, .doc = "The socket of containerd", .value = "URL", .standard = options.criSocket},
          {.name = "offline", .into = &options.offline, .doc = "Pull nothing"},
          {.name = "exit-code", .into = &options.exitCode, .doc = "End with 4 when images are missing that are wanted"}};
}

std::string layoutText() {
  std::string text = "A bundle is made of a folder that says by its own folders what is in them:\n";
  for (const auto& row : archive::kinds())
    if (!row.folder.empty() && row.kind != archive::Kind::blob) text += fmt::format("  {:<12}{}{}{}\n", row.folder, row.doc, row.place.empty() ? "" : ", which go to ", row.place);
  return text + "  images/     archives of images: OCI layouts, or what docker save writes\n  bundle.yaml what files cannot say: kubestrap config explain BundleConfiguration\n";
}

} // namespace

std::vector<Flag> bundleFlags(BundleOptions& options) {
  return {{.name = "base", .into = &options.base, .doc = "The older bundle that a delta goes by", .value = "OLD"},
          {.name = "key", .into = &options.keys, .doc = "A public key that it has to be signed with, in PEM; several may be given", .value = "FILE", .standard = trustedKeysFile.string() + ", if it is there"}};
}

std::vector<certs::PublicKey> trustedKeys(const std::vector<std::string>& named, Machine& machine) {
  std::vector<certs::PublicKey> keys;
  for (const auto& file : named)
    for (auto& key : certs::PublicKey::parseAll(readInput(machine, file), file)) keys.push_back(std::move(key));
  return named.empty() ? trustedKeys(machine.host()) : keys;
}

std::vector<certs::PublicKey> trustedKeys(host::Host& host) {
  if (const auto text = host.read(trustedKeysFile)) return certs::PublicKey::parseAll(*text, trustedKeysFile.string());
  return {};
}

archive::Source sourceOf(const std::string& file, const BundleOptions& options) {
  archive::Source source{file, {}};
  if (options.base) source.base = *options.base;
  return source;
}

void SmallParts::add(const archive::Member& member) {
  constexpr std::string_view remedy = "have the bundle made anew";
  if (member.size > eachLimit) throw Error(fmt::format("{} is larger than any unit or add-on", member.path), std::string(remedy));
  all_ += member.size;
  if (all_ > allLimit) throw Error(fmt::format("with {} units and add-ons are larger together than {}", member.path, humanSize(allLimit)), std::string(remedy));
}

std::string signedBy(const archive::Signature& signature) {
  using Standing = archive::Signature::Standing;
  switch (signature.standing) {
  case Standing::absent: return "it is not signed: nobody vouches for it";
  case Standing::unknown: return "it is signed, but no key is trusted here that would say by whom";
  case Standing::trusted: break;
  }
  return "signed by the trusted key " + signature.key;
}

Value asValue(const archive::Signature& signature) {
  using Standing = archive::Signature::Standing;
  Value value{{"standing", signature.standing == Standing::absent ? "absent" : signature.standing == Standing::unknown ? "unknown" : "trusted"}};
  if (!signature.key.empty()) value["key"] = signature.key;
  return value;
}

Command bundleCommand() {
  const auto create = std::make_shared<CreateOptions>();
  const auto verify = std::make_shared<BundleOptions>(), delta = std::make_shared<BundleOptions>();
  const auto exitCode = std::make_shared<bool>(false);
  return {.name = "bundle",
          .summary = "One file with all that machines without a network need: make it, look into it, verify it, compare it",
          .children = {{.name = "create",
                        .summary = "Make a bundle of files, images and add-ons",
                        .description = "Packs programs, packages, images and add-ons for one architecture into one file, with a lock file that says what each part is, and an SPDX list. "
                                       "The same inputs give the same bytes. An add-on whose images are missing is named.",
                        .details = layoutText,
                        .flags = [create] { return createFlags(*create); },
                        .arguments = "FILE",
                        .run = [create](const auto& given) { return runCreate(*create, given); }},
                       {.name = "inspect", .summary = "Show what is in a bundle, by its lock file", .arguments = "FILE", .run = runInspect},
                       {.name = "verify",
                        .summary = "Read a bundle to its end, and say whether all of it is good",
                        .description = "Every part has to be there, once, whole, what the lock file says, and for the bundle's architecture. Where a key is trusted, the lock file has to be signed with it. "
                                       "What is wrong is named.",
                        .flags = [verify] { return bundleFlags(*verify); },
                        .arguments = "FILE",
                        .run = [verify](const auto& given) { return runVerify(*verify, given); }},
                       {.name = "keygen", .summary = "Make a key that signs bundles (Ed25519): FILE, and FILE.pub that verifies", .arguments = "FILE", .run = runKeygen},
                       {.name = "diff",
                        .summary = "Show what a newer bundle adds, changes and leaves out",
                        .flags = [exitCode] { return std::vector<Flag>{{.name = "exit-code", .into = exitCode.get(), .doc = "End with 4 when they differ"}}; },
                        .arguments = "OLD NEW",
                        .run = [exitCode](const auto& given) { return runDiff(*exitCode, given); }},
                       {.name = "delta",
                        .summary = "Write what a newer bundle has and an older one lacks, for machines that have the older one",
                        .description = "Both bundles are verified. The delta carries the newer one's lock file and signature, so that it is worth as much; who uses it names the older bundle with --base.",
                        .flags = [delta] {
                          auto flags = bundleFlags(*delta);
                          std::erase_if(flags, [](const Flag& flag) { return flag.name == "base"; });
                          return flags;
                        },
                        .arguments = "OLD NEW FILE",
                        .run = [delta](const auto& given) { return runDelta(*delta, given); }},
                       bundleLoadCommand()}};
}

} // namespace kubestrap::cmd
