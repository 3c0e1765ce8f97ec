#include "examples.h"

namespace examples {
namespace {

using namespace wire;

template <typename Id>
Id id(std::uint8_t first) {
  Id value;
  for (std::uint8_t& byte : value.bytes) byte = first++;
  return value;
}

const WorkerId kWorker = id<WorkerId>(0xa0);
const Generation kGeneration{2, 3};
const Stamp kStamp{2, 5, 300};

wire::Result result() {
  wire::Result r;
  r.attempt = {17, 2, 9};
  r.outcome = Outcome::Failed;
  r.exit_code = -7;
  r.signal = 15;
  r.slot = 4;
  r.started_at = 1'700'000'000'000'001;
  r.finished_at = 1'700'000'000'250'002;
  r.runtime_us = 250'003;
  r.user_us = 1'004;
  r.system_us = 505;
  r.max_rss_kb = 70'006;
  r.out = std::string("out\0\xff\n", 6);
  r.err = "err\n";
  r.out_bytes = 6;
  r.err_bytes = 4;
  r.command = "sort < 'a b'";
  r.reason = "killed";
  r.label = "a label";
  return r;
}

wire::Result small_result() {
  wire::Result r;
  r.attempt = {18, 2, 10};
  r.slot = 1;
  r.out = "ok\n";
  r.out_bytes = 3;
  return r;
}

template <typename Direction, typename M>
Example example(std::string name, M message) {
  return {std::move(name), Direction(std::move(message))};
}

}  // namespace

base::RunId run() { return id<base::RunId>(0x10); }

std::vector<Example> messages() {
  State state{kWorker, 4, 5, "tcp://10.0.0.7:40123", "K", "node7", 8, kGeneration, 20,
              {{{17, 2, 9}, Held::Phase::Unconfirmed}, {{18, 2, 10}, Held::Phase::Running}, {{300, 2, 1000}, Held::Phase::Queued}}, 1'048'576};
  State first{kWorker, 1, 1, "tcp://10.0.0.7:40123", "", "node7", 8, {}, 0, {}};
  Open open{kStamp, "ipc:///run/u/feedback", true, 1'000'000, true, {3, 7, base::Duration(500'000), base::Duration(20'000'000), {{{3, 5}, {267, 267}, {512, 512}}}, true, true}};
  Open early{{1, 0, 1}, "inproc://feedback", false, std::nullopt, false, {}};
  return {
      example<ToSink>("STATE", state),
      example<ToSink>("STATE_first", first),
      example<ToSink>("RESULT", Results{kWorker, 4, kGeneration, 21, "node7", {result(), small_result()}}),
      example<ToSink>("BYE", Bye{kWorker, 4}),
      example<ToSink>("OUTPUT", Output{kWorker, {17, 2, 9}, OutputStream::Err, 262'144, std::string("part\0\xff", 6)}),
      example<ToSink>("OPEN", open),
      example<ToSink>("OPEN_early", early),
      example<ToSink>("ASSIGN", Assign{kStamp, kWorker, 4, kGeneration, {{{17, 2, 9}, true, "sort x", "a label"}, {{18, 2, 10}, false, ""}}}),
      example<ToSink>("GONE", Gone{kStamp, kWorker, kGeneration}),
      example<ToSink>("CLOSE", Close{kStamp}),
      example<ToVentilator>("WORKER", Worker{kStamp, kWorker, 4, 5, "tcp://10.0.0.7:40123", "K", "node7", 8, kGeneration, 20,
                                             {{17, 2, 9}, {18, 2, 10}}, true, 1'048'576}),
      example<ToVentilator>("DONE", Done{kStamp, {17, 70'000, 5'000'000'000}, {{kWorker, 4, kGeneration, 22}},
                                         {{kWorker, {{17, 2, 9}, {18, 2, 10}}}}}),
      example<ToVentilator>("REQUEUE", Requeue{kStamp, {{{17, 2, 9}, Outcome::Failed, false, 3}, {{18, 2, 10}, Outcome::Lost, true},
                                                        {{19, 1, 3}, Outcome::Superseded, false}}}),
      example<ToVentilator>("SNAPSHOT", Snapshot{kStamp, 65, std::string("\x01\x00\xfe", 3), {{{17, 2, 9}, kWorker}},
                                                 {{{18, 2, 10}, Outcome::Returned, true, 2}}, true}),
      example<ToVentilator>("END", End{kStamp, 1'000'000, 3, true}),
      example<ToVentilator>("ALIVE", Alive{kStamp}),
      example<ToVentilator>("STORED", Stored{kStamp, {{kWorker, {{{17, 2, 9}, OutputStream::Out, 524'288}, {{17, 2, 9}, OutputStream::Err, 12}}}}}),
      example<ToWorker>("JOB", Job{kWorker, 4, kGeneration, 20, 9, {{{17, 2, 9}, "spec 17"}, {{18, 2, 10}, std::string("\x00\xff", 2), 70'000}}}),
      example<ToWorker>("CTRL", Ctrl{kWorker, 4, kGeneration, 20, 5, {{17, 2, 9}, {18, 2, 10}}, true, base::Duration(500'000),
                                     base::Duration(20'000'000), true}),
      example<ToWorker>("REFUSED", Refused{kWorker, "this sink serves another run"}),
      example<ToWorker>("FREE", Free{kWorker, 4, kGeneration, {{{17, 2, 9}, OutputStream::Out, 524'288}}}),
      example<ToWorker>("INPUT", Input{kWorker, 4, kGeneration, 300'000, {18, 2, 10}, 65'536, std::string("part\0\xff", 6), ""}),
      example<ToWorker>("INPUT_faulty", Input{kWorker, 4, kGeneration, 70'000, {18, 2, 10}, 65'536, "", "its input is gone"}),
  };
}

std::vector<std::pair<std::string, base::JobSpec>> specs() {
  base::Command command{"", {"grep", "-c", "it's", ""}, "/bin/bash", std::string("in\0\xfe", 4), "/tmp/d", {"A=1", "B=\xff"}, {15, 200, 9, 0}, true, {}, 19, true, {"/tmp/in", 4096, 70'000}};
  return {
      {"spec_line", {base::Command{"gzip -k 'a b' >out.", {}, "", "", "", {}, {}, false, {6, 18}}, base::Duration(0), "a label"}},
      {"spec_argv", {std::move(command), base::Duration(1'500'000)}},
      {"spec_call", {base::Call{"echo", 1, pack_bytes("hello")}, base::Duration(60'000'000)}},
      {"spec_record", {base::Record{{"./score -q", {}, "/bin/bash", "", "/tmp/d", {"A=1"}}, std::string("in\0\xfe", 4), base::Framing::Json}, base::Duration(2'000'000)}},
  };
}

std::vector<std::pair<std::string, wire::Frame>> session() {
  std::vector<std::pair<std::string, wire::Frame>> frames;
  const auto add = [&](std::string name, const base::RunId& run, const AnyMessage& message) {
    std::visit([&](const auto& direction) { encode(run, direction, frames.emplace_back(std::move(name), Frame()).second); }, message);
  };
  const Generation lane{1, 1};
  State state{kWorker, 1, 1, "tcp://10.0.0.7:40001", "", "node7", 2, {}, 0, {}};
  add("STATE 1", {}, ToSink(state));
  add("CTRL 1", run(), ToWorker(Ctrl{kWorker, 1, lane, 0, 1, {}, false, base::Duration(1'000'000), base::Duration(10'000'000)}));
  state.state_seq = 2;
  state.generation = lane;
  state.limit = 2;
  add("STATE 2", run(), ToSink(state));
  JobItem item{{1, 1, 1}, {}};
  encode_spec({base::Command{"echo hi", {}, "", "", "", {}}, base::Duration(0)}, item.spec);
  add("JOB", run(), ToWorker(Job{kWorker, 1, lane, 2, 1, {item}}));
  wire::Result result;
  result.attempt = {1, 1, 1};
  result.slot = 1;
  result.started_at = 1'700'000'000'000'000;
  result.finished_at = 1'700'000'000'001'500;
  result.runtime_us = 1500;
  result.user_us = 400;
  result.system_us = 600;
  result.max_rss_kb = 1800;
  result.out = "hi\n";
  result.out_bytes = 3;
  result.command = "echo hi";
  add("RESULT", run(), ToSink(Results{kWorker, 1, lane, 3, "node7", {result}}));
  add("CTRL 2", run(), ToWorker(Ctrl{kWorker, 1, lane, 3, 2, {{1, 1, 1}}, false, base::Duration(1'000'000), base::Duration(10'000'000)}));
  add("CTRL 3", run(), ToWorker(Ctrl{kWorker, 1, lane, 3, 2, {}, true, base::Duration(1'000'000), base::Duration(10'000'000)}));
  add("BYE", run(), ToSink(Bye{kWorker, 1}));
  return frames;
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string digits;
  for (const char c : bytes) digits += kDigits[static_cast<unsigned char>(c) >> 4], digits += kDigits[c & 15];
  return digits;
}

std::string unhex(std::string_view digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) bytes += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
  return bytes;
}

wire::Frame encoded(const AnyMessage& message) {
  wire::Frame frame;
  std::visit([&](const auto& direction) { encode(run(), direction, frame); }, message);
  return frame;
}

base::Result<AnyMessage> decoded(std::string_view frame, const AnyMessage& like, const base::RunId& expected) {
  const auto any = [](auto result) -> base::Result<AnyMessage> {
    base::Result<AnyMessage> message(AnyMessage{});
    if (!result) return result.error();
    message->emplace<decltype(result->message)>(std::move(result->message));
    return message;
  };
  if (like.index() == 0) return any(decode_to_sink(frame, expected));
  if (like.index() == 1) return any(decode_to_ventilator(frame, expected));
  return any(decode_to_worker(frame, expected));
}

}  // namespace examples
