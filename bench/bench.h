#pragma once
#include <functional>
#include <string>
#include <vector>

namespace tessera::bench {

/// One line of the table: two things that do the same, and by how much the first is better.
struct Comparison {
  std::string name, ours, peer;
  double ours_value = 0, peer_value = 0;
  std::string unit;  ///< "ms", "MB", "tokens/s", "GFLOP/s" or "GB/s"
  double ratio = 0;  ///< above 1: ours is better
};

/// Milliseconds of two jobs that run in turns, so that what else the machine does hits both alike.
struct Pair {
  double ours = 0, peer = 0;  ///< medians, ms
  double ratio = 0;           ///< median of the ratios of neighbours: steadier than the ratio of the medians
};
Pair interleave(int runs, const std::function<void()>& ours, const std::function<void()>& peer);

double median(std::vector<double> values);
double milliseconds(const std::function<void()>& work);
double resident_megabytes();
/// Runs a program with its output thrown away. @throws Error when it fails
void run_program(const std::string& program, const std::vector<std::string>& arguments);
/// How large the process has stood at most since it began, or since that was forgotten.
double highest_megabytes();
void forget_highest_megabytes();
/// By how many megabytes the process stood larger, at most, while it worked.
double peak_megabytes(const std::function<void()>& work);

/// ViT-B/16 against plain LibTorch modules with the same weights.
std::vector<Comparison> encoding(int runs);
/// Mapping a checkpoint against reading it.
std::vector<Comparison> loading(int runs);
/// Language models of LLaMA's shape against plain LibTorch modules with the same weights.
std::vector<Comparison> generation(int runs);
/// A model of LLaVA's shape from the picture to the first token of the answer, likewise.
std::vector<Comparison> vision_language(int runs);
/// Prepared models against what the machine can do: a large product, or reading its memory.
std::vector<Comparison> prepared(int runs);
/// The program's start against the classification of a picture.
std::vector<Comparison> process(int runs);

}  // namespace tessera::bench
