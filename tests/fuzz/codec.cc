// Frames and job specs from anybody: what is understood survives the way back and forth.
#include "wire/codec.h"

#include "fuzz.h"

namespace {

template <typename Read, typename Decode>
void check(const Read& read, Decode decode) {
  if (!read) return;
  wire::Frame frame;
  wire::encode(read->run, read->message, frame);
  const auto again = decode(frame, base::RunId{});
  MUST(again && again->message == read->message);
}

}  // namespace

void fuzz(std::string_view bytes) {
  check(wire::decode_to_sink(bytes, base::RunId{}), wire::decode_to_sink);
  check(wire::decode_to_ventilator(bytes, base::RunId{}), wire::decode_to_ventilator);
  check(wire::decode_to_worker(bytes, base::RunId{}), wire::decode_to_worker);
  if (const auto spec = wire::decode_spec(bytes)) {
    std::string encoded;
    wire::encode_spec(*spec, encoded);
    const auto again = wire::decode_spec(encoded);
    MUST(again && *again == *spec);
    (void)wire::describe(*spec);
  }
  (void)wire::print_value(bytes);
}
