// The worker program.
#include "worker/program.h"

int main(int argc, char** argv) { return worker::run_worker(argc, argv, worker::built_in_handlers()); }
