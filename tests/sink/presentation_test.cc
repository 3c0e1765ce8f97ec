#include "sink/presentation.h"

#include "output_support.h"
#include "sink/job_fields.h"
#include "wire/codec.h"

using sink::Dress;
using sink::Presentation;
using Form = sink::Presentation::Form;
using wire::OutputStream;

namespace {

sink::Row row_of(const std::string& command, const std::string& out, const std::string& err) {
  sink::Row row = ok_row(1, out, err);
  row.result.command = command;
  row.result.started_at = 1795338217736'000;
  row.result.runtime_us = 17'000;
  return row;
}

base::Label label_of(std::vector<std::string> values, const std::string& tag = "") { return {0, tag, "", std::move(values)}; }

// What a job shows on stdout and on stderr.
std::array<std::string, 2> shown(const Presentation& how, const sink::Row& row, const base::Label& label, const std::string& name = "", bool has_begun = false) {
  std::array<std::string, 2> text;
  for (sink::Part& part : sink::present(how, row, label, "here", has_begun, name)) {
    std::string& to = text[part.to_err];
    to += part.text;
    if (part.stream) part.dress.append(*part.stream == OutputStream::Out ? row.result.out : row.result.err, to);
  }
  return text;
}

std::string tagged(std::initializer_list<std::string_view> pieces) {
  Dress dress("x", Dress::Quoting::None);
  std::string text;
  for (const std::string_view piece : pieces) dress.append(piece, text);
  return text;
}

}  // namespace

// What is expected here was written by GNU parallel 20221122.
TEST_CASE("a tag stands before each line, also one that is written again from its start", "[presentation]") {
  CHECK(tagged({"a\nb\nc"}) == "x\ta\nx\tb\nx\tc");
  CHECK(tagged({"a\n\n\nb\r\n"}) == "x\ta\nx\t\nx\t\nx\tb\rx\t\n");
  CHECK(tagged({"a\r\rb\r\n\n"}) == "x\ta\rx\t\rx\tb\rx\t\nx\t\n");
  CHECK(tagged({"a\r"}) == "x\ta\r");
  CHECK(tagged({""}) == "");
}

TEST_CASE("a tag does not depend on how its output is cut into pieces", "[presentation]") {
  const std::string text = "one\ntwo\r\n\nthree";
  const std::string whole = tagged({text});
  for (std::size_t at = 0; at <= text.size(); ++at) CHECK(tagged({std::string_view(text).substr(0, at), std::string_view(text).substr(at)}) == whole);
}

TEST_CASE("commands stand before their outputs, with the tag on stdout alone", "[presentation]") {
  const sink::Row row = row_of("echo x", "x\n", "e\n");
  CHECK(shown({.tags = true, .commands = true}, row, label_of({}, "t")) == std::array<std::string, 2>{"t\techo x\nt\tx\n", "t\te\n"});
  CHECK(shown({.trace = true}, row, label_of({})) == std::array<std::string, 2>{"x\n", "echo x\ne\n"});
  CHECK(shown({.tags = true, .trace = true}, row, label_of({}, "t")) == std::array<std::string, 2>{"t\tx\n", "echo x\nt\te\n"});
  CHECK(shown({.commands = true}, row, label_of({}), "", true) == std::array<std::string, 2>{"x\n", "e\n"});  // it is out already
}

TEST_CASE("a line of CSV has quotes where it needs them", "[presentation]") {
  sink::Row row = row_of("echo x 1; echo \"q\\\"u,o\" >&2; exit 2", "x 1\n", "q\"u,o\n");
  row.result.outcome = base::Outcome::Failed;
  row.result.exit_code = 2;
  CHECK(shown({.form = Form::Csv}, row, label_of({"x", "1"}))[0] ==
        "1,:,1795338217.736,0.017,0,4,2,0,\"echo x 1; echo \"\"q\\\"\"u,o\"\" >&2; exit 2\",x,1,\"x 1\n\",\"q\"\"u,o\n\"\n");
  const sink::Row plain = row_of("true", "a;b", "");
  CHECK(shown({.form = Form::Csv}, plain, label_of({"a'b"}))[0] == "1,:,1795338217.736,0.017,0,3,0,0,true,a'b,a;b,\n");
  CHECK(shown({.form = Form::Tsv}, row_of("true", "a,b", "a\tb"), label_of({"y z"}))[0] == "1\t:\t1795338217.736\t0.017\t0\t3\t0\t0\ttrue\t\"y z\"\ta,b\t\"a\tb\"\n");
  CHECK(shown({.form = Form::Csv, .tags = true, .commands = true}, plain, label_of({}, "t"))[0] == "1,:,1795338217.736,0.017,0,3,0,0,true,\"t\ttrue\nt\ta;b\",\n");
}

TEST_CASE("the first line of a table names the columns", "[presentation]") {
  CHECK(sink::table_head({.form = Form::Csv}, {.values = {"a", "b"}}) == "Seq,Host,Starttime,JobRuntime,Send,Receive,Exitval,Signal,Command,V1,V2,Stdout,Stderr\n");
  const std::string names("a,\0b\0", 5);
  CHECK_THAT(sink::table_head({.form = Form::Csv}, {.destination = names, .values = {"1", "2", "3"}}), Catch::EndsWith(",Command,\"a,\",b,V3,Stdout,Stderr\n"));
  CHECK(sink::table_head({.form = Form::Tsv}, {}) == "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\tStdout\tStderr\n");
  CHECK(sink::table_head({.form = Form::Json}, {.values = {"a"}}).empty());
  CHECK(sink::table_head({}, {.values = {"a"}}).empty());
}

TEST_CASE("an object of JSON a job", "[presentation]") {
  const sink::Row row = row_of("printf \"a\\tb\"", "a/b\\\r\x01\x7f\xff\n", "q\"u\n");
  CHECK(shown({.form = Form::Json}, row, label_of({"x", "y\n"}))[0] ==
        "{ \"Seq\": 1, \"Host\": \":\", \"Starttime\": 1795338217.736, \"JobRuntime\": 0.017, \"Send\": 0, \"Receive\": 9, \"Exitval\": 0, \"Signal\": 0, "
        "\"Command\": \"printf \\\"a\\\\tb\\\"\", \"V\": [ \"x\",\"y\\u000a\" ], \"Stdout\": \"a/b\\\\\\u000d\\u0001\x7f\xff\\u000a\", \"Stderr\": \"q\\\"u\\u000a\" }\n");
  CHECK(shown({.form = Form::Json, .tags = true}, row_of("true", "x\n", ""), label_of({}, "t"))[0].find("\"Stdout\": \"t\\u0009x\\u000a\", \"Stderr\": \"\" }") != std::string::npos);
}

TEST_CASE("names are printed with their tags, and what goes to files is not", "[presentation]") {
  const sink::Row row = row_of("echo x", "x\n", "e\n");
  CHECK(shown({.form = Form::Names, .tags = true}, row, label_of({}, "t"), "/tmp/f") == std::array<std::string, 2>{"t\t/tmp/f\n", ""});
  CHECK(shown({.form = Form::Folders}, row, label_of({}), "d/1/x/stdout") == std::array<std::string, 2>{"", ""});
  CHECK(shown({.form = Form::Folders, .names = true}, row, label_of({}), "d/1/x/stdout") == std::array<std::string, 2>{"d/1/x/stdout\n", ""});
  CHECK(shown({.form = Form::Out}, row, label_of({}), "x.out") == std::array<std::string, 2>{"", "e\n"});
}

TEST_CASE("a job has the number that its user counts", "[presentation]") {
  CHECK(sink::fields_of(ok_row(7), 0, "here").number == 7);
  CHECK(sink::fields_of(ok_row(7), 3, "here").number == 3);
  CHECK(sink::label_of("").values.empty());
  CHECK(sink::label_of("not a label").tag.empty());
}
