# What the sink writes: results.db, the joblog and the outputs.
add_library(sink_output STATIC result_log.cc tallies.cc status_file.cc retry.cc joblog.cc job_fields.cc presentation.cc output_files.cc input_files.cc job_files.cc outlet.cc backlog.cc output_writer.cc)
target_link_libraries(sink_output PUBLIC base json wire io cli Threads::Threads)
