// What the ring costs without storage: bare_ring JOBS BYTES passes the frames of so many echo calls round ventilator, worker and sink, a thread each, over
// inproc and in the batches of the real roles, and writes each output. Frames are encoded and decoded as they are there, calls are read and answered; there
// is no database, no core, no slot thread, nothing is remembered and nothing sent again.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "io/clock.h"
#include "io/reactor.h"
#include "io/socket.h"
#include "wire/codec.h"
#include "wire/limits.h"

namespace {

constexpr std::uint64_t kWindow = wire::kMaxWindow;
constexpr std::size_t kOutputBytes = 64u << 10;  // in one write
const base::RunId kRun{{{1}}};
const base::WorkerId kWorker{{{2}}};
const base::Generation kLane{1, 1};

template <typename T>
T made(base::Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "bare_ring: %s\n", result.error().message.c_str());
  std::exit(1);
}

io::Pull listener(io::Context& context, const char* endpoint) {
  auto pull = made(io::Pull::create(context, wire::kMaxSocketMessage));
  made(pull.bind(endpoint));
  return pull;
}

io::Uplink sender(io::Context& context, const char* endpoint) { return made(io::Uplink::create(context, endpoint, 1 << 20)); }

template <typename Message>
void send(io::Uplink& link, const Message& message, std::string& frame) {
  wire::encode(kRun, message, frame);
  if (!link.send(frame)) std::abort();
}

// Waits for frames and hands each to `take` until it returns false; after every batch, `pause`.
template <typename Take, typename Pause>
void serve(io::Pull& pull, Take take, Pause pause) {
  io::Reactor reactor;
  reactor.watch(pull, 0);
  io::Frame frame;
  for (bool goes_on = true; goes_on; pause()) {
    reactor.wait(base::kNever);
    while (goes_on && pull.receive(frame)) goes_on = take(frame.bytes());
  }
  reactor.unwatch(0);
}

void ventilate(io::Pull& feedback, io::Uplink& lane, io::Uplink& to_sink, std::uint64_t jobs, std::size_t bytes) {
  std::string frame, spec;
  std::uint64_t given = 0, done = 0;
  const auto give = [&] {
    const std::uint64_t limit = std::min(jobs, done + kWindow);
    while (given < limit) {
      wire::Job job{kWorker, 1, kLane, limit, given + 1, {}};
      wire::Assign assign{{1, 1, given + 1}, kWorker, 1, kLane, {}};
      while (given < limit && job.items.size() < wire::kBatchItems) {
        const base::Attempt attempt{++given, 1, 1};
        std::string text = std::to_string(given);
        text.insert(0, bytes - std::min(bytes, text.size()), '0');
        wire::encode_spec({base::Call{"echo", 1, wire::pack_bytes(text)}, {}}, spec);
        assign.items.push_back({attempt, false, {}});
        job.items.push_back({attempt, spec});
      }
      send(to_sink, wire::ToSink(std::move(assign)), frame);
      send(lane, wire::ToWorker(std::move(job)), frame);
    }
  };
  give();
  serve(feedback, [&](std::string_view received) {
    const auto message = made(wire::decode_to_ventilator(received, kRun));
    const auto& news = std::get<wire::Done>(message.message);
    done += news.jobs.size();
    for (const wire::Confirms& confirms : news.confirms) send(lane, wire::ToWorker(wire::Ctrl{kWorker, 1, kLane, given, 1, confirms.attempts, done == jobs}), frame);
    return done < jobs;
  }, give);
}

void work(io::Pull& lane, io::Uplink& to_sink) {
  std::string frame;
  serve(lane, [&](std::string_view received) {
    auto message = made(wire::decode_to_worker(received, kRun));
    if (const auto* ctrl = std::get_if<wire::Ctrl>(&message.message)) return !ctrl->complete;
    const auto& job = std::get<wire::Job>(message.message);
    wire::Results results{kWorker, 1, kLane, job.limit, "host", {}};
    for (const wire::JobItem& item : job.items) {
      const auto call = std::get<base::Call>(made(wire::decode_spec(item.spec)).work);
      wire::Result result;
      result.attempt = item.attempt;
      result.slot = 1;
      result.started_at = result.finished_at = io::wall_now();
      result.out = made(wire::print_value(call.arguments)) + "\n";
      result.out_bytes = result.out.size();
      result.command = wire::describe(call);
      results.items.push_back(std::move(result));
    }
    send(to_sink, wire::ToSink(std::move(results)), frame);
    return true;
  }, [] {});
}

void write_all(const std::string& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::write(1, bytes.data() + at, bytes.size() - at);
    if (n < 0) std::exit(1);
    at += static_cast<std::size_t>(n);
  }
}

void sink(io::Pull& pull, io::Uplink& feedback, std::uint64_t jobs) {
  std::string frame, output;
  std::uint64_t finished = 0;
  const auto flush = [&] {
    write_all(output);
    output.clear();
  };
  serve(pull, [&](std::string_view received) {
    const auto message = made(wire::decode_to_sink(received, kRun));
    const auto* results = std::get_if<wire::Results>(&message.message);
    if (results == nullptr) return true;
    wire::Done done{{1, 1, ++finished}, {}, {{kWorker, 1, kLane, results->limit}}, {{kWorker, {}}}};
    for (const wire::Result& result : results->items) {
      done.jobs.push_back(result.attempt.job);
      done.confirms[0].attempts.push_back(result.attempt);
      output += result.out;
    }
    if (output.size() >= kOutputBytes) flush();
    jobs -= results->items.size();
    send(feedback, wire::ToVentilator(std::move(done)), frame);
    return jobs > 0;
  }, flush);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: bare_ring JOBS BYTES\n"), 2;
  const std::uint64_t jobs = std::strtoull(argv[1], nullptr, 10);
  auto context = made(io::Context::create(0, 64));
  auto feedback = listener(context, "inproc://feedback"), lane = listener(context, "inproc://lane"), to_sink = listener(context, "inproc://sink");
  auto from_worker = sender(context, "inproc://sink"), from_ventilator = sender(context, "inproc://sink");
  auto to_worker = sender(context, "inproc://lane"), from_sink = sender(context, "inproc://feedback");
  std::thread worker([&] { work(lane, from_worker); });
  std::thread log([&] { sink(to_sink, from_sink, jobs); });
  ventilate(feedback, to_worker, from_ventilator, jobs, std::strtoull(argv[2], nullptr, 10));
  worker.join();
  log.join();
}
