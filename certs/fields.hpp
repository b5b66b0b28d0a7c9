#pragma once

#include "support/error.hpp"
#include "support/time.hpp"
#include "support/value.hpp"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::certs {

/// One JSON document, as strict as its writer may wish: a member that stands there twice, more than a megabyte, and more than 32
/// levels are errors. Throws Problems naming `source`.
Value parseStrictJson(std::string_view text, std::string_view source);

/// Takes the members of one JSON object by name, and tells all that is wrong with them: another type, a name that nobody asked for.
/// Upper and lower case are alike in names, as for Go's reader, whose documents these are.
class Fields {
public:
  /// `path` is the object's own ("names[0]"), `where` the file; both are for problems.
  Fields(const Value& object, std::string path, std::string where, std::vector<Problem>& problems);

  std::string string(std::string_view name, std::string otherwise = {});
  int integer(std::string_view name, int otherwise);
  bool boolean(std::string_view name);
  std::vector<std::string> strings(std::string_view name);
  /// A time span as Go writes it ("8760h"), of more than nothing; nothing when it is not there.
  std::optional<Duration> duration(std::string_view name);
  /// The member as it is, if it is there and not null.
  const Value* any(std::string_view name);
  const Value* object(std::string_view name);
  const Value* array(std::string_view name);
  /// A member of cfssl's that cannot be honoured here: an error unless it says nothing (null, "", 0, false, [] or {}).
  void refuse(std::string_view name, std::string_view why);
  /// Call it at last: what has not been asked for is unknown.
  void done();

  void problem(std::string_view name, std::string message, std::string expected = {});
  std::string path(std::string_view name) const;

private:
  const Value& object_;
  std::string path_, where_;
  std::vector<Problem>& problems_;
  std::set<std::string> taken_;
  std::vector<std::string> known_;
};

} // namespace kubestrap::certs
