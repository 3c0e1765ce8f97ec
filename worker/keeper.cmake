# keeper_runner: the worker's side. keeper: the static helper process; it must start in well under a millisecond and needs nothing installed beside it.
add_library(process_tree STATIC keeper_protocol.cc keeper_seats.cc oom_counter.cc process_mark.cc process_tree.cc)
target_link_libraries(process_tree PRIVATE base)

add_library(keeper_runner STATIC keeper_pool.cc keeper_runner.cc orphans.cc)
target_link_libraries(keeper_runner PUBLIC process_tree PRIVATE base)

add_library(keeper_loop STATIC keeper.cc keeper_deadline.cc keeper_feed.cc keeper_launch.cc keeper_spawn.cc direct_exec.cc)
target_link_libraries(keeper_loop PUBLIC process_tree PRIVATE base)

add_executable(keeper keeper_main.cc)
target_link_libraries(keeper PRIVATE keeper_loop base)
# The sanitizers' run-time libraries cannot be linked statically.
if(NOT "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_DEBUG}" MATCHES "-fsanitize=")
  target_link_options(keeper PRIVATE -static)
endif()
