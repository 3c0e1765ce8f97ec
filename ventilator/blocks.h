// The input of --pipe: jobs whose stdin is a block of it. Small blocks of a stream are kept in the job itself, larger ones in files of the run directory until their
// jobs have succeeded; parts of files stay where they are. Blocks may also be dealt: to so many jobs in turn, each of which reads all of its blocks once the stream
// has ended, or to one file that all jobs read. Owned by the Input.
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
#include "ventilator/spooled_file.h"

namespace ventilator {

class Blocks {
 public:
  using State = SourceState;
  static constexpr std::size_t kInline = 4096;  // bytes of a block that is kept in its job

  struct Config {
    SpoolPlace place;
    bool is_named = false;   // the job gets the name of the file as its value
    std::size_t deals_to = 0;  // so many jobs; 0: a job for each block
    bool is_shared = false;  // all is for each job; there are none of ours
    bool skips_blank = false;  // a block of white space only is no job
  };
  Blocks(BlockCutter cutter, Config config, int fd = 0);
  Blocks(FileParts parts, Config config) : source_(std::move(parts)), config_(std::move(config)) {}

  // As Input's.
  int fd() const;
  State read(std::size_t max_jobs, std::size_t max_bytes);
  std::span<Arguments> jobs() { return jobs_; }
  std::span<const Arguments> jobs() const { return jobs_; }
  const base::Error& error() const { return *error_; }
  std::string text() const;

  bool is_named() const { return config_.is_named; }
  bool is_shared() const { return config_.is_shared; }
  // Of a shared one, once read() has come to the End.
  const base::InputFile& shared() const { return shared_; }

  // What the last read() brought is in the run directory, as far as jobs above `accepted` need it there. Behind each read(); may be called again after Full.
  base::Status store(base::JobId accepted);
  // Bytes of the run directory that are a job's own.
  std::uint64_t own_bytes(const Arguments& job) const { return job.input != nullptr && job.input->path == SpooledFile::path_of(config_.place.run_directory, job.number) ? job.input->length : 0; }

 private:
  struct Stream {
    BlockCutter cutter;
    int fd;
    bool is_always_ready = false, is_at_end = false;
  };
  struct Block {  // beside its Arguments
    std::string header;
    std::string bytes_with_header;
    std::string_view bytes;  // what is in the job itself
    base::InputFile input;   // what is not
    std::optional<SpooledFile> file;  // `input`, if it is ours
  };

  State read_stream(Stream& stream, std::size_t max_jobs, std::size_t max_bytes);
  State read_parts(FileParts& parts, std::size_t max_jobs);
  bool fill(Stream& stream);
  void take(const std::string& header, const BlockCutter::Piece& piece);
  void deal(const std::string& header, const BlockCutter::Piece& piece);
  void end_dealing();
  Block& add();
  void add(SpooledFile file);

  std::variant<Stream, FileParts> source_;
  Config config_;
  std::deque<Block> blocks_;  // of the last read
  std::vector<Arguments> jobs_;
  base::JobId number_ = 0;    // of the last block
  std::size_t stored_ = 0;    // of blocks_
  std::uint64_t bytes_ = 0;   // of stdin that the last read() brought
  bool has_more_ = false;     // that needs no reading
  std::optional<SpooledFile> growing_;  // with the first pieces of a block
  std::vector<SpooledFile> dealt_;
  std::size_t turn_ = 0;      // of whom the next block is
  base::InputFile shared_;
  std::optional<base::Error> error_;
};

}  // namespace ventilator
