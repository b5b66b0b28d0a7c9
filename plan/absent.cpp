// What must not be on this machine.
#include "plan/kinds.hpp"

#include <algorithm>

namespace kubestrap::plan {

namespace {

using Depth = Absent::Depth;

bool isBelow(const Path& path, const Path& folder) {
  const auto rest = path.lexically_relative(folder);
  return !rest.empty() && *rest.begin() != ".." && rest != ".";
}

bool isKept(const Absent& wanted, const Path& path) { return wanted.keep.contains(path); }

bool keepsBelow(const Absent& wanted, const Path& folder) {
  return std::any_of(wanted.keep.begin(), wanted.keep.end(), [&](const Path& each) { return isBelow(each, folder); });
}

/// The outermost paths that have to go: everything at or below `path` but what is kept and the folders above that.
void collect(const Absent& wanted, const Path& path, host::Host& host, std::vector<Path>& doomed) {
  if (isKept(wanted, path) && !keepsBelow(wanted, path)) {
    const auto status = host.status(path);
    // A folder that was there before may have got something new.
    if (status && status->type == host::FileStatus::Type::folder)
      for (const auto& name : host.list(path)) collect(wanted, path / name, host, doomed);
    return;
  }
  if (!keepsBelow(wanted, path)) return doomed.push_back(path);
  for (const auto& name : host.list(path)) collect(wanted, path / name, host, doomed);
}

std::vector<Path> doomedBy(const Absent& wanted, host::Host& host) {
  std::vector<Path> doomed;
  const auto status = host.status(wanted.path);
  if (!status) return doomed;
  if (wanted.depth != Depth::content) {
    collect(wanted, wanted.path, host, doomed);
    return doomed;
  }
  if (status->type != host::FileStatus::Type::folder) return doomed;
  for (const auto& name : host.list(wanted.path)) collect(wanted, wanted.path / name, host, doomed);
  return doomed;
}

/// Whether a folder is empty, or would be once the plan so far was carried out.
bool isOrWillBeEmpty(const Path& folder, const Context& context) {
  const auto names = context.world.host.list(folder);
  return std::all_of(names.begin(), names.end(),
                     [&](const auto& name) { return context.wouldRemove && context.wouldRemove->contains(folder / name); });
}

/// Whether the plan so far has removed it, or a folder above it.
bool wouldBeGone(const Path& path, const Context& context) {
  if (!context.wouldRemove) return false;
  for (auto each = path; each.has_relative_path(); each = each.parent_path())
    if (context.wouldRemove->contains(each)) return true;
  return false;
}

} // namespace

Change diff(const Absent& wanted, const Context& context) {
  auto& host = context.world.host;
  Change change{.subject = subject(wanted)};
  const auto status = host.status(wanted.path);
  if (!status || wouldBeGone(wanted.path, context)) return change;
  std::vector<Path> doomed{wanted.path};
  if (wanted.depth == Depth::whenEmpty) {
    if (status->type != host::FileStatus::Type::folder || !isOrWillBeEmpty(wanted.path, context)) {
      change.reason = "something else is in it";
      return change;
    }
  } else if (wanted.depth != Depth::entry) {
    doomed = doomedBy(wanted, host);
    if (doomed.empty()) return change;
  }
  if (context.wouldRemove) context.wouldRemove->insert(doomed.begin(), doomed.end());
  change.verb = Verb::remove;
  change.reason = wanted.reason;
  change.seen = seenAt(wanted.path, host);
  return change;
}

void enact(const Absent& wanted, const Change& change, const Context& context) {
  auto& host = context.world.host;
  switch (wanted.depth) {
  case Depth::tree:
  case Depth::content:
    for (const auto& path : doomedBy(wanted, host)) host.removeTree(path);
    return;
  case Depth::entry:
  case Depth::whenEmpty: expectUnchanged(wanted.path, change.seen, host); return host.remove(wanted.path);
  }
}

} // namespace kubestrap::plan
