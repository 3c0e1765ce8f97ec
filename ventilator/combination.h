// Several sources as one: a row for each combination of theirs. The first source streams, the others are kept; sources that are linked give a row together.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "ventilator/row_source.h"

namespace ventilator {

// Sources that are read side by side: one row of each makes one row. A single source is passed on as it is.
class LinkedSources {
 public:
  using State = SourceState;
  enum class Shorter {
    Ends,     // all with it
    Repeats,  // from its start, until the longest has ended. What has to be repeated is kept
  };

  LinkedSources(std::vector<RowSource> sources, Shorter shorter);
  LinkedSources(LinkedSources&&) = default;

  int fd() const;
  // Overwrites `rows`, which are valid until the next read(). A source that has no row at all has one of an empty value, unless none of them has one.
  State read(std::size_t max_records, std::size_t max_bytes, Rows& rows);
  const base::Error& error() const { return members_[failed_].source.error(); }
  std::vector<std::string> names() const;
  std::string text() const;

 private:
  struct Member {
    RowSource source;
    std::deque<OwnedRow> rows = {};  // those from number `dropped` on
    std::size_t dropped = 0;
    bool has_ended = false;
    std::size_t count() const { return dropped + rows.size(); }
  };
  bool lacks_row(const Member& member) const { return !member.has_ended && member.count() == next_; }
  std::size_t needed() const;  // the member that is to be read before there is a further row; their number: none
  bool has_row() const;
  bool is_over() const;

  std::vector<Member> members_;
  Shorter shorter_;
  std::size_t next_ = 0;  // number of the next row
  std::size_t failed_ = 0;
  Rows read_;
};

class Combination {
 public:
  using State = SourceState;

  // REQUIRES: a group at least.
  explicit Combination(std::vector<LinkedSources> groups) : groups_(std::move(groups)), kept_(groups_.size()), position_(groups_.size(), 0) {}

  int fd() const;
  // Overwrites `rows`, which are valid until the next read(). At most one read(2), as JobSource's.
  State read(std::size_t max_rows, std::size_t max_bytes, Rows& rows);
  const base::Error& error() const { return groups_[failed_].error(); }
  std::vector<std::string> names() const;
  std::string text() const;

 private:
  bool is_keeping() const { return keeping_ < groups_.size(); }
  State keep_more(std::size_t max_rows, std::size_t max_bytes);
  void end_keeping();
  bool advance();  // false: all combinations with this row of the first source were given

  std::vector<LinkedSources> groups_;
  std::size_t keeping_ = 1;                  // the group that is read to be kept
  std::vector<std::deque<OwnedRow>> kept_;   // of all groups but the first
  std::vector<std::size_t> position_;        // in each of these
  bool has_rows_ = false;                    // one of the kept groups has one
  bool has_streamed_ = false;                // the first group has given one
  bool has_ended_ = false;                   // it has
  Rows outer_;                               // of the first group
  std::size_t next_outer_ = 0;
  std::size_t failed_ = 0;
};

}  // namespace ventilator
