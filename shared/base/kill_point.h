// Named moments at which a test lets a program die: where something is on disk or on its way, and what should follow has not happened yet. Shells call
// kill_point() there; it does nothing unless the program is built with PUSHMILL_KILL_POINTS (presets dev, asan, tsan) and the environment asks for it:
//
//   PUSHMILL_KILL_POINT=sink.committed:3        ends the process by SIGKILL at the third pass of the point
//   PUSHMILL_KILL_POINT=sink.committed:3:hold   holds the thread there for ever, and says so, until somebody kills the process; its other threads go on
//
// This page is the only list of the points: tests read their names from it.
#pragma once

#include <string_view>

namespace base {

namespace kill_points {
inline constexpr std::string_view kSpooled = "ventilator.spooled";          // job spooled, not dispatched
inline constexpr std::string_view kAssigned = "ventilator.assigned";        // ASSIGN sent, JOB not
inline constexpr std::string_view kReceived = "sink.received";              // result received, not committed
inline constexpr std::string_view kJoblogWritten = "sink.joblog_written";   // lines in the joblog, the mark that covers them not committed
inline constexpr std::string_view kCommitted = "sink.committed";            // committed, not confirmed
inline constexpr std::string_view kConfirmed = "ventilator.confirmed";      // confirmed, not told to the worker
inline constexpr std::string_view kOutputWritten = "sink.output_written";   // output chunk written, row not
inline constexpr std::string_view kEmitted = "sink.emitted";                // emitted, not marked
inline constexpr std::string_view kLastJobDone = "sink.last_job_done";      // last job done, end not committed
inline constexpr std::string_view kEndCommitted = "sink.end_committed";     // last job done, end committed, not announced
inline constexpr std::string_view kEndHeard = "ventilator.end_committed";   // end committed by both, not told to the workers
inline constexpr std::string_view kGoesOn = "run.goes_on";                  // --skip-done: end taken back by the ventilator's mark, not by the sink's
}  // namespace kill_points

#ifdef PUSHMILL_KILL_POINTS
void kill_point(std::string_view name);
#else
inline void kill_point(std::string_view) {}
#endif

}  // namespace base
