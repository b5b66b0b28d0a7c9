#include "archive/lock.hpp"

#include "support/encoding.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <set>

namespace kubestrap::archive {

namespace {

constexpr std::string_view apiVersion = "kubestrap.io/v1alpha1", kind = "BundleLock";
constexpr std::string_view digestPrefix = "sha256:";

std::string_view architectureOf(const Lock& lock, Kind of) { return rowOf(of).code == KindRow::Code::machine ? std::string_view(lock.architecture) : "any"; }

/// A record of the document, read strictly.
class Record {
public:
  Record(const Value& value, std::string place) : value_(value), place_(std::move(place)) {
    if (!value.is_object()) fail("", "is no record");
  }

  std::string text(const char* name) const {
    const auto found = value_.find(name);
    if (found == value_.end() || !found->is_string()) fail(name, "is no text");
    auto text = found->get<std::string>();
    if (text.size() > 1000 || std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) fail(name, "is no text of a line");
    return text;
  }
  std::string optionalText(const char* name) const { return value_.contains(name) ? text(name) : ""; }
  std::uint64_t number(const char* name) const {
    const auto found = value_.find(name);
    if (found == value_.end() || !found->is_number_unsigned()) fail(name, "is no size");
    return found->get<std::uint64_t>();
  }
  const Value& list(const char* name) const {
    const auto found = value_.find(name);
    if (found == value_.end() || !found->is_array()) fail(name, "is no list");
    return *found;
  }
  std::string digest(const char* name) const { return checkedDigest(name, text(name)); }
  std::vector<std::string> digests(const char* name) const {
    std::vector<std::string> all;
    for (const auto& each : list(name)) all.push_back(checkedDigest(name, each.is_string() ? each.get<std::string>() : ""));
    return all;
  }
  void only(std::initializer_list<std::string_view> names) const {
    for (const auto& [name, value] : value_.items())
      if (std::ranges::find(names, name) == names.end()) fail(name, "is not known: it was made by a newer kubestrap");
  }
  [[noreturn]] void fail(std::string_view name, std::string_view what) const {
    throw Error(fmt::format("{}{}{} {}", place_, name.empty() || place_.ends_with(": ") ? "" : ".", name, what), "have the bundle made anew");
  }

private:
  std::string checkedDigest(const char* name, std::string digest) const {
    if (!digest.starts_with(digestPrefix) || kindOf(blobPath(digest)) != Kind::blob) fail(name, "is no digest");
    return digest;
  }

  const Value& value_;
  std::string place_;
};

Value asValue(const Lock& lock, const Member& member) {
  Value value{{"path", member.path}, {"kind", rowOf(member.kind).name}};
  if (!member.version.empty()) value["version"] = member.version;
  value.update({{"size", member.size},
                {"sha256", member.sha256},
                {"mode", fmt::format("{:04o}", rowOf(member.kind).mode)},
                {"architecture", architectureOf(lock, member.kind)},
                {"licence", member.licence}});
  return value;
}

Value asValue(const Image& image) {
  Value value{{"name", image.name}};
  if (!image.version.empty()) value["version"] = image.version;
  value.update({{"licence", image.licence}, {"manifest", image.manifest}, {"configuration", image.configuration}, {"layers", image.layers}});
  return value;
}

Member parseMember(const Value& value, const Lock& lock, const std::string& place) {
  const Record record(value, place);
  record.only({"path", "kind", "version", "size", "sha256", "mode", "architecture", "licence"});
  Member member{.path = record.text("path"), .version = record.optionalText("version"), .size = record.number("size"), .sha256 = record.text("sha256"), .licence = record.text("licence")};
  const auto of = kindOf(member.path);
  if (!of) record.fail("path", fmt::format("\"{}\" is no place of a part", member.path));
  member.kind = *of;
  if (record.text("kind") != rowOf(*of).name) record.fail("kind", fmt::format("is not that of {}", member.path));
  if (record.text("mode") != fmt::format("{:04o}", rowOf(*of).mode)) record.fail("mode", fmt::format("is not that of {}", member.path));
  if (kindOf(blobPath(member.sha256)) != Kind::blob) record.fail("sha256", "is no digest");
  if (*of == Kind::blob && member.path != blobPath(member.sha256)) record.fail("sha256", fmt::format("is not what {} is called by", member.path));
  if (const auto architecture = record.text("architecture"); architecture != architectureOf(lock, *of))
    record.fail("architecture", fmt::format("of {} is {}, and that of the bundle {}", member.path, architecture, lock.architecture));
  return member;
}

Image parseImage(const Value& value, const std::string& place) {
  const Record record(value, place);
  record.only({"name", "version", "licence", "manifest", "configuration", "layers"});
  Image image{.name = record.text("name"), .version = record.optionalText("version"), .licence = record.text("licence"), .manifest = record.digest("manifest"),
              .configuration = record.digest("configuration"), .layers = record.digests("layers")};
  if (image.name.empty() || image.name.front() == '-' || image.name.find_first_of(" ,\"'\\") != std::string::npos) record.fail("name", "is no reference of an image");
  return image;
}

/// Throws unless the names rise: then none is there twice, and the same contents give the same bytes.
template <class Items, class Name> void checkOrder(const Items& items, Name name, std::string_view source, std::string_view what) {
  for (std::size_t i = 1; i < items.size(); ++i)
    if (!(items[i - 1].*name < items[i].*name))
      throw Error(fmt::format("{}: {}[{}]: {} is there twice, or not in its place", source, what, i, items[i].*name), "have the bundle made anew");
}

} // namespace

std::vector<std::string> Image::blobs() const {
  std::set<std::string> all{manifest, configuration};
  all.insert(layers.begin(), layers.end());
  return {all.begin(), all.end()};
}

const Member* Lock::find(std::string_view path) const {
  const auto found = std::ranges::lower_bound(members, path, {}, &Member::path);
  return found == members.end() || found->path != path ? nullptr : &*found;
}

std::uint64_t Lock::size() const {
  std::uint64_t sum = 0;
  for (const auto& member : members) sum += member.size;
  return sum;
}

Value asValue(const Lock& lock) {
  Value value{{"apiVersion", apiVersion}, {"kind", kind}, {"architecture", lock.architecture}};
  if (!lock.kubernetesVersion.empty()) value["kubernetesVersion"] = lock.kubernetesVersion;
  value["members"] = Value::array();
  for (const auto& member : lock.members) value["members"].push_back(asValue(lock, member));
  value["images"] = Value::array();
  for (const auto& image : lock.images) value["images"].push_back(asValue(image));
  return value;
}

std::string emitLock(const Lock& lock) { return asValue(lock).dump(1) + '\n'; }

Lock parseLock(std::string_view text, std::string_view source) {
  if (text.size() > lockLimit) throw Error(fmt::format("{} is larger than any lock file", source));
  const auto value = parseJson(text, source);
  const Record record(value, fmt::format("{}: ", source));
  if (record.text("kind") != kind || record.text("apiVersion") != apiVersion)
    throw Error(fmt::format("{} is no {} of {}", source, kind, apiVersion), "it was made by another version of kubestrap, or by something else");
  record.only({"apiVersion", "kind", "architecture", "kubernetesVersion", "members", "images"});
  Lock lock{.architecture = record.text("architecture"), .kubernetesVersion = record.optionalText("kubernetesVersion"), .members = {}, .images = {}};
  if (!isArchitecture(lock.architecture)) record.fail("architecture", fmt::format("\"{}\" is not known", lock.architecture));
  for (const auto& each : record.list("members")) lock.members.push_back(parseMember(each, lock, fmt::format("{}: members[{}]", source, lock.members.size())));
  for (const auto& each : record.list("images")) lock.images.push_back(parseImage(each, fmt::format("{}: images[{}]", source, lock.images.size())));
  checkOrder(lock.members, &Member::path, source, "members");
  checkOrder(lock.images, &Image::name, source, "images");
  for (const auto& image : lock.images)
    for (const auto& digest : image.blobs())
      if (!lock.find(blobPath(digest))) throw Error(fmt::format("{}: the image {} needs {}, which is no member", source, image.name, digest), "have the bundle made anew");
  return lock;
}

} // namespace kubestrap::archive
