pushmill_test(sink_output_test 120
  SOURCES result_log_test.cc result_log_faults_test.cc retry_test.cc status_file_test.cc ../support/faulty_disk.cc joblog_test.cc output_files_test.cc output_writer_test.cc output_live_test.cc presentation_test.cc
  LIBRARIES sink_output sink_core fault_vfs)
target_compile_options(sink_output_test PRIVATE -Wno-missing-field-initializers)  # builders name the fields that matter
