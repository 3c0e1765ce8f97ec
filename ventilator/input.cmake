# What becomes of the input before it is dispatched: read, made into jobs, spooled.
add_library(ventilator_input STATIC template.cc phrase.cc replacements.cc changes.cc edit.cc labels.cc job_source.cc columns.cc row_source.cc combination.cc packing.cc input.cc
  joblog_reader.cc record_ends.cc block_cutter.cc mark.cc spooled_file.cc blocks.cc file_parts.cc origin.cc spool.cc done_jobs.cc)
target_link_libraries(ventilator_input PUBLIC base json wire io regex)
