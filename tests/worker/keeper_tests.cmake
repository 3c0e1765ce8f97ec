# A command as small as one can be, for measuring what surrounds it.
add_executable(static_true static_true.c)
target_link_options(static_true PRIVATE -static)

pushmill_test(keeper_test 120 SOURCES keeper_test.cc keeper_deadline_test.cc keeper_ending_test.cc keeper_orphans_test.cc LIBRARIES keeper_runner base)
target_compile_definitions(keeper_test PRIVATE KEEPER_PATH="$<TARGET_FILE:keeper>" TRUE_PATH="$<TARGET_FILE:static_true>")
add_dependencies(keeper_test keeper static_true)

pushmill_test(direct_exec_test 60 SOURCES direct_exec_test.cc LIBRARIES keeper_loop base)
pushmill_test(process_tree_test 60 SOURCES process_tree_test.cc LIBRARIES keeper_runner base)
pushmill_test(oom_counter_test 30 SOURCES oom_counter_test.cc LIBRARIES process_tree base)
