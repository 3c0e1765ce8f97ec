pushmill_test(sink_output_test 120 SOURCES result_log_test.cc retry_test.cc status_file_test.cc joblog_test.cc output_files_test.cc output_writer_test.cc LIBRARIES sink_output sink_core)
