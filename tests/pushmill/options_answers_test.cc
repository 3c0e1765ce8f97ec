#include "pushmill/options_answers.h"

#include <catch2/catch.hpp>

using namespace pushmill;
using sink::RetryChoice;

TEST_CASE("the last word is the job or the query, one before it the directory", "[answers]") {
  JobOptions why;
  REQUIRE_FALSE(parse_why({"17"}, why));
  CHECK((why.directory.empty() && why.job == 17));
  REQUIRE_FALSE(parse_why({"run", "18"}, why));
  CHECK((why.directory == "run" && why.job == 18));
  SqlOptions sql;
  REQUIRE_FALSE(parse_sql({"SELECT 1", "--json"}, sql));
  CHECK((sql.directory.empty() && sql.query == "SELECT 1" && sql.format == Format::Json));
}

TEST_CASE("what is to be retried: a first word that is no number is the directory", "[answers]") {
  RetryOptions failed;
  REQUIRE_FALSE(parse_retry({"run"}, failed));
  CHECK((failed.directory == "run" && failed.choice.which == RetryChoice::Which::NotOk));
  RetryOptions lost;
  REQUIRE_FALSE(parse_retry({"--lost"}, lost));
  CHECK((lost.directory.empty() && lost.choice.which == RetryChoice::Which::Lost));
  RetryOptions named;
  REQUIRE_FALSE(parse_retry({"3", "5"}, named));
  CHECK((named.directory.empty() && named.choice.which == RetryChoice::Which::Named && named.choice.jobs == std::vector<base::JobId>{3, 5}));
  RetryOptions both;
  REQUIRE_FALSE(parse_retry({"./3", "5"}, both));
  CHECK((both.directory == "./3" && both.choice.jobs == std::vector<base::JobId>{5}));
}

TEST_CASE("those that tell whether a run lives, and rm of a named one, take it over when told to", "[answers]") {
  const auto takes_over = [](const auto& parse, auto options, std::vector<std::string> words) {
    auto before = options;
    REQUIRE_FALSE(parse(words, before));
    CHECK(before.take_over == io::TakeOver::No);
    words.emplace_back("--take-over");
    REQUIRE_FALSE(parse(words, options));
    return options.take_over == io::TakeOver::Yes;
  };
  CHECK(takes_over(parse_why, JobOptions{}, {"run", "1"}));
  CHECK(takes_over(parse_status, StatusOptions{}, {"run"}));
  CHECK(takes_over(parse_retry, RetryOptions{}, {"run"}));
  CHECK(takes_over(parse_remove, RemoveOptions{}, {"run"}));
}

TEST_CASE("wrong words of the answers are refused with one line", "[answers]") {
  const auto is_refused = [](const std::optional<cli::Leave>& leave) {
    return leave && leave->status == 102 && std::count(leave->text.begin(), leave->text.end(), '\n') == 1;
  };
  JobOptions job;
  RetryOptions retry;
  RemoveOptions remove;
  LogOptions log;
  CHECK(is_refused(parse_why({}, job)));
  CHECK(is_refused(parse_why({"0"}, job)));
  CHECK(is_refused(parse_why({"a", "b"}, job)));
  CHECK(is_refused(parse_why({"a", "1", "2"}, job)));
  CHECK(is_refused(parse_retry({"run", "x"}, retry)));
  CHECK(is_refused(parse_retry({"--lost", "--failed"}, retry)));
  CHECK(is_refused(parse_retry({"3", "--lost"}, retry)));
  CHECK(is_refused(parse_remove({}, remove)));
  CHECK(is_refused(parse_remove({"x", "--ended"}, remove)));
  CHECK(is_refused(parse_remove({"--ended", "--take-over"}, remove)));
  remove = {};
  CHECK(is_refused(parse_remove({"--older", "1h", "--take-over"}, remove)));
  CHECK(is_refused(parse_log({"--json", "--tsv"}, log)));
  CHECK(is_refused(parse_log({"--since", "soon"}, log)));
}
