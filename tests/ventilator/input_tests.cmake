pushmill_test(ventilator_input_test 60 SOURCES template_test.cc job_source_test.cc spool_test.cc spool_faults_test.cc block_cutter_test.cc blocks_test.cc LIBRARIES ventilator_input fault_vfs)
target_compile_options(ventilator_input_test PRIVATE -Wno-missing-field-initializers)
