#include "archive/compare.hpp"

#include <map>

namespace kubestrap::archive {

namespace {

struct Thing {
  std::string version, digest;
  std::int64_t size = 0;
};

std::map<std::string, Thing> thingsOf(const Lock& lock) {
  std::map<std::string, Thing> things;
  for (const auto& member : lock.members)
    if (member.kind != Kind::blob && member.kind != Kind::list) things[member.path] = {member.version, member.sha256, static_cast<std::int64_t>(member.size)};
  for (const auto& image : lock.images) {
    auto& thing = things[image.name] = {image.version, image.manifest.substr(image.manifest.find(':') + 1), 0};
    for (const auto& blob : image.blobs()) thing.size += static_cast<std::int64_t>(lock.find(blobPath(blob))->size);
  }
  return things;
}

std::string shown(const Thing& thing, bool byDigest) { return byDigest || thing.version.empty() ? thing.digest.substr(0, 12) : thing.version; }

} // namespace

std::vector<Difference> compare(const Lock& older, const Lock& newer) {
  using What = Difference::What;
  const auto before = thingsOf(older), after = thingsOf(newer);
  std::vector<Difference> differences;
  for (const auto& [name, thing] : before) {
    const auto found = after.find(name);
    if (found == after.end()) differences.push_back({What::removed, name, shown(thing, false), "", -thing.size});
    else if (const auto& now = found->second; now.digest != thing.digest) {
      const bool sameVersion = now.version == thing.version;
      differences.push_back({What::changed, name, shown(thing, sameVersion), shown(now, sameVersion), now.size - thing.size});
    }
  }
  for (const auto& [name, thing] : after)
    if (!before.contains(name)) differences.push_back({What::added, name, "", shown(thing, false), thing.size});
  return differences;
}

} // namespace kubestrap::archive
