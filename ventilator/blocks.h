// The input of --pipe: jobs whose stdin is a block of it. Blocks of a stream are kept until their jobs have succeeded, small ones in the job itself, larger ones
// in files of the run directory (inputs/JOB); parts of files stay where they are. Owned by the Input.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ventilator/arguments.h"
#include "ventilator/block_cutter.h"
#include "ventilator/file_parts.h"
#include "ventilator/job_source.h"

namespace ventilator {

// 64 bits that stand for `bytes`; `seed`: of what stands before them. Quick, and no protection against whoever wants two contents to have the same.
std::uint64_t block_mark(std::string_view bytes, std::uint64_t seed = 0);

class Blocks {
 public:
  using State = SourceState;
  static constexpr std::size_t kInline = 4096;  // bytes of a block that is kept in its job

  struct Config {
    std::string run_directory;
    bool is_named = false;    // the job gets the name of the file as its value
    bool is_synced = false;   // files survive the loss of power
  };
  Blocks(BlockCutter cutter, Config config, int fd = 0);
  Blocks(FileParts parts, Config config) : source_(std::move(parts)), config_(std::move(config)) {}

  // As Input's.
  int fd() const;
  State read(std::size_t max_jobs, std::size_t max_bytes);
  std::span<const Arguments> jobs() const { return jobs_; }
  const base::Error& error() const { return *error_; }
  std::string text() const;

  // Of the jobs above `accepted` that the last read() brought: what they need of the run directory is there. May be called again after Full.
  base::Status store(base::JobId accepted);
  // Files of blocks that belong to no accepted job: what a crash has left.
  static void drop_leftovers(const std::string& run_directory, base::JobId accepted);
  // Bytes of stdin that the last read() brought.
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Stream {
    BlockCutter cutter;
    int fd;
    bool is_always_ready = false, is_at_end = false;
  };
  struct Block {  // beside its Arguments
    std::string header, copy, path;
    std::string_view bytes;
    base::InputFile input;  // without a path: the bytes are in the job
    bool is_part = false;   // `input` is of a file of the user
    base::InputFile copied = {};  // a part of the user's file that `path` is to be a copy of
  };

  State read_stream(Stream& stream, std::size_t max_jobs, std::size_t max_bytes);
  State read_parts(FileParts& parts, std::size_t max_jobs);
  bool fill(Stream& stream);
  Block& add();
  void finish(Block& block);
  std::string path_of(base::JobId job) const;
  base::Status write_file(const Block& block) const;
  base::Status copy_part(const Block& block, int file) const;

  std::variant<Stream, FileParts> source_;
  Config config_;
  std::deque<Block> blocks_;  // of the last read
  std::vector<Arguments> jobs_;
  base::JobId number_ = 0;    // of the last one given
  std::size_t stored_ = 0;    // of blocks_
  std::uint64_t bytes_ = 0;
  bool has_more_ = false;     // that needs no reading
  bool has_folder_ = false;
  std::optional<base::Error> error_;
};

}  // namespace ventilator
