// What a bundle brings: it is unpacked into a folder of ours, and from there put in its places.
#include "plan/bundle.hpp"
#include "plan/kinds.hpp"

#include "archive/image.hpp"
#include "archive/verify.hpp"
#include "config/paths.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace kubestrap::plan {

namespace {

namespace fs = std::filesystem;

/// The digest of a file of any size; nothing where there is none.
std::optional<std::string> digestOf(const Path& path, host::Host& host) {
  if (!host.status(path)) return std::nullopt;
  const auto result = host.run({.program = "sha256sum", .arguments = {path.string()}, .input = {}, .timeout = std::chrono::minutes(5)});
  if (result.exitCode != 0 || result.timedOut) throw Error(fmt::format("the digest of {} cannot be found out: {}", path.string(), trim(result.errors)));
  return result.output.substr(0, 64);
}

/// What of a bundle is not on this machine: parts, by their paths in it, and images.
struct Lacking {
  std::set<std::string> parts, images;
  bool empty() const { return parts.empty() && images.empty(); }
};

Lacking lackingOf(const UnpackBundle& wanted, const Context& context) {
  Lacking lacking;
  for (const auto& part : wanted.parts)
    if (digestOf(part.to, context.world.host) != part.sha256) lacking.parts.insert(part.part);
  for (const auto& image : wanted.images) {
    bool there = false;
    try {
      there = context.world.cri.hasImage(image);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {
      // There is no runtime yet: it may be among the parts.
    }
    if (!there) lacking.images.insert(image);
  }
  return lacking;
}

/// Writes the parts that are wanted into a folder, by their paths, which are of a closed set and lead nowhere else.
class Unpacking : public archive::Sink {
public:
  Unpacking(fs::path folder, std::set<std::string> wanted) : folder_(std::move(folder)), wanted_(std::move(wanted)) {}

  void begin(const archive::Member& member) override {
    passing_ = wanted_.contains(member.path);
    if (!passing_) return;
    const auto path = folder_ / member.path;
    fs::create_directories(path.parent_path());
    file_.open(path, std::ios::binary | std::ios::trunc);
    check(member);
  }
  void data(std::string_view bytes) override {
    if (passing_) file_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  void end(const archive::Member& member) override {
    if (!passing_) return;
    file_.close();
    check(member);
  }

private:
  void check(const archive::Member& member) const {
    if (!file_) throw Error(fmt::format("cannot write {} into {}", member.path, folder_.string()), "is its file system full?");
  }
  fs::path folder_;
  std::set<std::string> wanted_;
  std::ofstream file_;
  bool passing_ = false;
};

/// The parts of a bundle that are needed for what is lacking.
std::set<std::string> partsFor(const Lacking& lacking, const archive::Lock& lock) {
  auto parts = lacking.parts;
  for (const auto& image : lock.images)
    if (lacking.images.contains(image.name))
      for (const auto& digest : image.blobs()) parts.insert(archive::blobPath(digest));
  return parts;
}

void needRoom(const fs::path& folder, const std::set<std::string>& parts, const archive::Lock& lock) {
  std::uint64_t needed = 0;
  for (const auto& part : parts) needed += lock.find(part)->size;
  std::error_code unknown;
  const auto space = fs::space(folder, unknown);
  constexpr std::uint64_t mebibyte = 1 << 20;
  if (!unknown && space.available < needed + needed / 2) // images pass through a second file
    throw Error(fmt::format("there are {} MiB free below {}, and {} are needed to unpack the bundle", space.available / mebibyte, folder.string(), (needed + needed / 2) / mebibyte),
                "make room there", ExitCode::refused);
}

/// What keeps the packages of a machine, as far as it is asked.
struct PackageManager {
  std::string_view name;   ///< also of its own package: it is a machine's where it keeps itself
  std::string_view ending; ///< of files that it installs
  std::string_view asks;
  std::vector<std::string> query, install, remove; ///< the first answers "installed VERSION"
};
const PackageManager packageManagers[] = {
    {"dpkg", ".deb", "dpkg-query", {"--show", "--showformat", "${db:Status-Status} ${Version}\\n"}, {"--install", "--force-confold"}, {"--purge"}},
    // As dpkg does it, in whatever version it is there.
    {"rpm", ".rpm", "rpm", {"--query", "--queryformat", "installed %{VERSION}-%{RELEASE}\\n"}, {"--upgrade", "--replacepkgs", "--oldpackage"}, {"--erase"}},
};

std::string withoutEpoch(const std::string& version) { return version.substr(version.find(':') == std::string::npos ? 0 : version.find(':') + 1); }

std::optional<std::string> installedVersion(const std::string& package, const PackageManager& manager, host::Host& host) {
  auto arguments = manager.query;
  arguments.push_back(package);
  const auto result = host.run({.program = std::string(manager.asks), .arguments = std::move(arguments), .input = {}});
  const auto said = words(result.output);
  if (result.exitCode != 0 || said.size() < 2 || said[0] != "installed") return std::nullopt;
  return withoutEpoch(said[1]);
}

/// Both may be installed: the other one has no packages.
bool keepsThisMachine(const PackageManager& manager, host::Host& host) try {
  return installedVersion(std::string(manager.name), manager, host).has_value();
} catch (const Interrupted&) {
  throw;
} catch (const Error&) {
  return false; // it is not in the PATH
}

const PackageManager* managerOf(host::Host& host) {
  const auto* found = std::ranges::find_if(packageManagers, [&](const PackageManager& each) { return keepsThisMachine(each, host); });
  return found == std::end(packageManagers) ? nullptr : found;
}

archive::PackageName said(const Path& file) { return archive::packageName(file.filename().string()).value_or(archive::PackageName{}); }

/// The one that installs these files. Throws Error (refused) for a file that the machine's own does not install.
const PackageManager& managerFor(const std::vector<Path>& files, host::Host& host) {
  const auto* manager = managerOf(host);
  for (const auto& file : files)
    if (!manager || file.extension() != manager->ending)
      throw Error(fmt::format("{} cannot be installed: this machine's packages are {}", file.filename().string(), manager ? fmt::format("{}'s ({})", manager->name, manager->ending) : "neither dpkg's nor rpm's"),
                  "have a bundle made for it, without packages of another kind", ExitCode::refused);
  return *manager;
}

/// Packages that are not installed in their version.
std::vector<Path> lackingPackages(const InstallPackages& wanted, const PackageManager& manager, host::Host& host) {
  auto files = wanted.files;
  std::erase_if(files, [&](const Path& file) { return installedVersion(said(file).name, manager, host) == withoutEpoch(said(file).version); });
  return files;
}

} // namespace

Path keptProgram(const Path& program) { return config::paths::state / "before" / replaceAll(program.string().substr(1), "/", "-"); }

std::vector<std::string> newPackages(const InstallPackages& wanted, host::Host& host) {
  std::vector<std::string> names;
  const auto& manager = managerFor(wanted.files, host);
  for (const auto& file : wanted.files)
    if (auto name = said(file).name; !installedVersion(name, manager, host)) names.push_back(std::move(name));
  return names;
}

Change needed(const UnpackBundle& wanted, const Context& context) {
  Change change{.subject = subject(Task{wanted})};
  std::vector<Path> packages; // before anything of it is written
  for (const auto& part : wanted.parts)
    if (archive::kindOf(part.part) == archive::Kind::package) packages.push_back(part.to);
  if (!packages.empty()) managerFor(packages, context.world.host);
  const auto lacking = lackingOf(wanted, context);
  if (lacking.empty()) return change;
  change.verb = Verb::run;
  change.reason = fmt::format("{} of {} parts and {} of {} images are not here", lacking.parts.size(), wanted.parts.size(), lacking.images.size(), wanted.images.size());
  return change;
}

void perform(const UnpackBundle& wanted, const Change& change, const Context& context) {
  const auto lacking = lackingOf(wanted, context);
  const archive::Reader head(wanted.file);
  if (head.lockDigest() != wanted.lockDigest) throw Error(fmt::format("{} is not what was verified just now", wanted.file.string()), "run the command again");
  const auto parts = partsFor(lacking, head.lock());
  fs::remove_all(wanted.folder);
  fs::create_directories(wanted.folder);
  fs::permissions(wanted.folder, fs::perms(0700));
  needRoom(wanted.folder, parts, head.lock());
  Unpacking unpacking(wanted.folder, parts);
  const auto began = std::chrono::steady_clock::now();
  try {
    archive::verify({wanted.file, wanted.base}, {}, unpacking, archive::Alone::no, [&](std::uint64_t done, std::uint64_t of) {
      if (context.reporter)
        context.reporter->waiting(context.phase, change, std::chrono::steady_clock::now() - began, host::pullPatience, fmt::format("{} of {} MiB", done >> 20, of >> 20));
    });
  } catch (...) {
    fs::remove_all(wanted.folder);
    throw;
  }
  std::ofstream(wanted.folder / archive::lockName) << head.lockText();
}

Change needed(const InstallPart& wanted, const Context& context) {
  Change change{.subject = subject(Task{wanted})};
  const auto found = digestOf(wanted.to, context.world.host);
  if (found == wanted.sha256) return change;
  change.verb = found ? Verb::update : Verb::create;
  change.reason = found ? "is another one" : "missing";
  return change;
}

void perform(const InstallPart& wanted, const Change&, const Context& context) {
  auto& host = context.world.host;
  const auto mode = fmt::format("{:04o}", wanted.mode);
  // The journal has named the copy already; the one that was there first is the one to keep.
  if (const auto kept = keptProgram(wanted.to); host.status(wanted.to) && !host.status(kept)) {
    runOrThrow(host, "install", {"-D", "-p", "-m", "0600", wanted.to.string(), kept.string() + ".part"}, "is there room below /var/lib/kubestrap?");
    host.rename(kept.string() + ".part", kept);
  }
  const auto beside = wanted.to.parent_path() / (host::leftoverPrefix(wanted.to.filename().string()) + "new");
  runOrThrow(host, "install", {"-D", "-m", mode, wanted.from.string(), beside.string()}, "is there room on its file system?");
  if (digestOf(beside, host) != wanted.sha256) throw Error(fmt::format("{} was not written whole", beside.string()), "is there room on its file system?");
  host.rename(beside, wanted.to);
}

Change needed(const InstallPackages& wanted, const Context& context) {
  Change change{.subject = subject(Task{wanted})};
  auto& host = context.world.host;
  const auto lacking = lackingPackages(wanted, managerFor(wanted.files, host), host);
  if (lacking.empty()) return change;
  std::vector<std::string> names;
  for (const auto& file : lacking) names.push_back(said(file).name);
  change.verb = Verb::run;
  change.reason = fmt::format("not installed in their versions: {}", join(names, ", "));
  return change;
}

void perform(const InstallPackages& wanted, const Change&, const Context& context) {
  auto& host = context.world.host;
  const auto& manager = managerFor(wanted.files, host);
  auto arguments = manager.install;
  for (const auto& file : lackingPackages(wanted, manager, host)) arguments.push_back(file.string());
  const auto result = host.run({.program = std::string(manager.name), .arguments = std::move(arguments), .input = {}, .timeout = std::chrono::minutes(10)});
  if (result.timedOut || result.exitCode != 0)
    throw Error(fmt::format("the packages cannot be installed: {}", result.timedOut ? fmt::format("{} did not end in time", manager.name) : std::string(trim(result.errors))),
                "add what they depend on to the bundle, in packages/");
}

Change needed(const RemovePackages& wanted, const Context& context) {
  Change change{.subject = subject(Task{wanted})};
  const auto* manager = managerOf(context.world.host);
  for (const auto& name : wanted.names)
    if (manager && installedVersion(name, *manager, context.world.host)) {
      change.verb = Verb::remove;
      change.reason = "installed by kubestrap";
    }
  return change;
}

void perform(const RemovePackages& wanted, const Change&, const Context& context) {
  const auto* manager = managerOf(context.world.host);
  if (!manager) return;
  auto arguments = manager->remove;
  arguments.insert(arguments.end(), wanted.names.begin(), wanted.names.end());
  const auto result = context.world.host.run({.program = std::string(manager->name), .arguments = std::move(arguments), .input = {}, .timeout = std::chrono::minutes(5)});
  if (result.timedOut || result.exitCode != 0) throw Error(fmt::format("{} cannot be removed: {}", join(wanted.names, ", "), trim(result.errors)), "what depends on it was installed since");
}

Path imageArchive(const LoadImage& load) {
  const auto target = load.layout / "image.tar";
  const auto lockFile = load.layout / archive::lockName;
  std::string text;
  const auto next = archive::bytesOf(lockFile);
  for (auto piece = next(); !piece.empty(); piece = next()) text += piece;
  const auto lock = archive::parseLock(text, lockFile.string());
  const auto image = std::ranges::find(lock.images, load.image, &archive::Image::name);
  if (image == lock.images.end()) throw Error(fmt::format("the bundle has no image {}", load.image));
  archive::writeImage(*image, lock, load.layout / archive::rowOf(archive::Kind::blob).folder, target);
  return target;
}

} // namespace kubestrap::plan
