// What an item costs to encode and to decode. Not part of the suite: run `wire_test [.speed]` in a release build.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <iostream>

#include "examples.h"
#include "wire/limits.h"

using namespace examples;
using namespace wire;

TEST_CASE("nanoseconds an item, small results", "[.speed]") {
  using Clock = std::chrono::steady_clock;
  Results results;
  results.host = "node7";
  results.items.resize(kBatchItems);
  for (std::size_t i = 0; i < results.items.size(); ++i) {
    wire::Result& item = results.items[i];
    item.attempt = {1'000'000 + i, 1, 2'000'000 + i};
    item.slot = 2;
    item.started_at = item.finished_at = 1'700'000'000'000'000;
    item.runtime_us = 812;
    item.out = "sixteen bytes...";
    item.out_bytes = 16;
    item.command = "echo sixteen bytes...";
  }
  const ToSink message(std::move(results));
  Frame frame;
  // The least of many rounds: what the code costs when nothing else runs.
  const auto speed = [&](const char* what, auto step) {
    double least = 1e9;
    for (int round = 0; round < 500; ++round) {
      const auto start = Clock::now();
      step();
      least = std::min(least, std::chrono::duration<double, std::nano>(Clock::now() - start).count() / kBatchItems);
    }
    std::cout << what << ": " << least << " ns an item\n";
  };
  speed("RESULT encode", [&] { encode(run(), message, frame); });
  std::size_t items = 0;
  speed("RESULT decode", [&] { items += std::get<Results>(decode_to_sink(frame, run())->message).items.size(); });
  CHECK(items > 0);
  Job job;
  for (std::size_t i = 0; i < kBatchItems; ++i) {
    job.items.push_back({{1'000'000 + i, 1, 2'000'000 + i}, {}});
    encode_spec({base::Call{"echo", 1, pack_bytes("sixteen bytes...")}, {}}, job.items.back().spec);
  }
  const ToWorker jobs(std::move(job));
  speed("JOB encode", [&] { encode(run(), jobs, frame); });
  speed("JOB decode", [&] { items += std::get<Job>(decode_to_worker(frame, run())->message).items.size(); });
  std::string bytes;
  const base::JobSpec spec{base::Call{"echo", 1, pack_bytes("sixteen bytes...")}, {}};
  speed("spec encode", [&] { for (std::size_t i = 0; i < kBatchItems; ++i) encode_spec(spec, bytes); });
  speed("spec decode", [&] { for (std::size_t i = 0; i < kBatchItems; ++i) items += bool(decode_spec(bytes)); });
  Done done;
  for (std::size_t i = 0; i < kBatchItems; ++i) done.jobs.push_back(1'000'000 + i);
  done.confirms.resize(1);
  for (const JobId id : done.jobs) done.confirms[0].attempts.push_back({id, 1, id});
  const ToVentilator finished(std::move(done));
  speed("DONE encode, with confirms", [&] { encode(run(), finished, frame); });
  speed("DONE decode, with confirms", [&] { items += std::get<Done>(decode_to_ventilator(frame, run())->message).jobs.size(); });
}
