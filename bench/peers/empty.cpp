// A program that loads LibTorch and does nothing: what any program that computes with it pays at its start.
#include <ATen/Parallel.h>

int main() { return at::get_num_threads() > 0 ? 0 : 1; }
