pushmill_test(sink_output_test 120
  SOURCES result_log_test.cc result_log_faults_test.cc retry_test.cc status_file_test.cc ../support/faulty_disk.cc joblog_test.cc output_files_test.cc output_writer_test.cc
  LIBRARIES sink_output sink_core fault_vfs)
