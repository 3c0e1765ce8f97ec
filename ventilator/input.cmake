# What becomes of the input before it is dispatched: read, made into jobs, spooled.
add_library(ventilator_input STATIC template.cc job_source.cc origin.cc spool.cc record_ends.cc block_cutter.cc)
target_link_libraries(ventilator_input PUBLIC base json regex wire io)
