// The lock of a role on its run directory, for as long as this object lives; the kernel frees it when the process dies, however it dies. It is close-on-exec,
// but a child that was forked and not yet has executed holds it too.
//
// A network file system may not show the lock to other hosts. There the holder that is written in the file counts as well: one on another host has the run until
// it leaves cleanly or somebody says that it is dead (TakeOver::Yes), one on this host for as long as its process lives.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/unique_fd.h"

namespace io {

enum class TakeOver { No, Yes };  // what a dead host holds

class Lock {
 public:
  static constexpr const char* kVentilator = "ventilator.lock";
  static constexpr const char* kSink = "sink.lock";

  static constexpr std::string_view kLook = "";  // in place of a program: it is held for a moment, nothing is written, and who comes meanwhile waits

  // Busy, naming the holder (its process id, host and program), when another process or Lock has it.
  static base::Result<Lock> take(const std::string& run_directory, const char* name, std::string_view program, TakeOver take_over = TakeOver::No);
  // The error that take() would give now; ok if it would succeed. Nothing is taken, and there may be no file.
  static base::Status check(const std::string& run_directory, const char* name, TakeOver take_over);
  // Who has it now: "process PID HOST PROGRAM"; none when nobody has. Likewise.
  static std::optional<std::string> holder(const std::string& run_directory, const char* name);

  Lock(Lock&&) noexcept = default;
  Lock& operator=(Lock&&) noexcept = default;
  ~Lock();

  // Whose lock was taken over: "process PID HOST PROGRAM"; empty: nobody's.
  const std::string& taken_from() const { return taken_from_; }

 private:
  Lock(UniqueFd fd, bool is_named, std::string taken_from) : fd_(std::move(fd)), is_named_(is_named), taken_from_(std::move(taken_from)) {}
  UniqueFd fd_;
  bool is_named_ = false;
  std::string taken_from_;
};

}  // namespace io
