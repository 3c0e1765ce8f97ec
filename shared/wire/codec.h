// Messages to frames and back: the only user of msgpack. A frame is one msgpack array [version, type, run id, field...], as PROTOCOL.md lists them.
// Decoding never throws, never reads outside the frame and never allocates above wire/limits.h; elements behind the known fields are ignored.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/messages.h"

namespace wire {

// A frame, and a buffer that senders may reuse: encode() overwrites it.
using Frame = std::string;

void encode(const base::RunId& run, const ToSink& message, Frame& frame);
void encode(const base::RunId& run, const ToVentilator& message, Frame& frame);
void encode(const base::RunId& run, const ToWorker& message, Frame& frame);

// A decoded message and the run its frame names: the expected one, or zero in a worker's first STATE.
template <typename Message>
struct Decoded {
  base::RunId run;
  Message message;
};

// `expected`: the receiver's run; zero: not known yet, any will do. Version and run are checked first: a frame of another run is an error of kind Conflict,
// everything else that is wrong one of kind Protocol; the message says what.
base::Result<Decoded<ToSink>> decode_to_sink(std::string_view frame, const base::RunId& expected);
base::Result<Decoded<ToVentilator>> decode_to_ventilator(std::string_view frame, const base::RunId& expected);
base::Result<Decoded<ToWorker>> decode_to_worker(std::string_view frame, const base::RunId& expected);

// A job spec as it rests in jobs.db and travels in JOB.
void encode_spec(const base::JobSpec& spec, std::string& bytes);
base::Result<base::JobSpec> decode_spec(std::string_view bytes);
// JobSpec::label; one that says nothing is no bytes.
void encode_label(const base::Label& label, std::string& bytes);
base::Result<base::Label> decode_label(std::string_view bytes);
std::uint64_t number_of_label(std::string_view bytes);  // Label::number without the rest; 0: none, or the label cannot be read

// The text of a job in logs: the shell line, the quoted words, handler and arguments, or a coprocess and its record.
std::string describe(const base::JobSpec& spec);
std::string describe(const base::Call& call);

// One msgpack string holding `bytes` (raw, any bytes), for the arguments of a call; and a value printed: a str or bin as its bytes, anything else as one line of JSON.
std::string pack_bytes(std::string_view bytes);
base::Result<std::string> print_value(std::string_view msgpack);
bool is_binary(std::string_view msgpack);  // a bin: printed as it is, where other values are lines

}  // namespace wire
