// The limits of the protocol (PROTOCOL.md, "Limits"). The codec refuses what is above them; senders keep below.
#pragma once

#include <cstddef>
#include <cstdint>

namespace wire {

inline constexpr std::uint64_t kVersion = 1;

inline constexpr std::size_t kMaxFrame = 16u << 20;         // bytes of one frame
inline constexpr std::size_t kMaxSocketMessage = 17u << 20;  // ZMQ_MAXMSGSIZE: above the largest legal frame
inline constexpr std::size_t kMaxJob = 8u << 20;            // bytes of one encoded job spec
inline constexpr std::size_t kMaxItems = 8192;              // items of any array in a frame
inline constexpr std::size_t kMaxHeld = 8192;               // attempts in a STATE
inline constexpr std::size_t kMaxString = kMaxJob;          // bytes of one str or bin
inline constexpr std::size_t kMaxName = 256;                // bytes of an endpoint, host, key or handler name
inline constexpr std::size_t kMaxDepth = 16;                // nesting

inline constexpr std::size_t kBatchItems = 512;             // a batch closes at this many items
inline constexpr std::size_t kBatchBytes = 128u << 10;      // or at this many bytes; one larger item goes alone
inline constexpr std::size_t kInlineOutput = 64u << 10;     // bytes of a stream that RESULT carries itself
inline constexpr std::size_t kMaxReason = 4096;             // bytes of a result's reason, as workers send it
inline constexpr std::size_t kMaxOutput = 256u << 10;       // bytes of a stream in one OUTPUT
inline constexpr std::size_t kMaxInput = 256u << 10;         // bytes of an input in one INPUT
inline constexpr std::size_t kMaxWindow = 4096;             // jobs a worker may ask for ahead
inline constexpr std::size_t kMaxUnconfirmed = 4096;        // results a worker holds before it asks for no more jobs
inline constexpr std::size_t kMaxUnconfirmedBytes = 8u << 20;
inline constexpr std::size_t kSnapshotBytes = 64u << 10;    // of finished bitmap in one SNAPSHOT

}  // namespace wire
