#include "sink/joblog.h"

#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "output_support.h"
#include "wire/codec.h"

using base::Outcome;
using sink::Joblog;
using sink::ResultLog;
using sink::Row;

namespace {

const std::string kHeader = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

// `started` and `runtime` in milliseconds.
Row row(base::JobId job, const std::string& command, std::int64_t started, std::uint64_t runtime, std::uint64_t received, Outcome outcome,
        std::int32_t exit_code, std::int32_t signal) {
  Row made = ok_row(job);
  made.result.command = command;
  made.result.started_at = started * 1000;
  made.result.runtime_us = runtime * 1000;
  made.result.out_bytes = received;
  made.result.outcome = outcome;
  made.result.exit_code = exit_code;
  made.result.signal = signal;
  return made;
}

Joblog open_joblog(const std::string& path, ResultLog& log) {
  auto joblog = Joblog::open(path, "here", log);
  if (!joblog) FAIL(joblog.error().message);
  return std::move(*joblog);
}

// One batch as the shell does it, up to the commit.
void add(Joblog& joblog, ResultLog& log, base::JobId job) {
  joblog.add(ok_row(job));
  log.finish(ok_row(job));
  const auto mark = joblog.flush();
  if (!mark) FAIL(mark.error().message);
  log.joblog(*mark);
}

// The same with one that is appended to: the mark goes into the next batch.
void commit_and_add(Joblog& joblog, ResultLog& log, base::JobId job) {
  REQUIRE(joblog.follows_commit());
  joblog.add(ok_row(job));
  log.finish(ok_row(job));
  commit(log);
  const auto mark = joblog.flush();
  if (!mark) FAIL(mark.error().message);
  log.joblog(*mark);
}

std::string line(base::JobId job) { return sink::joblog_line(ok_row(job), "here"); }

}  // namespace

// The expected lines were written by GNU parallel 20221122 for these jobs.
TEST_CASE("joblog lines equal those of GNU parallel", "[joblog]") {
  const auto line = [](const Row& made) { return sink::joblog_line(made, "here"); };
  CHECK(line(row(1, "echo hi", 1795301505117, 0, 3, Outcome::Ok, 0, 0)) == "1\t:\t1795301505.117\t     0.000\t0\t3\t0\t0\techo hi\n");
  CHECK(line(row(2, "exit 3", 1795301505120, 2, 0, Outcome::Failed, 3, 0)) == "2\t:\t1795301505.120\t     0.002\t0\t0\t3\t0\texit 3\n");
  CHECK(line(row(8, "sleep 0.2", 1795301505149, 203, 0, Outcome::Ok, 0, 0)) == "8\t:\t1795301505.149\t     0.203\t0\t0\t0\t0\tsleep 0.2\n");
  CHECK(line(row(9, "head -c 2000000 /dev/zero", 1795301505366, 5, 2000000, Outcome::Ok, 0, 0)) ==
        "9\t:\t1795301505.366\t     0.005\t0\t2000000\t0\t0\thead -c 2000000 /dev/zero\n");
  CHECK(line(row(1, "sleep 12.5; exit 300 ", 1795301522475, 12502, 0, Outcome::Failed, 44, 0)) ==
        "1\t:\t1795301522.475\t    12.502\t0\t0\t44\t0\tsleep 12.5; exit 300 \n");
}

TEST_CASE("a job killed by a signal has exit value 0 and the signal", "[joblog]") {
  CHECK(sink::joblog_line(row(3, "kill -9 $$", 1795301505125, 0, 0, Outcome::Failed, 0, 9), "here") ==
        "3\t:\t1795301505.125\t     0.000\t0\t0\t0\t9\tkill -9 $$\n");
  CHECK(sink::joblog_line(row(3, "kill -SEGV $$", 1795301509816, 3, 0, Outcome::Failed, 139, 11), "here") ==
        "3\t:\t1795301509.816\t     0.003\t0\t0\t0\t11\tkill -SEGV $$\n");
}

TEST_CASE("a job that ran out of memory is shown as one killed by a signal, or with the status its shell gave", "[joblog]") {
  CHECK(sink::joblog_line(row(3, "x", 1795301505125, 0, 0, Outcome::Oom, 0, 9), "here") == "3\t:\t1795301505.125\t     0.000\t0\t0\t0\t9\tx\n");
  CHECK(sink::joblog_line(row(3, "x", 1795301505125, 0, 0, Outcome::Oom, 137, 0), "here") == "3\t:\t1795301505.125\t     0.000\t0\t0\t137\t0\tx\n");
}

TEST_CASE("a job ended by its time limit has -1 and the signal, or the status it still gave", "[joblog]") {
  CHECK(sink::joblog_line(row(1, "sleep 3", 1795301505526, 1595, 0, Outcome::Timeout, 0, 15), "here") ==
        "1\t:\t1795301505.526\t     1.595\t0\t0\t-1\t15\tsleep 3\n");
  CHECK(sink::joblog_line(row(1, "trap \"\" TERM;sleep 12", 1795301507404, 2132, 0, Outcome::Timeout, 0, 9), "here") ==
        "1\t:\t1795301507.404\t     2.132\t0\t0\t-1\t9\ttrap \"\" TERM;sleep 12\n");
  CHECK(sink::joblog_line(row(1, "trap \"exit 3\" TERM; sleep 12 & wait", 1795301965534, 1594, 0, Outcome::Timeout, 3, 0), "here") ==
        "1\t:\t1795301965.534\t     1.594\t0\t0\t3\t0\ttrap \"exit 3\" TERM; sleep 12 & wait\n");
  CHECK(sink::joblog_line(row(2, "trap \"exit 0\" TERM; sleep 12 & wait", 1795301967884, 1171, 0, Outcome::Timeout, 0, 0), "here") ==
        "2\t:\t1795301967.884\t     1.171\t0\t0\t-1\t0\ttrap \"exit 0\" TERM; sleep 12 & wait\n");
}

TEST_CASE("newlines of a command become NUL and tabs stay, as in GNU parallel", "[joblog]") {
  constexpr char kLine[] = "1\t:\t1795301522.260\t     0.000\t0\t4\t0\t0\techo a\0echo b\n";
  const std::string expected(kLine, sizeof kLine - 1);
  CHECK(sink::joblog_line(row(1, "echo a\necho b", 1795301522260, 0, 4, Outcome::Ok, 0, 0), "here") == expected);
  CHECK(sink::joblog_line(row(2, "echo\tx", 1795301522263, 2, 2, Outcome::Ok, 0, 0), "here") ==
        "2\t:\t1795301522.263\t     0.002\t0\t2\t0\t0\techo\tx\n");
}

TEST_CASE("a lost job and one that failed without its command failing never read as a success", "[joblog]") {
  CHECK(sink::joblog_line(row(1, "x", 0, 0, 0, Outcome::Lost, 0, 0), "here") == "1\t:\t0.000\t     0.000\t0\t0\t-1\t9\tx\n");
  CHECK(sink::joblog_line(row(1, "x", 1000, 0, 0, Outcome::Failed, 0, 0), "here") == "1\t:\t1.000\t     0.000\t0\t0\t255\t0\tx\n");
}

TEST_CASE("another host is named, and its name cannot break the line", "[joblog]") {
  Row made = row(1, "x", 1000, 0, 0, Outcome::Ok, 0, 0);
  made.host = "node7";
  CHECK(sink::joblog_line(made, "here") == "1\tnode7\t1.000\t     0.000\t0\t0\t0\t0\tx\n");
  made.host = "a\tb\n";
  CHECK(sink::joblog_line(made, "here") == "1\ta?b?\t1.000\t     0.000\t0\t0\t0\t0\tx\n");
  made.host = "";
  CHECK(sink::joblog_line(made, "here") == "1\t:\t1.000\t     0.000\t0\t0\t0\t0\tx\n");
}

TEST_CASE("the start is rounded to milliseconds and the runtime cut, as in GNU parallel", "[joblog]") {
  Row made = ok_row(1);
  made.result.started_at = 1999999;
  made.result.runtime_us = 1999999;
  made.result.command = "x";
  CHECK(sink::joblog_line(made, "here") == "1\t:\t2.000\t     1.999\t0\t0\t0\t0\tx\n");
}

TEST_CASE("a new joblog has the header, then lines in the order of completion", "[joblog]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Joblog joblog = open_joblog(folder / "joblog", *log);
  CHECK(content(folder / "joblog") == kHeader);
  add(joblog, *log, 2);
  add(joblog, *log, 1);
  commit(*log);
  CHECK(content(folder / "joblog") == kHeader + line(2) + line(1));
}

TEST_CASE("a file that is not ours is overwritten", "[joblog]") {
  TemporaryFolder folder;
  std::ofstream(folder / "joblog") << kHeader << std::string(1000, 'x');
  auto log = open_log(folder.path());
  open_joblog(folder / "joblog", *log);
  CHECK(content(folder / "joblog") == kHeader);
}

TEST_CASE("what a crash left too much is cut back", "[joblog]") {
  TemporaryFolder folder, crashed;
  {
    auto log = open_log(folder.path());
    Joblog joblog = open_joblog(folder / "joblog", *log);
    add(joblog, *log, 1);
    commit(*log);
    add(joblog, *log, 2);  // in the file, not in the log
    copy_as_after_a_crash(folder, crashed);
  }
  CHECK(content(folder / "joblog") == kHeader + line(1) + line(2));
  auto log = open_log(crashed.path());
  Joblog joblog = open_joblog(folder / "joblog", *log);
  CHECK(content(folder / "joblog") == kHeader + line(1));
  add(joblog, *log, 3);
  commit(*log);
  CHECK(content(folder / "joblog") == kHeader + line(1) + line(3));
}

TEST_CASE("rows behind the mark are appended again", "[joblog]") {
  TemporaryFolder folder;
  {
    auto log = open_log(folder.path());
    Joblog joblog = open_joblog(folder / "joblog", *log);
    add(joblog, *log, 9);
    commit(*log);
    log->finish(ok_row(5));  // a start without --joblog
    log->finish(ok_row(4));
    commit(*log);
  }
  auto log = open_log(folder.path());
  Joblog joblog = open_joblog(folder / "joblog", *log);
  CHECK(content(folder / "joblog") == kHeader + line(9) + line(5) + line(4));
  add(joblog, *log, 1);
  commit(*log);
  log.reset();
  log = open_log(folder.path());
  open_joblog(folder / "joblog", *log);
  CHECK(content(folder / "joblog") == kHeader + line(9) + line(5) + line(4) + line(1));
}

// Once the joblog was begun anew, without its history, when the job of its last line was retried.
TEST_CASE("lines of retried jobs stay, the last one too", "[joblog]") {
  TemporaryFolder folder;
  std::string lines;
  const auto finish = [&](base::JobId job) {
    auto log = open_log(folder.path());
    Joblog joblog = open_joblog(folder / "joblog", *log);
    CHECK(content(folder / "joblog") == kHeader + lines);
    add(joblog, *log, job);
    commit(*log);
    CHECK(content(folder / "joblog") == kHeader + (lines += line(job)));
  };
  finish(1);
  finish(2);
  REQUIRE(ResultLog::retry(folder.path(), {sink::RetryChoice::Which::Named, {1}}, 2));
  finish(1);
  REQUIRE(ResultLog::retry(folder.path(), {sink::RetryChoice::Which::Named, {1, 2}}, 3));
  finish(2);
  finish(1);
}

TEST_CASE("the last line is missed though its job was retried: the joblog is written anew", "[joblog]") {
  TemporaryFolder folder;
  {
    auto log = open_log(folder.path());
    Joblog joblog = open_joblog(folder / "joblog", *log);
    for (base::JobId job : {1, 2}) add(joblog, *log, job);
    commit(*log);
  }
  REQUIRE(ResultLog::retry(folder.path(), {sink::RetryChoice::Which::Named, {2}}, 2));
  const std::string exchanged = kHeader + std::string(line(1).size(), 'x') + line(3);
  REQUIRE(exchanged.size() == kHeader.size() + line(1).size() + line(2).size());
  std::ofstream(folder / "joblog") << exchanged;
  auto log = open_log(folder.path());
  open_joblog(folder / "joblog", *log);
  CHECK(content(folder / "joblog") == kHeader + line(1));
}

TEST_CASE("the joblog of a retried job that stands there under another number goes on", "[joblog]") {
  TemporaryFolder folder;
  {
    auto log = open_log(folder.path());
    Joblog joblog = open_joblog(folder / "joblog", *log);
    Row row = ok_row(2);
    wire::encode_label({41, "", "", {}}, row.result.label);
    joblog.add(row);
    log->finish(Row(row));
    log->joblog(*joblog.flush());
    commit(*log);
  }
  const std::string before = content(folder / "joblog");
  REQUIRE(ResultLog::retry(folder.path(), {sink::RetryChoice::Which::Named, {2}}, 2));
  auto log = open_log(folder.path());
  Joblog joblog = open_joblog(folder / "joblog", *log);
  add(joblog, *log, 3);
  CHECK(content(folder / "joblog") == before + line(3));
}

TEST_CASE("a lost, damaged, shorter or exchanged joblog is written anew from results.db", "[joblog]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  {
    Joblog joblog = open_joblog(folder / "joblog", *log);
    for (base::JobId job : {3, 1, 2}) add(joblog, *log, job);
    commit(*log);
  }
  const std::string whole = kHeader + line(3) + line(1) + line(2);
  REQUIRE(content(folder / "joblog") == whole);
  const std::string damages[] = {"", whole.substr(0, whole.size() - 1), std::string(whole.size(), '\0'), "Seq" + std::string(whole.size(), 'x'),
                                 kHeader + std::string(whole.size() - kHeader.size(), 'x')};
  for (const std::string& damage : damages) {
    std::ofstream(folder / "joblog", std::ios::binary | std::ios::trunc) << damage;
    log.reset();
    log = open_log(folder.path());
    open_joblog(folder / "joblog", *log);
    commit(*log);
    CHECK(content(folder / "joblog") == whole);
  }
  std::filesystem::remove(folder / "joblog");
  log.reset();
  log = open_log(folder.path());
  open_joblog(folder / "other", *log);
  CHECK(content(folder / "other") == whole);
}

TEST_CASE("a full disk loses no line of the joblog, and any other error is not waited for", "[joblog]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  Joblog joblog = open_joblog(folder / "joblog", *log);
  joblog.add(ok_row(1));
  for (const int error : {ENOSPC, EDQUOT, EIO, EFBIG}) {
    const test::FaultyDisk faulty("write", "joblog", error);
    const auto refused = joblog.flush();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == (error == ENOSPC || error == EDQUOT ? base::Error::Kind::Full : base::Error::Kind::Io));
    CHECK(refused.error().message == "joblog " + (folder / "joblog") + ": cannot write to it: " + std::strerror(error));
  }
  joblog.add(ok_row(2));
  const auto mark = joblog.flush();
  REQUIRE(mark);
  CHECK(*mark == sink::JoblogMark{content(folder / "joblog").size(), 2, 2, 2});
  CHECK(content(folder / "joblog") == kHeader + line(1) + line(2));
}

TEST_CASE("a joblog that cannot be opened is an error that names it", "[joblog]") {
  TemporaryFolder folder;
  auto log = open_log(folder.path());
  const auto joblog = Joblog::open(folder / "missing/joblog", "here", *log);
  REQUIRE_FALSE(joblog);
  CHECK(joblog.error().message == "joblog " + (folder / "missing/joblog") + ": cannot write to it: No such file or directory");
}

TEST_CASE("a joblog may be a pipe", "[joblog]") {
  TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const io::UniqueFd reader(::open((folder / "pipe").c_str(), O_RDONLY | O_NONBLOCK));
  auto log = open_log(folder.path());
  Joblog joblog = open_joblog(folder / "pipe", *log);
  add(joblog, *log, 1);
  char text[1000];
  const ssize_t n = ::read(reader.get(), text, sizeof text);
  REQUIRE(n > 0);
  CHECK(std::string(text, static_cast<std::size_t>(n)) == kHeader + line(1));
}

TEST_CASE("a joblog that is to be appended to keeps what is in it", "[joblog]") {
  TemporaryFolder folder;
  const std::string path = folder / "joblog";
  {
    auto log = open_log(folder.path());
    Joblog joblog = open_joblog("+" + path, *log);  // a new one gets its first line
    commit_and_add(joblog, *log, 1);
    commit(*log);
  }
  CHECK(content(path) == kHeader + line(1));
  const TemporaryFolder other;
  std::ofstream(path, std::ios::app) << "7\thalf a line";
  const std::string before = content(path) + "\n";
  {
    auto log = open_log(other.path());
    Joblog joblog = open_joblog("+" + path, *log);
    commit_and_add(joblog, *log, 2);
    commit(*log);
  }
  CHECK(content(path) == before + line(2));
  auto log = open_log(other.path());
  Joblog joblog = open_joblog("+" + path, *log);
  CHECK(content(path) == before + line(2));
  commit_and_add(joblog, *log, 4);
  CHECK(content(path) == before + line(2) + line(4));
}

// Once such a line stood there twice: what a crash had left was taken for another run's.
TEST_CASE("a joblog that is appended to has each line once, wherever its run dies", "[joblog]") {
  // Written of the lines of two rows that are committed and not covered by a mark: all, one, half of one, half of the second, none.
  const std::string both = line(2) + line(3);
  for (const std::size_t written : {both.size(), line(2).size(), line(2).size() / 2, line(2).size() + 5, both.size() - 1, std::size_t{0}}) {
    for (const bool has_first : {true, false}) {  // a mark of a line of ours, or none yet
      TemporaryFolder folder;
      const std::string path = folder / "joblog";
      const std::string before = kHeader + "3\tnode7\tof another run\n";
      std::ofstream(path) << before;
      {
        auto log = open_log(folder.path());
        Joblog joblog = open_joblog("+" + path, *log);
        if (has_first) commit_and_add(joblog, *log, 1);
        commit(*log);
        for (const base::JobId job : {2, 3}) log->finish(ok_row(job));
        commit(*log);
      }
      const std::string mine = before + (has_first ? line(1) : "");
      REQUIRE(content(path) == mine);
      std::ofstream(path, std::ios::app) << both.substr(0, written);
      for (int start = 0; start < 2; ++start) {
        auto log = open_log(folder.path());
        Joblog joblog = open_joblog("+" + path, *log);
        CHECK(content(path) == mine + both);
        if (start == 1) commit_and_add(joblog, *log, 4);
        commit(*log);
      }
      auto log = open_log(folder.path());
      open_joblog("+" + path, *log);
      CHECK(content(path) == mine + both + line(4));
    }
  }
}

TEST_CASE("lines of others between those that a crash left, and behind them, stay", "[joblog]") {
  TemporaryFolder folder;
  const std::string path = folder / "joblog", foreign = "9\tnode7\tof another run\n";
  {
    auto log = open_log(folder.path());
    Joblog joblog = open_joblog("+" + path, *log);
    commit_and_add(joblog, *log, 1);
    commit(*log);
    for (const base::JobId job : {2, 3, 4}) log->finish(ok_row(job));
    commit(*log);
  }
  const std::string left = kHeader + line(1) + foreign + line(2) + foreign + line(4).substr(0, 9);
  std::ofstream(path) << left;
  auto log = open_log(folder.path());
  open_joblog("+" + path, *log);
  CHECK(content(path) == left + "\n" + line(3) + line(4));  // the torn one is not that of the first that is missing
}

TEST_CASE("a joblog that is appended to and was exchanged gets the lines that it has not", "[joblog]") {
  TemporaryFolder folder;
  const std::string path = folder / "joblog";
  {
    auto log = open_log(folder.path());
    Joblog joblog = open_joblog("+" + path, *log);
    for (const base::JobId job : {1, 2, 3}) commit_and_add(joblog, *log, job);
    commit(*log);
  }
  std::ofstream(path) << kHeader + line(2);
  auto log = open_log(folder.path());
  open_joblog("+" + path, *log);
  CHECK(content(path) == kHeader + line(2) + line(1) + line(3));
}

TEST_CASE("a joblog that is appended to is known again by a sink whose host has another name", "[joblog]") {
  const bool has_mark = GENERATE(true, false);
  TemporaryFolder folder;
  const std::string path = folder / "joblog";
  {
    auto log = open_log(folder.path());
    Joblog joblog = open_joblog("+" + path, *log);
    commit_and_add(joblog, *log, 1);
    if (has_mark) commit(*log);
  }
  for (const char* host : {"there", "here"}) {
    auto log = open_log(folder.path());
    REQUIRE(Joblog::open("+" + path, host, *log));
    CHECK(content(path) == kHeader + line(1));
  }
}

TEST_CASE("two runs that append to one joblog at a time keep each other's lines", "[joblog]") {
  const TemporaryFolder folder, other;
  const std::string path = folder / "joblog";
  auto log = open_log(folder.path()), other_log = open_log(other.path());
  {
    Joblog joblog = open_joblog("+" + path, *log), other_joblog = open_joblog("+" + path, *other_log);
    commit_and_add(joblog, *log, 1);
    commit_and_add(other_joblog, *other_log, 2);
    commit_and_add(joblog, *log, 3);
    commit_and_add(other_joblog, *other_log, 4);
  }
  const std::string all = content(path);
  CHECK(all.ends_with(line(1) + line(2) + line(3) + line(4)));
  log.reset();
  other_log.reset();
  log = open_log(folder.path());
  other_log = open_log(other.path());
  open_joblog("+" + path, *log);
  open_joblog("+" + path, *other_log);
  CHECK(content(path) == all);
}

TEST_CASE("a job has in the joblog the number that its user counts", "[joblog]") {
  sink::Row row = ok_row(2);
  wire::encode_label({41, "", "", {}}, row.result.label);
  CHECK(sink::joblog_line(row, "here") == "41" + line(2).substr(1));
}
